"""`instep bench` checks before it times, and reports everything it promises."""

from __future__ import annotations

import gc
import importlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import instep
from bench_command import bench_module, run
from instep.cli import (
    _bench_check,
    _bench_contestants,
    _bench_every,
    _bench_machine,
    _bench_run,
    _bench_table,
    _bench_timing,
)
from instep.cli._bench_cases import CASES, Case, Problem, memory_needed
from instep.cli._bench_contestants import Contestant, Idiom, Native, Reference, Tuned, contestants
from instep.cli._bench_limit import Traffic
from instep.cli._bench_run import Result
from instep.cli._bench_sizes import SIZES, Size, many
from instep.cli._bench_timing import Timing
from instep.transforms import Transform

TORCH = "torch_fused"
PEERS = {"instep", "reference", "numpy_temporaries", "numpy_out"}
LIMITS = {"call", "traffic"}
EVERYONE = PEERS | LIMITS | {TORCH}
ODD = Size("2 x 40001", ((40001,),) * 2)  # more than one block, and a tail
CASE_IDS = [c.name for c in CASES]

EVERY_TRANSFORM = [
    t for t in vars(instep).values() if isinstance(t, type) and issubclass(t, Transform)
]


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bench_contestants, "find_spec", lambda name: None)


def test_everything_is_reported(hasty: None, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    figures, picture = tmp_path / "b.json", tmp_path / "b.png"
    options = ("--quick", "--max-elements", "1000", "--repeats", "3")
    done = run(*options, "--json", str(figures), "--plot", str(picture))
    assert done.exit_code == 0, done.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(figures.read_text())
    assert document["dtype"] == "float32"
    assert {"cpu", "numpy", "torch", "isa_active", "threads"} <= set(document["machine"])
    found = {(r["case"], r["size"]) for r in document["results"]}
    assert found == {(case, size) for case in CASE_IDS for size in ("10", "1e3")}
    for result in document["results"]:
        assert set(result["contestants"]) == EVERYONE
        for figure in result["contestants"].values():
            assert 0 < figure["min_s"] <= figure["q1_s"] <= figure["median_s"] <= figure["q3_s"]
            assert figure["q3_s"] <= figure["max_s"]
            assert figure["samples"] == 3
            seconds = figure["ns_per_element"] * result["elements"] / 1e9
            assert seconds == pytest.approx(figure["median_s"])
            gigabytes = result["bytes_per_element"] * result["elements"] / 1e9
            assert figure["gb_per_s"] == pytest.approx(gigabytes / figure["median_s"])
        bounds, binds = result["bounds_s"], result["binds"]
        for name in LIMITS:
            assert bounds[name] == result["contestants"][name]["median_s"]
        assert bounds[binds] == max(bounds.values())
        own = result["contestants"]["instep"]["median_s"]
        assert result["reached"] == pytest.approx(bounds[binds] / own)


def test_table_fits_80_columns(hasty: None) -> None:
    done = run("--quick", "--max-elements", "10", "--repeats", "1")
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "…" not in done.stdout
    for case in CASES:
        bytes_each = case.bytes_per_element(4)
        assert f"{case.title}: {bytes_each} bytes per element" in done.stdout
    for word in ("µs/", "step", "ns/", "elem", "GB/s", "binds", "of it", "torch", "out=", "erence"):
        assert word in done.stdout


def test_the_widest_table_fits_80_columns() -> None:
    """Where arithmetic binds, steps are long, and others take hundreds of times as long."""
    others = [TORCH, *(c.name for c in (Idiom, Tuned, Reference))]
    times = {"instep": 0.1234, "call": 1e-6, "traffic": 1e-6, **dict.fromkeys(others, 90.0)}
    timings = {name: Timing(1, [seconds]) for name, seconds in times.items()}
    wide = Result(CASES[0], many(1000, 64), 1, 28 * 64000, 1e-6, [timings])
    out = io.StringIO()
    _bench_table.show(Console(file=out, width=80), [wide])
    assert "…" not in out.getvalue()
    assert "arithm. " in out.getvalue()
    assert "123400" in out.getvalue()


def test_bytes_per_element() -> None:
    assert [c.bytes_per_element(4) for c in CASES] == [28, 32, 20]
    assert [c.bytes_per_element(8) for c in CASES] == [56, 64, 40]


def test_sizes_are_the_promised_ones_and_fit_12_gib() -> None:
    single = [s.elements for s in SIZES if s.tensors == 1]
    assert single == [10, 10**3, 10**4, 10**5, 10**6, 16 * 10**6, 64 * 10**6]
    assert [s.shapes for s in SIZES if s.tensors > 1] == [((64,),) * 1000]
    assert max(memory_needed(c, s, "float32", 5) for c in CASES for s in SIZES) < 12 * 2**30


def test_without_torch(hasty: None, without_torch: None, tmp_path: Path) -> None:
    figures, picture = tmp_path / "b.json", tmp_path / "b.svg"
    options = ("--max-elements", "10", "--repeats", "1", "--case", "adam", "--dtype", "float64")
    done = run(*options, "--json", str(figures), "--plot", str(picture))
    assert done.exit_code == 0, done.output
    assert "pip install torch" in done.stdout
    (row,) = re.findall(r"^ +10 .*$", done.stdout, re.MULTILINE)
    assert row.split()[-4] == "-"
    (result,) = json.loads(figures.read_text())["results"]
    assert set(result["contestants"]) == PEERS | LIMITS
    assert result["bytes_per_element"] == 56
    assert picture.read_text().lstrip().startswith("<?xml")


def test_sizes_that_do_not_fit_are_named(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "available_memory", lambda: 100_000.0)
    done = run("--max-elements", "10000", "--repeats", "1", "--case", "sgd-momentum")
    assert done.exit_code == 0, done.output
    assert "1e4 elements left out" in done.stdout
    assert not re.search(r"^ +1e4 ", done.stdout, re.MULTILINE)


def test_a_busy_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "load", lambda: 3.0)
    assert "load 3.0" in bench_module._busy()[0]
    monkeypatch.setattr(bench_module, "load", lambda: 0.1)
    assert bench_module._busy() == []


def test_no_memory_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "available_memory", lambda: 0.0)
    done = run("--quick")
    assert done.exit_code == 2
    assert "10 elements left out" in done.stderr


@pytest.mark.parametrize(
    "option",
    [
        ("--case", "adamx"),
        ("--repeats", "0"),
        ("--dtype", "int8"),
        ("--max-elements", "9"),
        ("--plot", "picture.txt"),
        ("--plot", "no/such/directory/b.png"),
        ("--json", "no/such/directory/b.json"),
    ],
)
def test_bad_options_are_refused_before_anything_is_measured(
    option: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "run", lambda *_: pytest.fail("measured"))
    done = run(*option)
    assert done.exit_code == 2
    assert option[0] in done.stderr


# The check.


class NoClip(Idiom):
    label = "no clip"

    def _clipped(self, max_norm: float) -> list[np.ndarray]:
        return self.grads


class NoDecay(Tuned):
    label = "no decay"

    def __init__(self, case: Case, *arrays: list[np.ndarray]) -> None:
        super().__init__(Case(case.name, case.title, case.optimizer, case.slots), *arrays)


class NoTail(Tuned):
    label = "no tail"

    def __init__(self, case: Case, *arrays: list[np.ndarray]) -> None:
        super().__init__(case, *arrays)
        self.blocks.pop()


class NoBiasCorrection(Idiom):
    label = "no bias correction"

    def step(self) -> None:
        self.t += 10_000
        super().step()


class NotANumber(Tuned):
    label = "not a number"

    def step(self) -> None:
        super().step()
        self.params[0][-1] = np.nan


class OneBitOff(Native):
    label = "one bit off"

    def step(self) -> None:
        super().step()
        p = self.params[-1]
        p[-1] = np.nextafter(p[-1], p.dtype.type(1))


def checked(case: Case, cls: type[Contestant], dtype: str = "float32") -> None:
    problem = Problem(case, ODD, dtype)
    contestant = cls(case, problem.start, problem.grads)
    _bench_check.check(problem, [contestant], _bench_check.answer(problem))


@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_contestants_pass_and_gradients_stay(case: Case, dtype: str) -> None:
    problem = Problem(case, ODD, dtype)
    before = [g.copy() for g in problem.grads]
    everyone = [c(case, problem.start, problem.grads) for c in contestants()]
    _bench_check.check(problem, everyone, _bench_check.answer(problem))
    _bench_check.check_traffic(problem, Traffic(case, problem.start, problem.grads))
    assert all(np.array_equal(a, b) for a, b in zip(before, problem.grads, strict=True))


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("adamw-clip", NoClip),
        ("adamw-clip", NoDecay),
        ("adam", NoBiasCorrection),
        *((name, cls) for name in CASE_IDS for cls in (NoTail, NotANumber, OneBitOff)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_result_is_found(name: str, cls: type[Contestant], dtype: str) -> None:
    (case,) = (c for c in CASES if c.name == name)
    with pytest.raises(_bench_check.CheckError, match=f"2 x 40001 elements, {dtype}: {cls.label}"):
        checked(case, cls, dtype)


def test_a_wrong_result_ends_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_module, "contestants", lambda: [Native, Reference, NoClip])
    timed: list[object] = []
    monkeypatch.setattr(_bench_run, "arithmetic", lambda *_: 0.0)
    monkeypatch.setattr(_bench_run, "measure", lambda *args: timed.append(args))
    options = ("--case", "adamw-clip", "--max-elements", "1000", "--json", str(tmp_path / "b.json"))
    done = run(*options)
    assert done.exit_code == 1
    assert "AdamW, clipping by global norm, 10 elements, float32: no clip must be" in done.stderr
    assert not timed
    assert not (tmp_path / "b.json").exists()


def test_a_limit_that_moves_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Traffic, "step", lambda self: None)
    problem = Problem(CASES[0], ODD, "float32")
    traffic = Traffic(CASES[0], problem.start, problem.grads)
    with pytest.raises(_bench_check.CheckError, match="does not move its streams"):
        _bench_check.check_traffic(problem, traffic)


def test_a_limit_that_does_not_read_the_gradients_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Traffic, "norm", lambda self: 1.0)
    problem = Problem(CASES[1], ODD, "float32")
    traffic = Traffic(CASES[1], problem.start, problem.grads)
    with pytest.raises(_bench_check.CheckError, match="norm that the limit reads for is"):
        _bench_check.check_traffic(problem, traffic)


# The timing.


def test_everyone_takes_turns() -> None:
    turns = list(_bench_timing.turns([0.1, 0.1, 0.1], 4))
    assert turns == [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]


def test_slow_contestants_take_fewer_turns_spread_over_the_rounds() -> None:
    turns = list(_bench_timing.turns([0.01, 60.0], 9))
    assert (turns.count(0), turns.count(1)) == (9, _bench_timing.FEWEST)
    rounds = [turns[: i + 1].count(0) for i, who in enumerate(turns) if who == 1]
    assert np.diff(rounds).min() >= 2


def test_garbage_collection_rests_while_timing(hasty: None) -> None:
    seen = []

    class Watching(Idiom):
        def step(self) -> None:
            seen.append(gc.isenabled())

    problem = Problem(CASES[0], SIZES[0], "float32")
    (timing,) = _bench_timing.measure([Watching(CASES[0], problem.start, problem.grads)], 2)
    assert seen
    assert not any(seen)
    assert gc.isenabled()
    assert len(timing.samples) == 2
    assert timing.spread["min"] <= timing.median <= timing.spread["max"]


@pytest.mark.parametrize("paused", range(12))
def test_a_pause_does_not_make_samples_short(monkeypatch: pytest.MonkeyPatch, paused: int) -> None:
    class Clock:
        now, steps = 0.0, 0

        def refresh(self) -> None: ...

        def step(self) -> None:
            self.now += 1e-4 + (0.05 if self.steps == paused else 0.0)
            self.steps += 1

    clock = Clock()
    monkeypatch.setattr(_bench_timing.time, "perf_counter", lambda: clock.now)
    (timing,) = _bench_timing.measure([clock], 3)
    assert timing.loops * 1e-4 >= _bench_timing.SAMPLE
    assert timing.median == pytest.approx(1e-4)


def test_the_machine_has_a_name() -> None:
    assert _bench_machine.cpu_model()
    assert _bench_machine.available_memory() > 0
    assert _bench_machine._lines("/no/such/file") == {}


def test_every_optimizer_and_transform(hasty: None, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    figures = tmp_path / "every.json"
    done = run("--all", "--quick", "--repeats", "2", "--json", str(figures))
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    for name in instep.optimizers.__all__:
        line, binds = [text for text in lines if text.split()[:1] == [name] and "%" in text]
        has_torch = name in dir(importlib.import_module("torch").optim)
        assert line.endswith("x" if has_torch else "-"), line
        assert re.fullmatch(rf" *{name}( +(call|arithm\.|traffic) \d+ %){{2}}", binds), binds
    for t in EVERY_TRANSFORM:
        (line,) = [text for text in lines if text.split()[:1] == [t.__name__]]
        assert re.search(r"\d+ %$", line), line
    results = json.loads(figures.read_text())["results"]
    assert len(results) == 2 * len(instep.optimizers.__all__) + len(EVERY_TRANSFORM)


def test_traffic_of_rules_of_two_passes() -> None:
    bytes_each = {c.name: c.bytes_per_element(4) for c in _bench_every.optimizer_cases()}
    # LAMB reads p, m, v once more, LARS p and g.
    assert bytes_each | {"LAMB": 40, "LARS": 28, "SGD": 12, "Adam": 28, "Adagrad": 20} == bytes_each


@pytest.mark.parametrize("option", [("--case", "adam"), ("--max-elements", "100")], ids=str)
def test_all_refuses_what_it_would_ignore(option: tuple[str, str]) -> None:
    done = run("--all", *option)
    assert done.exit_code == 2
    assert f"got {option[0]}" in " ".join(done.output.split())


def test_a_wrong_transform_is_not_timed(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instep.Scale, "_native", lambda self, step: (1, 0.25, 0.0, 0))
    done = run("--all", "--quick", "--repeats", "1")
    assert done.exit_code == 1
    assert "instep must have the bits of the reference" in " ".join(done.output.split())
