"""`instep bench --peers`: who takes part, who is left out and why, and which limit binds."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench_command import bench_module, run
from instep.cli import _bench_check, _bench_peers, _bench_peers_plot, _bench_run, _bench_timing
from instep.cli._bench_cases import CASES, Case, Problem, memory_needed
from instep.cli._bench_contestants import Contestant, Idiom, Native, Tuned
from instep.cli._bench_limit import Bounds, arithmetic, threads_at_work
from instep.cli._bench_peers import PEERS, Peer
from instep.cli._bench_run import Result
from instep.cli._bench_sizes import GPT2, LISTS, PEER_SIZES, Size, many, one
from instep.cli._bench_timing import Timing

ADAM, CLIP = CASES[:2]
ODD = Size("odd", ((3, 67), (129,), (1,)))
LONE = one("10", 10)


class Picky(Idiom):
    """A peer that cannot clip, nor use one thread."""

    name = "picky"
    label = "Picky"

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        if case.max_norm is not None:
            return "it cannot clip"
        return "it needs two" if threads == 1 else None


class Wrong(Tuned):
    name = "wrong"
    label = "Wrong"

    def step(self) -> None:
        super().step()
        self.params[-1] += 1e-6


PICKY = Peer("Picky", ("numpy",), "_picky", ("Picky",), "pip install picky")
MISSING = Peer("Nobody", ("no_such_package",), "_nobody", ("Nobody",), "pip install nobody")
UNBUILT = Peer("Half", ("numpy",), "_half", ("Half",), "BUILD=1 pip install half", "no/such.so")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, hasty: None) -> None:
    """Let instep compete with one peer; two others cannot be had."""
    monkeypatch.setattr(_bench_peers, "PEERS", (PICKY, MISSING, UNBUILT))
    monkeypatch.setattr(_bench_peers, "import_module", lambda *_: importlib.import_module(__name__))


def test_gpt2_small() -> None:
    assert GPT2.tensors == 148
    assert GPT2.elements == 124_439_808
    assert GPT2.shapes[:2] == ((50257, 768), (1024, 768))
    assert GPT2.shapes[2:14].count((768,)) == 6
    assert {(768, 2304), (2304,), (768, 768), (768, 3072), (3072,), (3072, 768)} < set(GPT2.shapes)


def test_sizes_are_the_promised_ones() -> None:
    single = {s.elements for s in PEER_SIZES if s.tensors == 1}
    assert {10**k for k in range(1, 9)} | {16 * 10**6, 64 * 10**6, 64} == single
    lists = [s.tensors for s in PEER_SIZES if set(s.shapes) == {(64,)}]
    assert lists == [1, 10, 100, 1000, 10_000]
    # instep and another at once
    assert max(memory_needed(c, s, "float32", 2) for c in CASES for s in PEER_SIZES) < 12 * 2**30


def test_peers_found_and_not_found(few: None) -> None:
    found, notes = _bench_peers.peers()
    assert [cls.name for cls in found] == ["instep", "picky", "numpy_temporaries", "numpy_out"]
    assert notes == [
        "Nobody is not installed: pip install nobody",
        "Half is not installed: BUILD=1 pip install half",
    ]


def test_everything_is_reported(few: None, tmp_path: Path) -> None:
    figures, picture = tmp_path / "p.json", tmp_path / "p.png"
    options = ("--peers", "--size", "1e2", "--size", "10 x 64", "--repeats", "2")
    options += ("--threads", "1", "--threads", "2", "--json", str(figures))
    done = run(*options, "--plot", str(picture))
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(figures.read_text())
    text = " ".join(done.stdout.split())
    for note in (
        "pip install nobody",
        "Picky left out: it cannot clip",
        "Picky left out: it needs",
    ):
        assert note in text
        assert any(note in found for found in document["notes"])
    results = document["results"]
    kinds = {(r["case"], r["size"], r["threads"]) for r in results}
    sizes = ("1e2", "10 x 64")
    assert kinds == {(c, s, n) for c in ("adam", "adamw-clip") for s in sizes for n in (1, 2)}
    others = {"instep", "numpy_temporaries", "numpy_out", "call", "traffic"}
    for r in results:
        picky = {"picky"} if (r["case"], r["threads"]) == ("adam", 2) else set()
        assert set(r["contestants"]) == others | picky
        assert set(r["bounds_s"]) == {"call", "traffic", "arithmetic"}
        own = r["contestants"]["instep"]["median_s"]
        assert r["reached"] == pytest.approx(r["bounds_s"][r["binds"]] / own)


def test_a_wrong_peer_is_not_timed(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bench_peers, "PEERS", (PICKY._replace(classes=("Wrong",)),))
    monkeypatch.setattr(_bench_run, "arithmetic", lambda *_: 0.0)
    monkeypatch.setattr(_bench_run, "measure", lambda *_: pytest.fail("timed"))
    done = run("--peers", "--size", "1e2")
    assert done.exit_code == 1
    assert "Wrong must be within 1.2e-05" in " ".join(done.stderr.split())


def test_groups_have_instep_in_each_and_all_others_once() -> None:
    class Third(Idiom):
        name = "third"

    problem = Problem(ADAM, LONE, "float32")
    among: list[type[Contestant]] = [Native, Picky, Idiom, Third, Tuned]
    room = memory_needed(ADAM, LONE, "float32", 3)
    groups = list(_bench_run.in_groups(problem, among, room))
    assert groups == [[Native, Picky, Idiom], [Native, Third, Tuned]]
    assert list(_bench_run.in_groups(problem, among, float("inf"))) == [among]
    assert list(_bench_run.in_groups(problem, [Native], 0.0)) == [[Native]]


def result(**seconds: float) -> Result:
    """Return a result of 1e6 elements on 2 threads, with a nanosecond of arithmetic for each."""
    group = {name: Timing(1, [s]) for name, s in seconds.items()}
    return Result(ADAM, one("1e6", 1_000_000), 2, 28_000_000, 1e-9, [group])


def test_the_largest_limit_binds() -> None:
    assert Bounds(3.0, 2.0, 1.0).binds == "call"
    assert Bounds(1.0, 2.0, 1.0).binds == "traffic"
    of_arithmetic = result(instep=1e-3, call=1e-6, traffic=4e-4)
    assert of_arithmetic.bounds == pytest.approx((1e-6, 4e-4, 5e-4))  # two threads share it
    assert of_arithmetic.bounds.binds == "arithmetic"
    assert of_arithmetic.reached == pytest.approx(0.5)
    of_traffic = result(instep=1e-3, call=1e-6, traffic=8e-4)
    assert of_traffic.bounds.binds == "traffic"
    assert of_traffic.reached == pytest.approx(0.8)


def test_a_ratio_is_that_of_a_group() -> None:
    both = [{"instep": Timing(1, [1.0]), "a": Timing(1, [3.0])}, {"instep": Timing(1, [2.0])}]
    both[1]["b"] = Timing(1, [3.0])
    of_both = Result(ADAM, LONE, 1, 280, 0.0, both)
    assert (of_both.ratio("a"), of_both.ratio("b"), of_both.ratio("c")) == (3.0, 1.5, None)
    assert of_both.seconds() == 1.5


def test_small_steps_use_one_thread() -> None:
    assert [threads_at_work(n, 4) for n in (10, 32_767, 32_768, 10**6)] == [1, 1, 2, 4]
    assert [threads_at_work(n * 1000, 4, 1000) for n in (64, 96, 97, 1000)] == [1, 1, 2, 4]


def test_arithmetic_is_a_time_without_the_call() -> None:
    problem = Problem(ADAM, one("L1", 256), "float32")
    (with_call,) = _bench_timing.measure([Native(ADAM, problem.start, problem.grads)], 5)
    assert 0 < arithmetic(ADAM, "float32") < 0.5 * with_call.median / 256


def test_the_fastest_of_a_package_is_drawn() -> None:
    found = result(instep=1.0, call=0.1, traffic=0.2, torch_default=5.0)
    quieter = {"instep": Timing(1, [0.5]), "torch_fused": Timing(1, [2.0])}
    found = replace(found, groups=[*found.groups, quieter])
    assert _bench_peers_plot.fastest(found, "torch") == 4.0 * 0.75
    assert _bench_peers_plot.fastest(found, "numba") is None
    assert _bench_peers_plot.fastest(found, _bench_peers_plot.LIMIT) == 0.2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_said_is_in_the_picture(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name for line in _bench_peers_plot.LINES.values() for name in line.names]
    found = result(call=0.1, traffic=0.2, **dict.fromkeys(names, 1.0))
    results = [replace(found, size=s) for s in (LONE, LISTS[0], GPT2)[:count]]
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    machine = "Some(R) Processor(R) 8481C CPU @ 2.70GHz, 2 cores: 2 threads, instruction set v4"
    _bench_peers_plot.plot_peers(results, tmp_path / "a.png", machine)
    (figure,) = drawn
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == len(_bench_peers_plot.LINES) + 1
    for said in (legend, *figure.texts):
        box = said.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


# The real ones, as far as they are here.


@pytest.mark.parametrize("peer", PEERS, ids=[p.title for p in PEERS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore")  # of others' imports
def test_a_peer_computes_what_the_reference_does(peer: Peer, dtype: str) -> None:
    if not _bench_peers._installed(peer):
        pytest.skip(f"not installed: {peer.install}")
    module = importlib.import_module(f"instep.cli.{peer.module}")
    threads = bench_module.instep.get_num_threads()
    taken = 0
    for cls in (getattr(module, name) for name in peer.classes):
        for case in (ADAM, CLIP):
            if cls.refusal(case, ODD, dtype, threads) is None:
                problem = Problem(case, ODD, dtype)
                before = [g.copy() for g in problem.grads]
                made = cls(case, problem.start, problem.grads)
                _bench_check.check(problem, [made], _bench_check.answer(problem))
                assert all(map(np.array_equal, before, problem.grads))
                taken += 1
    if not taken:
        pytest.skip(f"{peer.title} takes no part in {dtype}")


def test_torch_takes_a_root_alone_before_threads_take_one() -> None:
    torch = pytest.importorskip("torch", reason="not installed: pip install torch==2.13.0")
    modes = importlib.import_module("torch.utils._python_dispatch")
    own = importlib.import_module("instep.cli._bench_torch")
    seen = []

    class Watch(modes.TorchDispatchMode):  # type: ignore[name-defined,misc]
        def __torch_dispatch__(self, op, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if op.overloadpacket in {torch.ops.aten.sqrt, torch.ops.aten.sqrt_}:
                seen.append((str(args[0].dtype), args[0].numel()))
            return op(*args, **(kwargs or {}))

    own._take_a_root_alone.cache_clear()
    problem = Problem(ADAM, LONE, "float32")
    with Watch():
        own.TorchDefault(ADAM, problem.start, problem.grads).step()
    assert seen[:2] == [("torch.float32", 1), ("torch.float64", 1)]
    assert seen[2:] == [("torch.float32", LONE.elements)]


def test_refusals() -> None:
    thinc = importlib.import_module("instep.cli._bench_thinc").Thinc
    assert thinc.refusal(ADAM, LONE, "float32", 2) is None
    assert "float32" in thinc.refusal(ADAM, LONE, "float64", 2)
    assert "clips each tensor" in thinc.refusal(CLIP, LONE, "float32", 2)
    speed = importlib.import_module("instep.cli._bench_torch").DeepSpeed
    assert speed.refusal(ADAM, LONE, "float32", 2) is None
    assert "float64" in speed.refusal(ADAM, LONE, "float64", 2)
    assert "CPUAdam is no AdamW, clipping" in speed.refusal(CLIP, LONE, "float32", 2)


def test_jax_cannot_change_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = importlib.import_module("instep.cli._bench_jax").Jax
    monkeypatch.setenv("NPROC", "3")
    assert jax.refusal(ADAM, LONE, "float32", 3) is None
    assert "NPROC=1" in jax.refusal(ADAM, LONE, "float32", 1)
    assert "minutes to compile" in jax.refusal(ADAM, many(10_000, 64), "float32", 3)
