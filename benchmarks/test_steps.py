"""A step of every contestant of `instep bench`, for pytest-benchmark to save and compare.

Run `pytest benchmarks`. Contestants run one after the other here; `instep bench` lets them take
turns, and is the place for ratios.
"""

from __future__ import annotations

from typing import Any

import pytest

import instep
from instep.cli._bench_cases import CASES, Problem
from instep.cli._bench_check import answer, check, check_traffic
from instep.cli._bench_contestants import Contestant, Reference
from instep.cli._bench_limit import Traffic
from instep.cli._bench_peers import peers
from instep.cli._bench_sizes import SIZES

EVERYONE = [*peers()[0], Reference, Traffic]
LABELS = ("10", "1e3", "1e5", "1e6", "1000 x 64")
THREADS = instep.get_num_threads()
PROBLEMS = [(case, size) for case in CASES for size in SIZES if size.label in LABELS]


@pytest.fixture(scope="module", params=PROBLEMS, ids=[f"{c.name}, {s.label}" for c, s in PROBLEMS])
def checked(request: pytest.FixtureRequest) -> dict[str, Contestant]:
    """All contestants for one case and size, after the check of their results."""
    case, size = request.param
    problem = Problem(case, size, "float32")
    able = [cls for cls in EVERYONE if cls.refusal(case, size, "float32", THREADS) is None]
    made = {cls.name: cls(case, problem.start, problem.grads) for cls in able}
    traffic = made[Traffic.name]
    assert isinstance(traffic, Traffic)
    check_traffic(problem, traffic)
    check(problem, [c for c in made.values() if c is not traffic], answer(problem))
    return made


@pytest.mark.benchmark(min_rounds=3, max_time=0.2, disable_gc=True, warmup=False)
@pytest.mark.parametrize("name", [cls.name for cls in EVERYONE])
def test_step(benchmark: Any, checked: dict[str, Contestant], name: str) -> None:
    if name not in checked:
        pytest.skip(f"{name} does not take part in this")
    contestant = checked[name]
    benchmark.group = f"{contestant.case.name}, {sum(p.size for p in contestant.params)} elements"
    benchmark(contestant.step)
