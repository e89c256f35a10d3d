"""What applies a step, native or in NumPy: the interface of both, and the rows that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np

from ._options import StepReport
from .transforms import Native

NO_DECAY, L2_DECAY, DECOUPLED_DECAY = range(3)
NO_TRUST = (1.0, 0.0, 0.0)

Gradients = Sequence[np.ndarray | None]
Due = tuple[int, Sequence[tuple[int, int]], int]
"""The steps taken, for each row its group and which step it will be for its parameters, and for how
many steps they should be made ready now."""

Slots = Sequence[Any]
Scalars = Sequence[Any]
"""A rule's state arrays for one parameter, and its scalars in the parameter's dtype."""

NumpyRule = Callable[..., None]
"""``rule(p, g, slots, scalars, variant)`` updates p and the slots in place."""

Measure = Callable[..., np.ndarray]
"""First pass of a rule of two: ``measure(p, g, slots, scalars)`` updates slots, returns u."""

Scaled = tuple[int, tuple[float, ...]]
"""A rule's variant and its scalars for one step."""

Rows = tuple[list[Scaled], int, float, tuple[float, float, float]]
"""All that depends on hyperparameters and coming steps only, in double precision: what each step
has of its own, the kind of decay and how much, and for rules of two passes factor, decay and eps of
the trust ratio. A named tuple would take a third of a microsecond to make."""

Stepper = Callable[[Any], StepReport | None]
"""Takes the whole of a usual step; None, and nothing done, where Python knows more to do."""


class Plan(Protocol):
    """Validated parameters and state, ready to step; ``with plan`` keeps other threads away."""

    steps: int
    counts: list[int]

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def assign_rows(self, row_of: Sequence[int], group_of: Sequence[int]) -> None: ...
    def due(self) -> Due | None: ...
    def retune(self, transforms: Sequence[Native]) -> None: ...
    def watch(self, groups: Sequence[Any], *, grouped: bool) -> None: ...
    def make_ready(self, rows: list[Rows], lr: Any) -> None: ...
    def forget_rows(self) -> None: ...
    def stepper(self, *, raising: bool) -> Stepper: ...
    def begin(self, grads: Any) -> bool: ...
    def take(self, grads: Gradients) -> None: ...
    def observe(self, norms: np.ndarray | None) -> None: ...
    def finish(self, sums: Any = None) -> StepReport | None: ...
    def accumulate(self, grads: Gradients) -> float: ...
    def forget(self) -> None: ...
    def rewrite(self) -> float | None: ...
    def global_norm(self) -> float: ...
    def all_finite(self) -> bool: ...
