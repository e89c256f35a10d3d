"""Check, then time, every case at every size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ._bench_cases import Case, Problem, Size
from ._bench_check import check
from ._bench_contestants import Contestant, Native, contestants
from ._bench_limit import Limit
from ._bench_timing import Timing, measure


@dataclass(frozen=True)
class Result:
    """What was measured of one case at one size."""

    case: Case
    size: Size
    bytes_per_step: int
    timings: dict[str, Timing]
    """By the name of the contestant; the limit is one of them."""

    def ns_per_element(self, name: str = Native.name) -> float:
        """Return the median time of a step for each element."""
        return self.timings[name].median * 1e9 / self.size.elements

    def gb_per_s(self, name: str = Native.name) -> float:
        """Return what a step must move, divided by the median time it takes."""
        return self.bytes_per_step / self.timings[name].median / 1e9

    def ratio(self, name: str) -> float | None:
        """Return how many times instep is faster; None if that contestant is not here."""
        if name not in self.timings:
            return None
        return self.timings[name].median / self.timings[Native.name].median

    @property
    def part_of_limit(self) -> float:
        """How much of the speed of the limit's loop a step reaches; 1 is all."""
        return self.timings[Limit.name].median / self.timings[Native.name].median

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON has it; times are of one step."""
        return {
            "case": self.case.name,
            "size": self.size.label,
            "tensors": self.size.tensors,
            "elements": self.size.elements,
            "bytes_per_element": self.bytes_per_step // self.size.elements,
            "part_of_limit": self.part_of_limit,
            "contestants": {name: self._figures(name) for name in self.timings},
        }

    def _figures(self, name: str) -> dict[str, float]:
        timing = self.timings[name]
        spread = {f"{key}_s": value for key, value in timing.spread.items()}
        figures = {"median_s": timing.median, **spread, "samples": len(timing.samples)}
        figures |= {"steps_per_sample": timing.loops, "gb_per_s": self.gb_per_s(name)}
        ratio = self.ratio(name)
        assert ratio is not None
        return figures | {"ns_per_element": self.ns_per_element(name), "ratio_to_instep": ratio}


def run(
    cases: Sequence[Case],
    sizes: Sequence[Size],
    dtype: str,
    repeats: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Measure all cases at all sizes.

    Parameters
    ----------
    cases, sizes : sequences
        What to measure.
    dtype : str
        Of all arrays.
    repeats : int
        How many samples to take of each contestant.
    progress : callable
        Told what begins: twice for each case and size.

    Raises
    ------
    CheckError
        If a contestant computes something else than the reference.
    """
    among = contestants()
    return [run_one(Problem(c, s, dtype), repeats, progress, among) for c in cases for s in sizes]


def run_one(
    problem: Problem,
    repeats: int,
    progress: Callable[[str], None],
    among: Sequence[type[Contestant]],
    unchecked: Sequence[type[Contestant]] = (),
) -> Result:
    """Measure one case at one size, among these; those that do something else are not checked."""
    progress(f"{problem.case.title}, {problem.size.label}: checking")
    competing = [cls(problem.case, problem.start, problem.grads) for cls in among]
    limit = Limit(problem.case, problem.start, problem.grads)
    check(problem, competing, limit)
    progress(f"{problem.case.title}, {problem.size.label}: timing")
    others = [cls(problem.case, problem.start, problem.grads) for cls in unchecked]
    everyone: list[Contestant] = [*competing, *others, limit]
    timings = measure(everyone, repeats)
    names = [c.name for c in everyone]
    by_name = dict(zip(names, timings, strict=True))
    return Result(problem.case, problem.size, problem.bytes_per_step, by_name)
