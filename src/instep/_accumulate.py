"""Sums of micro-batches: memory of their own, added to in one pass that also finds the norm."""

from __future__ import annotations

import numpy as np

from ._backends import make_plan
from ._buffers import Buffers
from ._plans import Gradients
from ._state import aligned_zeros


class Accumulator:
    """The running sums of the gradients of an optimizer, in C order: the order of the norm."""

    def __init__(self, backend: str, like: Buffers, *, zero_grads: bool) -> None:
        self.sums = [aligned_zeros(p, order="C") for p in like.params]
        buffers = Buffers(like.names, self.sums, prefix="sums").seal()
        self.plan = make_plan(backend, "assign", None, buffers, zero_grads=zero_grads)

    @property
    def calls(self) -> int:
        """How many micro-batches have been added."""
        return self.plan.steps

    def add(self, grads: Gradients) -> float:
        """Add gradients, and return the norm of the mean so far."""
        norm = self.plan.accumulate(grads)
        return norm * (1.0 / self.calls)

    def leaves(self) -> list[np.ndarray | None]:
        """Return the sums, None where there was no gradient."""
        pairs = zip(self.sums, self.plan.counts, strict=True)
        return [total if count else None for total, count in pairs]
