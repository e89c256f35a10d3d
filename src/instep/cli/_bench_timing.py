"""Interleaved timing in one process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Protocol


class Stepper(Protocol):
    """What can be timed."""

    def refresh(self) -> None:
        """Prepare for the steps of a sample: not timed."""

    def step(self) -> None:
        """Take one step."""


SAMPLE = 1e-2  # seconds: what a sample lasts at least, whose first steps wake threads
BUDGET = 2.5  # seconds for all samples of one contestant, unless FEWEST take longer
FEWEST = 3
SETTLE = 0.01  # seconds: threads of the contestant before spin so long before they sleep
LONG = 0.02  # seconds: a step after which neither caches nor sleeping threads matter


@dataclass
class Timing:
    """The samples of one contestant, in seconds for a step."""

    loops: int
    """How many steps each sample is the mean of."""
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure that ratios are made of."""
        return median(self.samples)

    @property
    def spread(self) -> dict[str, float]:
        """Minimum, quartiles and maximum."""
        s = self.samples
        q1, _, q3 = quantiles(s, n=4, method="inclusive") if len(s) > 1 else s * 3
        return {"min": min(s), "q1": q1, "q3": q3, "max": max(s)}


def measure(contestants: Sequence[Stepper], repeats: int) -> list[Timing]:
    """Time everyone in turn, and again, ``repeats`` times; the slow ones take part in fewer rounds.

    Each round starts with another contestant, so that nobody always follows the same one.
    """
    with _no_garbage_collection():
        calibrated = [_calibrated(c) for c in contestants]
        timings = [Timing(loops) for loops, _ in calibrated]
        costs = [cost for _, cost in calibrated]
        for i in turns(costs, repeats):
            _settle(contestants[i], costs[i])
            timings[i].samples.append(_sample(contestants[i].step, timings[i].loops))
    return timings


def turns(costs: Sequence[float], repeats: int) -> Iterator[int]:
    """Say whose turn it is, given what a sample of each costs in seconds."""
    quotas = [min(repeats, max(FEWEST, int(BUDGET / cost))) for cost in costs]
    for r in range(repeats):
        for k in range(len(costs)):
            i = (r + k) % len(costs)
            if (r + 1) * quotas[i] // repeats > r * quotas[i] // repeats:
                yield i


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sample(step: Callable[[], None], loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        step()
    return (time.perf_counter() - start) / loops


def _calibrated(contestant: Stepper) -> tuple[int, float]:
    """Return how many steps make a sample long enough, and how long that is.

    The quicker of two samples says so: one pause of the machine must not make all of them short.
    """
    loops, taken = 1, 0.0
    while taken < SAMPLE:
        loops *= 2 if taken else 1
        taken = _refreshed_sample(contestant, loops)
        if taken >= SAMPLE:
            taken = min(taken, _refreshed_sample(contestant, loops))
    return loops, taken


def _refreshed_sample(contestant: Stepper, loops: int) -> float:
    contestant.refresh()
    return _sample(contestant.step, loops) * loops


def _settle(contestant: Stepper, cost: float) -> None:
    """Let the threads of others go to sleep, then warm the caches and wake one's own threads."""
    contestant.refresh()
    time.sleep(SETTLE)
    if cost < LONG:
        contestant.step()
