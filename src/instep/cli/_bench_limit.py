"""The limits of the machine: a call, the traffic of a step, its arithmetic. One of them binds."""

from __future__ import annotations

import sys
from statistics import median
from typing import NamedTuple

import numpy as np

from .._backends import make_plan
from .._buffers import Buffers
from .._options import StepReport
from .._plans import NO_DECAY, NO_TRUST, Rows
from .._state import zero_slots
from ..transforms import ClipByGlobalNorm
from ._bench_cases import Arrays, Case, Problem
from ._bench_contestants import Contestant, Native
from ._bench_sizes import one
from ._bench_timing import measure

L1 = 24 * 2**10  # bytes: all arrays of a step together, three quarters of the smallest usual cache
FEW = 256  # elements: the smaller of the two sizes in that cache
PAIRS = 15
ROUNDS = 3  # of so many pairs; the least counts, for a limit
SERIAL = 16384  # elements: a thread is given at least so many (cpp/parallel.h),
FETCH = 64  # and that many more for each array (cpp/pieces.h)


class Traffic(Contestant):
    """A loop that reads and writes what a step does and does one addition.

    It runs in the native core as a step does: same blocks, same threads, same call from Python.
    Where a norm is needed before the first update (of gradients that are clipped, or by rules of
    two passes), passes that read as many arrays go before that loop, as they do in a step: the
    loop then finds in the caches what a step does. They sum squares, which a processor does faster
    than it reads.
    """

    name = "traffic"
    label = "traffic"

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        names = [f"[{i}]" for i in range(len(start))]
        slot_names = [f"slot{k}" for k in range(case.slots)]
        slots = [tuple(zero_slots(p, slot_names).values()) for p in start]
        buffers = Buffers(names, self.params).seal(slots, slot_names)
        reading = [ClipByGlobalNorm(sys.float_info.max)] * case.reads  # without effect
        self._plan = make_plan("native", "traffic", None, buffers, reading)
        self._plan.assign_rows([0] * len(names), [0])
        self._plan.watch([(self.params, [], tuple(self.params))], grouped=False)
        self._usual_step = self._plan.stepper(raising=False)
        self._report: StepReport | None = None
        self._rows: Rows = [(case.slots, ())] * 64, NO_DECAY, 0.0, NO_TRUST

    def step(self) -> None:
        """Move what a step moves."""
        report = self._usual_step(self.grads)
        if not report:
            self._plan.make_ready([self._rows], None)
            report = self._usual_step(self.grads)
        self._report = report

    def norm(self) -> float | None:
        """Return the norm that the last step read all gradients for, if it had to."""
        return self._report.grad_norm if self._report else None


class Call(Native):
    """A step on as many arrays of two elements: what a step costs before it does anything.

    Arrays of none or one take longer: they are no common case, and looked at more closely.
    """

    name = "call"
    label = "call"

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, _firsts(start), _firsts(grads))


def _firsts(arrays: Arrays) -> Arrays:
    return [a.reshape(-1)[:2].copy() for a in arrays]


def arithmetic(case: Case, dtype: str) -> float:
    """Return the seconds that a step computes for each element, on one core with all in L1.

    That is the slope between two sizes, in one row, which both fit: what the call costs drops out.
    """
    arrays = 2 + case.slots
    most = L1 // (arrays * np.dtype(dtype).itemsize) // FEW * FEW
    problems = [Problem(case, one("L1", 1, n), dtype) for n in (FEW, most)]
    steps = [Native(case, p.start, p.grads) for p in problems]

    def difference() -> float:
        few, many = measure(steps, PAIRS)
        return median(b - a for a, b in zip(few.samples, many.samples, strict=True))

    return max(0.0, min(difference() for _ in range(ROUNDS))) / (most - FEW)


class Bounds(NamedTuple):
    """The seconds that a step takes at least, for each reason."""

    call: float
    traffic: float
    arithmetic: float

    @property
    def binds(self) -> str:
        """Which of them binds."""
        return max(self._fields, key=lambda name: float(getattr(self, name)))


def threads_at_work(elements: int, threads: int, arrays: int = 1) -> int:
    """Return how many threads a step on so many elements, in so many arrays, uses."""
    return min(threads, max(1, (elements - FETCH * (arrays - 1)) // SERIAL))
