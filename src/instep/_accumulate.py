"""Sums of micro-batches: memory of their own, added to in one pass that also finds the norm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._buffers import Buffers
from ._plans import Gradients, make_plan
from ._state import aligned_zeros


class Accumulator:
    """The running sums of the gradients of an optimizer, in C order: the order of the norm."""

    def __init__(self, backend: str, like: Buffers, *, zero_grads: bool) -> None:
        self._sums = [aligned_zeros(p, order="C") for p in like.params]
        buffers = Buffers(like.names, self._sums, prefix="sums").seal()
        self._plan = make_plan(backend, "assign", None, buffers, zero_grads=zero_grads)

    @property
    def calls(self) -> int:
        """How many micro-batches have been added."""
        return self._plan.steps

    @property
    def mean(self) -> float:
        """What makes the sums means."""
        return 1.0 / self.calls

    @property
    def squares(self) -> Sequence[float]:
        """The sum of squares of each sum, where the plan keeps it."""
        return self._plan.sums

    def add(self, grads: Gradients) -> float:
        """Add gradients, and return the norm of the mean so far."""
        norm = self._plan.accumulate(grads)
        return norm * self.mean

    def leaves(self) -> list[np.ndarray | None]:
        """Return the sums, None where there was no gradient."""
        pairs = zip(self._sums, self._plan.counts, strict=True)
        return [total if count else None for total, count in pairs]

    def clear(self) -> None:
        """Begin anew."""
        self._plan.steps = 0
        self._plan.counts = [0] * len(self._sums)
