"""A step in NumPy: what the native plan must equal bit for bit."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from . import _noise, _reductions
from ._buffers import Buffers
from ._options import StepReport
from ._plans import (
    DECOUPLED_DECAY,
    L2_DECAY,
    Due,
    Gradients,
    Measure,
    NumpyRule,
    Rows,
    Stepper,
)
from .transforms import Context, Native, Transform


def trust_ratio(trust: tuple[float, float, float], x: float, y: float) -> float:
    """Return ``factor * x / (y + decay * x + eps)`` of two norms, and 1 where one of them is 0."""
    factor, decay, eps = trust
    if x == 0 or y == 0:
        return 1.0
    return factor * x / (y + decay * x + eps)


class ReferencePlan:
    """The plan in NumPy: what the native plan must equal bit for bit."""

    def __init__(
        self,
        rule: NumpyRule,
        buffers: Buffers,
        transforms: Sequence[Transform],
        *,
        measure: Measure | None = None,
        check_finite: bool = False,
        zero_grads: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._rule = rule
        self._measure = measure
        self._buffers = buffers
        self._transforms = transforms
        self._check_finite = check_finite
        self._zero_grads = zero_grads
        self._params = [np.asarray(p) for p in buffers.params]
        self._row_of: Sequence[int] = [0] * len(self._params)
        self.counts = [0] * len(self._params)
        self._first_of: list[int] = []
        self._group_of: Sequence[int] = ()
        self._grads: Gradients | None = None
        self._observed: np.ndarray | None = None
        self._ordered = any(t._ordered for t in transforms)
        self._rows: Sequence[Rows] | None = None
        self._lr: Any = None
        self.steps = 0

    def __enter__(self) -> Self:
        """Wait for other threads; the one that is here may come again."""
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        """Let others come."""
        self._lock.release()

    def assign_rows(self, row_of: Sequence[int], group_of: Sequence[int]) -> None:
        """Say which row belongs to each parameter, and which group to each row."""
        self._group_of = group_of
        self._row_of = row_of
        first: dict[int, int] = {}
        for i, row in enumerate(row_of):
            first.setdefault(row, i)
        self._first_of = [first[row] for row in sorted(first)]

    def due(self) -> Due | None:
        """Return what rows depend on; None where `assign_rows` must come first."""
        due = [self.counts[i] + 1 for i in self._first_of]
        same = all(due[row] == n + 1 for row, n in zip(self._row_of, self.counts, strict=True))
        return (self.steps, list(zip(self._group_of, due, strict=True)), 1) if same else None

    def make_ready(self, rows: Sequence[Rows], lr: Any) -> None:
        """Say which rows the next attempt at a step will use, and the rate that it will report."""
        self._rows, self._lr = rows, lr

    def forget_rows(self) -> None:
        """Have them made again."""
        self._rows = None

    def retune(self, transforms: Sequence[Native]) -> None:
        """Do nothing: what changes from step to step is asked for when it is needed."""

    def watch(self, groups: Sequence[Any], *, grouped: bool) -> None:
        """Do nothing: this plan has no quick tests."""

    def stepper(self, *, raising: bool) -> Stepper:
        """Return what leaves each step to `take` and `finish`."""
        del raising
        return lambda _: None

    def begin(self, grads: Any) -> bool:
        """Leave it to `take`."""
        del grads
        return False

    def observe(self, norms: np.ndarray | None) -> None:
        """Write norms to this array from now on: of gradients, parameters and updates.

        Those of a parameter without a gradient are -1; NaN is what a step did not come to see.
        """
        self._observed = norms

    def take(self, grads: Gradients) -> None:
        """Begin a step with these gradients."""
        self._grads = grads

    def _begun(self) -> Gradients:
        grads, self._grads = self._grads, None
        if grads is None:
            raise RuntimeError("step: another step of this optimizer came between")
        return grads

    def finish(self, sums: ReferencePlan | None = None) -> StepReport | None:
        """Take the step and return its report; None where rows must be made first.

        With `sums` it is one with the means of what that plan accumulated, which then forgets it.
        """
        rows, self._rows = self._rows, None
        if rows is None:
            return None
        present, given = self._checked(self._begun())
        with np.errstate(all="ignore"):
            report = self._apply(present, given, rows, 1.0 / sums.steps if sums else 1.0)
        if sums:
            sums.forget()
        return report

    def _checked(self, grads: Gradients) -> tuple[list[int], list[np.ndarray]]:
        self._buffers.check_unchanged()
        present = [i for i, g in enumerate(grads) if g is not None]
        given = [np.asarray(self._buffers.check_gradient(i, grads[i])) for i in present]
        if self._zero_grads:
            self._buffers.check_zeroable(grads)
        return present, given

    def _apply(
        self, present: list[int], given: list[np.ndarray], rows: Sequence[Rows], mean: float
    ) -> StepReport:
        finite = not self._check_finite or _reductions.all_finite(given)
        moved = given if mean == 1.0 else [g * g.dtype.type(mean) for g in given]
        params = [self._params[i] for i in present]
        context = Context(self.steps + 1, params, present, moved, given, mean)
        for transform in self._transforms:
            moved = transform.apply(moved, context)
            context.first = None  # only the first transform sees what it was given
        if self._observed is not None and (finite or self._check_finite):
            self._observed[...] = -1.0
            self._observed[1:, present] = np.nan
            self._observed[0, present] = [
                mean * (self._norm(i, g) if finite else math.sqrt(_reductions.sum_squares(g)))
                for i, g in zip(present, given, strict=True)
            ]
        if finite:
            for i, g in zip(present, moved, strict=True):
                self._observed_update(i, g, rows[self._row_of[i]])
            self._advance(present, given)
        return StepReport(self.steps, self._lr, context.norm, context.factor, not finite)

    def _advance(self, present: list[int], given: list[np.ndarray]) -> None:
        for i in present:
            self.counts[i] += 1
        for g in given if self._zero_grads else ():
            g[...] = 0
        self.steps += 1

    def forget(self) -> None:
        """Forget what was accumulated."""
        self.steps = 0
        self.counts = [0] * len(self._params)

    def accumulate(self, grads: Gradients) -> float:
        """Add gradients to the parameters, which start anew where the count is 0.

        Returns the norm of all that have a count.
        """
        present, given = self._checked(grads)
        with np.errstate(all="ignore"):
            for i, g in zip(present, given, strict=True):
                total = self._params[i]
                total[...] = total + g if self.counts[i] else g
            self._advance(present, given)
            pairs = zip(self._params, self.counts, strict=True)
            return _reductions.norm([total for total, count in pairs if count])

    def _observed_update(self, i: int, g: np.ndarray, rows: Rows) -> None:
        if self._observed is None:
            return self._update(i, g, rows)
        before = self._params[i].copy()
        self._update(i, g, rows)
        added = self._params[i] - before
        self._observed[1:, i] = self._norm(i, self._params[i]), self._norm(i, added, again=False)
        return None

    def _norm(self, i: int, a: np.ndarray, again: bool = True) -> float:
        # In the order of the native walk: norms that are only looked at are not worth a pass more.
        axes = _noise.walked_axes(self._params[i], self._ordered)
        return math.sqrt(_reductions.sum_squares_rounded(a.transpose(axes), again))

    def _update(self, i: int, g: np.ndarray, rows: Rows) -> None:
        p = self._params[i]
        steps, decay_kind, factor, trust = rows
        decay = p.dtype.type(factor)
        if decay_kind == L2_DECAY:
            g = g + decay * p
        elif decay_kind == DECOUPLED_DECAY:
            p[...] = p * decay
        variant, of_step = steps[0]
        scalars = [p.dtype.type(s) for s in of_step]
        slots = self._buffers.slots[i]
        if self._measure is not None:
            x = _reductions.norm([p])
            y = _reductions.norm([self._measure(p, g, slots, scalars)])
            scalars.append(p.dtype.type(trust_ratio(trust, x, y)))
        self._rule(p, g, slots, scalars, variant)

    def rewrite(self) -> float | None:
        """Apply the transforms to the arrays themselves; return the norm if they clip by it."""
        context = Context(params=self._params, numbers=range(len(self._params)))
        with np.errstate(all="ignore"):
            moved = self._params
            for transform in self._transforms:
                moved = transform.apply(moved, context)
            for p, g in zip(self._params, moved, strict=True):
                p[...] = g
        return context.norm

    def global_norm(self) -> float:
        """Return the norm of all arrays together."""
        with np.errstate(all="ignore"):
            return _reductions.norm(self._params)

    def all_finite(self) -> bool:
        """Return whether no element of any array is infinite or NaN."""
        return _reductions.all_finite(self._params)
