"""Check, then time, every case at every size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

import instep

from ._bench_cases import Case, Problem, memory_needed
from ._bench_check import answer, check, check_traffic
from ._bench_contestants import Contestant, Native
from ._bench_limit import Bounds, Call, Traffic, arithmetic, threads_at_work
from ._bench_sizes import Size
from ._bench_timing import Timing, measure

Class = type[Contestant]


@dataclass(frozen=True)
class Settings:
    """How to measure."""

    repeats: int
    """How many samples to take of each contestant."""
    threads: tuple[int, ...]
    """With so many threads: everything with the most, then everything with the next."""
    alone: float = inf
    """How many elements a single thread is given at most."""
    dtype: str = "float32"
    memory: float = inf
    """How many bytes to use at most."""
    progress: Callable[[str], None] = lambda _: None
    """Told what begins: once for each case, size and number of threads."""


@dataclass(frozen=True)
class Result:
    """What was measured of one case at one size, with one number of threads."""

    case: Case
    size: Size
    threads: int
    bytes_per_step: int
    core: float
    """The seconds that a core computes for each element."""
    groups: Sequence[Mapping[str, Timing]]
    """By the name of the contestant; instep and its limits are in each group that took turns."""

    @property
    def names(self) -> list[str]:
        """Who was measured."""
        return list(dict.fromkeys(name for group in self.groups for name in group))

    def timing(self, name: str = Native.name) -> Timing:
        """Return the samples of a contestant in all groups."""
        found = [group[name] for group in self.groups if name in group]
        return Timing(found[0].loops, [s for timing in found for s in timing.samples])

    def seconds(self, name: str = Native.name) -> float:
        """Return the median time of a step."""
        return self.timing(name).median

    def ns_per_element(self, name: str = Native.name) -> float:
        """Return the median time of a step for each element."""
        return self.seconds(name) * 1e9 / self.size.elements

    def gb_per_s(self, name: str = Native.name) -> float:
        """Return what a step must move, divided by the median time it takes."""
        return self.bytes_per_step / self.seconds(name) / 1e9

    def ratio(self, name: str) -> float | None:
        """Return how many times instep is faster, where they took turns; None if it did not."""
        for group in self.groups:
            if name in group:
                return group[name].median / group[Native.name].median
        return None

    @property
    def bounds(self) -> Bounds:
        """What a step takes at least."""
        at_work = threads_at_work(self.size.elements, self.threads, self.size.tensors)
        computing = self.core * self.size.elements / at_work
        return Bounds(self.seconds(Call.name), self.seconds(Traffic.name), computing)

    @property
    def reached(self) -> float:
        """How much of the speed of the limit that binds a step reaches; 1 is all."""
        return max(self.bounds) / self.seconds()

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON has it; times are of one step."""
        return {
            "case": self.case.name,
            "size": self.size.label,
            "threads": self.threads,
            "tensors": self.size.tensors,
            "elements": self.size.elements,
            "bytes_per_element": self.bytes_per_step // self.size.elements,
            "bounds_s": self.bounds._asdict(),
            "binds": self.bounds.binds,
            "reached": self.reached,
            "contestants": {name: self._figures(name) for name in self.names},
        }

    def _figures(self, name: str) -> dict[str, float]:
        timing = self.timing(name)
        spread = {f"{key}_s": value for key, value in timing.spread.items()}
        figures = {"median_s": timing.median, **spread, "samples": len(timing.samples)}
        figures |= {"steps_per_sample": timing.loops, "gb_per_s": self.gb_per_s(name)}
        ratio = self.ratio(name)
        assert ratio is not None
        return figures | {"ns_per_element": self.ns_per_element(name), "ratio_to_instep": ratio}


def run(
    cases: Sequence[Case], sizes: Sequence[Size], among: Sequence[Class], settings: Settings
) -> list[Result]:
    """Measure all cases at all sizes.

    Parameters
    ----------
    cases, sizes : sequences
        What to measure.
    among : sequence of Contestant classes
        Who competes, `Native` first.
    settings : Settings
        How to measure.

    Raises
    ------
    CheckError
        If a contestant computes something else than the reference.
    """
    cores = {case: arithmetic(case, settings.dtype) for case in cases}
    return [
        run_one(Problem(case, size, settings.dtype), among, settings, n, cores[case])
        for n in sorted(settings.threads, reverse=True)
        for case in cases
        for size in sizes
        if n > 1 or size.elements <= settings.alone
    ]


def run_one(
    problem: Problem,
    among: Sequence[Class],
    settings: Settings,
    threads: int,
    core: float,
    unchecked: Sequence[Class] = (),
) -> Result:
    """Measure one case at one size, among these; those that do something else are not checked.

    All take turns, if there is memory for all of them at once. If not they come in groups, with
    instep and its limits in each, and what is said of each is its ratio to instep in its group.
    """
    case, size, dtype = problem.case, problem.size, problem.dtype.name
    settings.progress(f"{case.title}, {size.label}")
    wanted = answer(problem)
    able = [c for c in among if c.refusal(case, size, dtype, threads) is None]
    with using_threads(threads, [*able, *unchecked]):
        groups = [
            _timed(problem, group, wanted, unchecked, settings.repeats)
            for group in in_groups(problem, able, settings.memory)
        ]
    return Result(case, size, threads, problem.bytes_per_step, core, groups)


def in_groups(problem: Problem, among: Sequence[Class], memory: float) -> Iterator[list[Class]]:
    """Yield as many at a time as there is memory for, and instep with each."""
    first, *others = among
    case, size, dtype = problem.case, problem.size, problem.dtype.name
    room = 1  # those to whom this was too little are not here: see fitting()
    while room < len(others) and memory_needed(case, size, dtype, room + 2) <= memory:
        room += 1
    for at in range(0, max(1, len(others)), room):
        yield [first, *others[at : at + room]]


def _timed(
    problem: Problem,
    group: Sequence[Class],
    wanted: list[Any],
    unchecked: Sequence[Class],
    repeats: int,
) -> dict[str, Timing]:
    """Return the samples of each; their arrays are gone before the next group comes."""
    everyone = _checked(problem, group, wanted)
    everyone += [cls(problem.case, problem.start, problem.grads) for cls in unchecked]
    timings = measure(everyone, repeats)
    return {c.name: t for c, t in zip(everyone, timings, strict=True)}


def _checked(problem: Problem, group: Sequence[Class], wanted: list[Any]) -> list[Contestant]:
    """Return all of a group and the limits, which come next to instep, in memory too."""
    case, start, grads = problem.case, problem.start, problem.grads
    first = group[0](case, start, grads)
    call, traffic = Call(case, start, grads), Traffic(case, start, grads)
    check_traffic(problem, traffic)
    others = [cls(case, start, grads) for cls in group[1:]]
    check(problem, [first, *others], wanted)
    return [first, call, traffic, *others]


@contextmanager
def using_threads(n: int, classes: Sequence[Class]) -> Iterator[None]:
    """Let all libraries use so many threads, and then as many as instep did before.

    Where that changes nothing they are left alone: torch's MKL takes milliseconds for the square
    root of a few thousand elements as soon as anybody has told it how many threads to use. That is
    also why `run` begins with the most.
    """
    before = instep.get_num_threads()
    if n == before:
        yield
        return
    for cls in classes:
        cls.use_threads(n)
    try:
        yield
    finally:
        for cls in classes:
            cls.use_threads(before)
