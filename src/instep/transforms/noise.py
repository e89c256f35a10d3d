"""Annealed gradient noise."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from .. import _noise
from .. import _validate as validate
from .base import Argument, Context, Gradients, Native, Transform


@dataclasses.dataclass(frozen=True)
class AddNoise(Transform):
    r"""Add Gaussian noise that fades: ``g += N(0, eta / (1 + t)**gamma)``, t being the step from 1.

    The second argument of N is the variance. The noise of an element follows from seed, step, the
    tensor's place among the parameters and the element's place in the tensor (in C order) alone:
    the same on every machine, with any number of threads, native and reference, float32 and
    float64; a run that goes on from a saved state goes on with the same noise. There is no state.

    Numbers are drawn by Philox 4x32-10, one word for each element, and made normal in pairs
    (Box-Muller) in float32, which ends at 6.7 deviations.

    Parameters
    ----------
    eta : float
        Variance at ``t = 0``, at least 0, in the square of the gradient's unit; the paper tries
        0.01, 0.3 and 1.
    gamma : float
        How fast the variance fades, at least 0.
    seed : int
        0 to 2**64 - 1. Wherever noise is to be independent, in two such transforms or in two
        optimizers, it takes two seeds. Steps that are 2**32 apart have the same noise.

    Raises
    ------
    TypeError, ValueError
        If an argument breaks its rule.

    References
    ----------
    Neelakantan, Vilnis, Le, Sutskever, Kaiser, Kurach, Martens, "Adding gradient noise improves
    learning for very deep networks", 2015. Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
    easy as 1, 2, 3", 2011 (Philox). Box, Muller, "A note on the generation of random normal
    deviates", 1958.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros(100_000)
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.AddNoise(1.0, gamma=2.0)])
    >>> _ = opt.step([np.zeros_like(w)])
    >>> round(float(w.std()), 2)  # 1 / (1 + 1)
    0.5
    """

    eta: Argument
    gamma: Argument = 0.55
    seed: int = 0
    _kind: ClassVar[int] = 8
    _ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check and convert the arguments."""
        super().__post_init__()
        seed = validate.count("AddNoise: seed", self.seed, 0, at_most=2**64 - 1)
        object.__setattr__(self, "seed", seed)

    def _arguments(self) -> list[str]:
        return ["eta", "gamma"]

    def _moving(self) -> bool:
        return True

    @staticmethod
    def _deviation(eta: float, gamma: float, step: int) -> float:
        deviation: float = math.sqrt(eta) * (1 + step) ** (-gamma / 2)
        return deviation

    def _native(self, step: int) -> Native:
        eta, gamma = self._values(step)
        return self._kind, self._deviation(eta, gamma, step), 0.0, self.seed

    def _numpy(self, grads: Gradients, context: Context, eta: float, gamma: float) -> Gradients:
        deviation = self._deviation(eta, gamma, context.step)
        out = []
        for g, number in zip(grads, context.numbers, strict=True):
            noise = _noise.normals(g.size, number, context.step, self.seed).astype(g.dtype)
            out.append(g + g.dtype.type(deviation) * noise.reshape(g.shape))
        return out
