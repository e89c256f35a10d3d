"""Results are checked before they are timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from ._bench_cases import CHUNK, Arrays, Problem
from ._bench_contestants import Contestant, Reference
from ._bench_limit import Traffic

STEPS = 3
ROUNDINGS = 100
"""How far a contestant may be from the reference: so many roundings (eps of the dtype; 1.2e-5 for
float32, 2.2e-14 for float64) of the largest update. Each step rounds a dozen times in an order of
its own, and rounds the parameter, which is some ten times the update, once more."""


class CheckError(Exception):
    """A contestant does not compute what it is timed for."""


def answer(problem: Problem) -> Arrays:
    """Return where the reference ends after the steps of the check."""
    reference = Reference(problem.case, problem.start, problem.grads)
    _take_steps(problem, [reference])
    return reference.reached()


def check(problem: Problem, contestants: Sequence[Contestant], wanted: Arrays) -> None:
    """Take a few steps with everyone and compare where they end with what `answer` returned.

    Raises
    ------
    CheckError
        If a contestant differs from the reference by a bit, where it must equal it, or by more
        than rounding can explain.
    """
    _take_steps(problem, contestants)
    for contestant in contestants:
        contestant.refresh()
        _compare(problem, contestant, wanted)


def _take_steps(problem: Problem, contestants: Sequence[Contestant]) -> None:
    """Double the gradients from step to step, and undo it.

    Under clipping that must change nothing, without it much: a contestant that forgets to clip, or
    clips twice, is found.
    """
    for k in range(STEPS):
        _scale(problem.grads, 2.0 if k else 1.0)  # exact, and so is its undoing below
        for contestant in contestants:
            contestant.refresh()
            contestant.step()
    _scale(problem.grads, 0.5 ** (STEPS - 1))


def _scale(arrays: Arrays, factor: float) -> None:
    for a in arrays:
        np.multiply(a, factor, out=a)


def _compare(problem: Problem, contestant: Contestant, wanted: Arrays) -> None:
    allowed = 0.0 if contestant.exact else ROUNDINGS * float(np.finfo(problem.dtype).eps)
    if problem.case.max_norm is not None:
        allowed = max(allowed, contestant.clips_apart)
    found = contestant.reached()
    difference, update = _largest(found, wanted, problem.start)
    if not 0 < update < np.inf:
        raise CheckError(f"{problem}: the reference's largest update is {update}")
    right = difference <= allowed * update  # False for a NaN
    if contestant.exact:
        right = _same_bits(found, wanted)
    if not right:
        rule = "have the bits" if contestant.exact else f"be within {allowed:.1e}"
        raise CheckError(
            f"{problem}: {contestant.label} must {rule} of the reference; the largest difference "
            f"is {difference / update:.1e} of the largest update. Nothing was timed."
        )


def _same_bits(found: Arrays, wanted: Arrays) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in _chunks(found, wanted))


def _largest(found: Arrays, wanted: Arrays, start: Arrays) -> tuple[float, float]:
    """Return the largest magnitudes of ``found - wanted`` and of ``wanted - start``."""
    difference, update = 0.0, 0.0
    for a, b, p in _chunks(found, wanted, start):
        wide = b.astype(np.float64)
        difference = float(np.maximum(difference, np.max(np.abs(a - wide))))
        update = float(np.maximum(update, np.max(np.abs(wide - p))))
    return difference, update


def _chunks(*lists: Arrays) -> Iterator[tuple[np.ndarray, ...]]:
    for arrays in zip(*lists, strict=True):
        for first in range(0, arrays[0].size, CHUNK):
            yield tuple(a.reshape(-1)[first : first + CHUNK] for a in arrays)


def check_traffic(problem: Problem, limit: Traffic) -> None:
    """See what is added first come through every slot and arrive.

    Raises
    ------
    CheckError
        If it does not, or if the norm that the loop reads for is wrong.
    """
    for _ in range(problem.case.slots + 1):
        limit.step()
    for p, start, g in _chunks(limit.params, problem.start, problem.grads):
        if not np.array_equal(p, start + g):
            raise CheckError(f"{problem}: the loop for the limit does not move its streams")
    if not problem.case.reads:
        return
    squares = (float(np.sum(np.square(g, dtype=np.float64))) for (g,) in _chunks(problem.grads))
    norm, found = sqrt(sum(squares)), limit.norm()
    if found is None or not abs(found - norm) <= 1e-12 * norm:
        raise CheckError(f"{problem}: the norm that the limit reads for is {found}")
