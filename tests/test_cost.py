"""The model of a step's time, and the program that measures what it knows."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "cost.py"

if not PROGRAM.exists():
    pytest.skip("tests without the benchmarks", allow_module_level=True)


@pytest.fixture(scope="module")
def cost() -> Any:
    spec = importlib.util.spec_from_file_location("cost", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["cost"] = module
    spec.loader.exec_module(module)
    return module


def test_the_larger_of_computing_and_moving_is_what_a_step_takes(cost: Any) -> None:
    seconds = {1: [10.0, 4000.0], 2: [5.0, 2000.0]}
    model = cost.Model(call=3.0, array=0.5, element=0.2, sizes=[100, 10_000], seconds=seconds)
    assert model.step(100, 1) == 3 + 20  # computing: the loop takes 10
    assert model.step(10_000, 1) == 3 + 4000  # moving: 0.4 each
    assert model.step(1000, 1) == pytest.approx(3 + 250)  # between them, by the logarithm
    assert model.step(10_000_000, 2) == 3 + 2_000_000  # beyond: as the last
    assert model.step(100, 1, arrays=5) == 3 + 2 + 20


def test_hosts_share_memory_and_time(cost: Any) -> None:
    seconds = {2: [1e-6, 1e-2]}
    model = cost.Model(call=0.0, array=0.0, element=0.0, sizes=[1000, 10_000_000], seconds=seconds)
    assert cost.forecast(model, 10**9, 1, 2) == pytest.approx((16e9, 1.0, 0.0))
    memory, step, exchange = cost.forecast(model, 10**9, 10, 2)
    assert (memory, step, exchange) == pytest.approx((1.6e9, 0.1, 8e9 * 0.9 / cost.NETWORK))


def test_a_wrong_step_is_not_timed(cost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cost.Step(*cost.problem(1000, 2))
    made.check()
    made.grads[1] = made.grads[1].copy()
    monkeypatch.setattr(made.optimizer, "_plan", cost.Step(*cost.problem(1000, 2)).optimizer._plan)
    with pytest.raises(SystemExit, match="wrong result at 1000 elements"):
        made.check()


def test_program(tmp_path: Path) -> None:
    file = tmp_path / "cost.json"
    command = [sys.executable, str(PROGRAM), "--most", "1000", "--quick", "--json", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "Expected" in done.stdout
    document = json.loads(file.read_text())
    assert {p["arrays"] for p in document["points"]} >= {1, 10, 100}
    assert all(p["seconds"] > 0 for p in document["points"])
