"""A step of every contestant of `instep bench`, for pytest-benchmark to save and compare.

Run `pytest benchmarks`. Contestants run one after the other here; `instep bench` lets them take
turns, and is the place for ratios.
"""

from __future__ import annotations

from typing import Any

import pytest

from instep.cli._bench_cases import CASES, SIZES, Problem
from instep.cli._bench_check import check
from instep.cli._bench_contestants import Contestant, contestants
from instep.cli._bench_limit import Limit

EVERYONE = [*contestants(), Limit]
LABELS = ("10", "1e3", "1e5", "1e6", "1000 x 64")
PROBLEMS = [(case, size) for case in CASES for size in SIZES if size.label in LABELS]


@pytest.fixture(scope="module", params=PROBLEMS, ids=[f"{c.name}, {s.label}" for c, s in PROBLEMS])
def checked(request: pytest.FixtureRequest) -> dict[str, Contestant]:
    """All contestants for one case and size, after the check of their results."""
    case, size = request.param
    problem = Problem(case, size, "float32")
    made = {cls.name: cls(case, problem.start, problem.grads) for cls in EVERYONE}
    limit = made[Limit.name]
    assert isinstance(limit, Limit)
    check(problem, [c for c in made.values() if c is not limit], limit)
    return made


@pytest.mark.benchmark(min_rounds=3, max_time=0.2, disable_gc=True, warmup=False)
@pytest.mark.parametrize("name", [cls.name for cls in EVERYONE])
def test_step(benchmark: Any, checked: dict[str, Contestant], name: str) -> None:
    contestant = checked[name]
    benchmark.group = f"{contestant.case.name}, {sum(p.size for p in contestant.params)} elements"
    benchmark(contestant.step)
