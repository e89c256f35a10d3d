"""The contestant from thinc: its Adam in Cython."""

from __future__ import annotations

from importlib import import_module

from ._bench_cases import BETA1, BETA2, EPS, LR, Arrays, Case
from ._bench_contestants import Contestant
from ._bench_sizes import Size


class Thinc(Contestant):
    """``thinc.api.Adam`` without clipping, decay and averages, called for each tensor.

    It adds epsilon to the root of the moment as it is (``eps_mode="hat"``), which for these
    gradients is 6e-7 of an update at most. It zeroes the gradient, so that is its own, and filled
    anew before each sample: the steps of a sample after the first find zeros, which takes the same
    time.
    """

    name = "thinc"
    label = "thinc"

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        own = [g.copy() for g in grads]
        self._tensors = [
            ((i, "w"), p, g) for i, (p, g) in enumerate(zip(self.params, own, strict=True))
        ]
        options = {"beta1": BETA1, "beta2": BETA2, "eps": EPS, "L2": 0.0, "grad_clip": 0.0}
        self._update = import_module("thinc.api").Adam(LR, use_averages=False, **options)

    def refresh(self) -> None:
        """Take over the gradients as they are now."""
        for (_, _, own), g in zip(self._tensors, self.grads, strict=True):
            own[...] = g

    def step(self) -> None:
        """Take one step."""
        for key, p, g in self._tensors:
            self._update(key, p, g)

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        """Return why it cannot take part: it clips each tensor, decays after the update."""
        del size, threads
        if case.optimizer != "Adam" or case.max_norm is not None:
            return f"it has no {case.title}: it clips each tensor, and decays after the update"
        if dtype != "float32":
            return f"its Adam is for float32 only; this is {dtype}"
        return None
