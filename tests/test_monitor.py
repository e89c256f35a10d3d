"""The monitor: the norms that steps leave, what it makes of them, and what it shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import instep
from arrays import Permuted, differing, guarded
from cases import CASES, Case
from instep import GradientEvent, GradientMonitor, GradientWarning
from instep._history import History, Recent
from test_bits import seed_of

Engines = Callable[[], Iterator[str]]
C, F = Permuted((0, 1, 2)), Permuted((2, 1, 0))
LAYOUTS = {
    "C": (C, C),
    "F": (F, F),
    "C, F": (C, F),
    "F, C": (F, C),
    "sliced": (Permuted((0, 1, 2), step=2), Permuted((2, 1, 0), pad=2)),
}
# The fourth is beyond the threading threshold; in F order noise walks the fifth in C order, and the
# last in another than both.
SHAPES = [(5, 7, 1), (1, 3, 1), (0, 4, 1), (40, 1100, 1), (50, 3, 1), (150, 5, 2)]
TRANSFORMS = {
    "none": [],
    "clip": [instep.ClipByValue(0.5), instep.ClipByGlobalNorm(1.0)],
    "noise": [instep.AddNoise(0.1)],
}


def run(
    case: Case,
    transforms: list[Any],
    layouts: tuple[Permuted, Permuted],
    backend: str = "native",
    *,
    watch: bool = True,
    dtype: type = np.float32,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Take three steps; return parameters with state, and what the monitor saw of each."""
    rng = np.random.default_rng(1)
    start = [(rng.standard_normal(s) + 2).astype(dtype) for s in SHAPES]
    params = [guarded(p, 16, layouts[0]).view for p in start]
    opt = case.cls(params, **case.hyper, transforms=transforms, backend=backend)
    monitor = GradientMonitor(opt, warn=False) if watch else None
    seen = []
    for step in range(3):
        grads: list[Any] = [
            guarded(rng.standard_normal(s).astype(dtype), 8, layouts[1]).view for s in SHAPES
        ]
        grads[1] = None if step == 1 else grads[1]
        opt.step(grads)
        if monitor:
            seen.append(np.stack([monitor.grad_norms, monitor.param_norms, monitor.update_ratios]))
    return [*params, *(a for state in opt.state for a in state.values())], seen


@pytest.mark.parametrize("transforms", TRANSFORMS)
@pytest.mark.parametrize("layouts", LAYOUTS)
def test_bits(layouts: str, transforms: str, every_engine: Engines) -> None:
    """A step that is looked at is the same step, and both backends see the same."""
    for cls in (instep.Adam, instep.LAMB):
        args = Case(cls), TRANSFORMS[transforms], LAYOUTS[layouts]
        unwatched, _ = run(*args, watch=False)
        expected, norms = run(*args, backend="reference")
        for engine in every_engine():
            arrays, seen = run(*args)
            for a, b, c in zip(arrays, unwatched, expected, strict=True):
                assert not differing(a, b), engine
                assert not differing(a, c), engine
            for a, b in zip(seen, norms, strict=True):
                assert not differing(a, b), f"{engine}: {differing(a, b)}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rule(case: Case, dtype: type, every_engine: Engines) -> None:
    unwatched, _ = run(case, [], LAYOUTS["C"], watch=False, dtype=dtype)
    _, norms = run(case, [], LAYOUTS["C"], "reference", dtype=dtype)
    for engine in every_engine():
        arrays, seen = run(case, [], LAYOUTS["C"], dtype=dtype)
        assert [
            differing(a, b) for a, b in zip(arrays, unwatched, strict=True) if differing(a, b)
        ] == []
        assert [
            differing(a, b) for a, b in zip(seen, norms, strict=True) if differing(a, b)
        ] == [], engine


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_what_is_seen(backend: str) -> None:
    p, q = np.array([3.0, 4.0]), np.ones((2, 2))
    opt = instep.SGD({"p": p, "q": q}, lr=0.1, transforms=[instep.Scale(0.5)], backend=backend)
    monitor = GradientMonitor(opt, warn=False)
    assert monitor.names == ["p", "q"]
    assert GradientMonitor(instep.SGD(np.ones(2))).names == ["params"]
    assert np.isnan(monitor.grad_norms).all()
    opt.step({"p": np.array([6.0, 8.0]), "q": None})
    np.testing.assert_allclose(monitor.grad_norms, [10, np.nan])
    np.testing.assert_allclose(monitor.param_norms, [4.5, np.nan])
    np.testing.assert_allclose(monitor.update_ratios, [0.5 / 4.5, np.nan])
    for size in (1.0, 3.0):
        opt.accumulate({"p": np.zeros(2), "q": np.full((2, 2), size)})
    opt.step()
    np.testing.assert_allclose(monitor.grad_norms, [0, 4])
    np.testing.assert_allclose(monitor.update_ratios, [0, 0.2 / 1.8])


@pytest.mark.parametrize("size", [1000, 1024, 2500])
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e-25, 1e-13, 1e18, 1e25, np.inf, np.nan])
def test_what_float32_sums_cannot_hold(scale: float, size: int, every_engine: Engines) -> None:
    """Blocks of which single precision loses the squares, or overflows, alone and among others."""
    rng = np.random.default_rng(seed_of(scale, size))
    usual, unusual = rng.uniform(0.5, 1, (2, size)).astype(np.float32)
    unusual *= np.float32(scale)
    grads = [unusual, np.concatenate([usual, unusual]), usual]

    def norms(backend: str) -> np.ndarray:
        params = [g.copy() for g in grads]
        opt = instep.SGD(params, lr=1e-3, backend=backend)
        monitor = GradientMonitor(opt, warn=False)
        opt.step(grads)
        with np.errstate(all="ignore"):
            right = [[np.linalg.norm(a.astype(np.float64)) for a in x] for x in (grads, params)]
        np.testing.assert_allclose([monitor.grad_norms, monitor.param_norms], right, 1.2e-6)
        return np.concatenate([monitor.grad_norms, monitor.param_norms, monitor.update_ratios])

    expected = norms("reference")
    for engine in every_engine():
        assert not differing(norms("native"), expected), engine


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("nonfinite", ["skip", "raise"])
def test_steps_that_are_not_taken(nonfinite: str, backend: str) -> None:
    p, q = np.ones(4), np.ones(4)
    opt = instep.SGD([p, q], nonfinite=nonfinite, backend=backend)
    monitor = GradientMonitor(opt, warn=False)
    grads = [np.array([1.0, np.nan, 1, 1]), np.ones(4)]
    if nonfinite == "raise":
        with pytest.raises(FloatingPointError, match=r"grads\[0\]"):
            opt.step(grads)
    else:
        assert opt.step(grads).skipped
    np.testing.assert_array_equal(monitor.grad_norms, [np.nan, 2])
    assert np.isnan(monitor.param_norms).all()
    assert [(e.kind, e.name) for e in monitor.events] == [("exploding", "[0]")]


def test_gradients_of_a_step_that_is_not_taken(every_engine: Engines) -> None:
    """A skipped step has their norms from the check, which goes in C order."""
    rng = np.random.default_rng(2)
    grads = [np.asfortranarray(rng.standard_normal(s).astype(np.float32)) for s in SHAPES]
    grads[0][0, 0] = np.nan

    def norms(backend: str) -> np.ndarray:
        opt = instep.Adam([g.copy(order="F") for g in grads], nonfinite="skip", backend=backend)
        monitor = GradientMonitor(opt, warn=False)
        assert opt.step(grads).skipped
        return monitor.grad_norms

    expected = norms("reference")
    for engine in every_engine():
        assert not differing(norms("native"), expected), engine


def feed(norms: list[list[float]], **options: Any) -> GradientMonitor:
    """Take steps with gradients of these norms."""
    params = [np.ones((1, 1)) for _ in norms[0]]
    opt = instep.SGD(params, lr=1e-3)
    monitor = GradientMonitor(opt, **options)
    for row in norms:
        opt.step([np.full((1, 1), g) for g in row])
    return monitor


def test_an_explosion_is_one_episode() -> None:
    seen: list[GradientEvent] = []
    calm, wild = [1.0, 1.0], [1.0, 50.0]
    with pytest.warns(
        GradientWarning, match=r"step 9: gradient exploding: \[1\]: norm 50, explodes above 10"
    ) as w:
        monitor = feed([calm] * 8 + [wild] * 3 + [calm] * 9 + [wild], callback=seen.append)
    assert len(w) == 1
    assert seen == monitor.events == [GradientEvent(9, "exploding", "[1]", 50.0, 10.0)]
    with pytest.warns(GradientWarning) as w:
        monitor = feed([calm] * 8 + [wild] + [calm] * 10 + [wild])
    assert [e.step for e in monitor.events] == [9, 20]
    assert len(w) == 2


def test_a_gradient_that_is_not_finite_at_first_is_told_without_what_is_usual() -> None:
    with pytest.warns(GradientWarning, match=r"^step 1: gradient exploding: \[0\]: norm nan$"):
        feed([[np.nan]])


def test_what_is_usual_moves() -> None:
    """A slow rise is no explosion, whatever it comes to; a jump beyond the factor is one."""
    growing = [[1.1**k] for k in range(200)]
    assert feed(growing, window=10).events == []
    with pytest.warns(GradientWarning):
        assert feed([[1.0]] * 5 + [[2.1]], explosion=2).events[0].limit == 2
    assert feed([[1.0]] * 4 + [[100.0]]).events == []  # too early to know


def test_vanishing_is_relative_to_the_deepest_layer() -> None:
    with pytest.warns(
        GradientWarning,
        match=r"step 1: gradient vanishing: \[0\]: norm 1e-08, vanishes below",
    ) as w:
        monitor = feed([[1e-8, 1.0, 1.0]] * 30)
    assert len(w) == 1
    assert [(e.kind, e.name, e.limit) for e in monitor.events] == [("vanishing", "[0]", 1e-6)]
    assert feed([[1e-8, 1e-8, 1e-8]] * 3).events == []
    assert feed([[1e-8, 1.0]] * 3, vanishing=0).events == []
    with pytest.warns(GradientWarning):
        names = {e.name for e in feed([[1.0, 1e-9, 1.0]], deepest="[0]").events}
    assert names == {"[1]"}


def test_the_deepest_layer_is_the_last_matrix() -> None:
    opt = instep.SGD({"w": np.ones((2, 2)), "v": np.ones((2, 1)), "b": np.ones(1)}, lr=1e-3)
    monitor = GradientMonitor(opt, warn=False)
    opt.step({"w": np.full((2, 2), 1e-3), "v": np.ones((2, 1)), "b": np.full(1, 1e-9)})
    assert [e.name for e in monitor.events] == ["b"]


def test_one_warning_for_all_that_begin_together() -> None:
    told = r"exploding: \[0\]: norm nan; \[1\]: norm inf; \[2\]: norm nan and 2 more$"
    with pytest.warns(GradientWarning, match=told) as w:
        monitor = feed([[np.nan, np.inf, np.nan, np.nan, np.nan]] * 3)
    assert len(w) == 1
    assert len(monitor.events) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(feed([[np.inf] * 2], warn=False).events) == 2


def test_memory_is_bounded_and_keeps_peaks() -> None:
    history = History(8, 2)
    for step in range(1, 1001):
        history.add(step, np.array([step == 500, -step], float))
    assert len(history.steps) == len(history.values) <= 8
    assert history.steps[0] == 1
    assert (np.diff(history.steps) == np.diff(history.steps)[0]).all()
    assert history.values.max(axis=0).tolist() == [1, -1]
    (peak,) = np.flatnonzero(history.values[:, 0])
    assert history.steps[peak] <= 500 < history.steps[peak + 1]


def test_medians_by_counting() -> None:
    rng = np.random.default_rng(2)
    recent = Recent(9, 4)
    for _ in range(40):
        values = rng.lognormal(size=4)
        values[rng.random(4) < 0.2] = np.nan
        known = np.isfinite(recent._values).sum(axis=0)
        with np.errstate(invalid="ignore"):
            wanted = (values > 1.5 * recent.medians()) & (known >= 3) & (known % 2 == 1)
        found = recent.beyond(values, 1.5, 3)
        np.testing.assert_array_equal(found[known % 2 == 1], wanted[known % 2 == 1])
        recent.add(values)


def test_detached_and_replaced() -> None:
    p = np.ones(3)
    opt = instep.SGD([p], lr=0.1)
    first = GradientMonitor(opt)
    opt.step([np.ones(3)])
    second = GradientMonitor(opt)
    opt.step([np.full(3, 2.0)])
    assert first.grad_norms[0] == pytest.approx(3**0.5)
    assert second.grad_norms[0] == pytest.approx(12**0.5)
    first.detach()  # no longer there: nothing happens
    opt.step([np.full(3, 3.0)])
    second.detach()
    opt.step([np.full(3, 9.0)])
    assert second.grad_norms[0] == pytest.approx(27**0.5)


def test_a_table_tells_what_is_not_a_number_from_what_was_not_there() -> None:
    monitor = feed([[np.nan, 1.0]], warn=False)
    monitor._opt.step([np.ones((1, 1)), None])  # type: ignore[union-attr]
    second = monitor.table().splitlines()[-1]
    assert second.split() == ["[1]", "-", "1.0e+00", "1.0e+00", "-", "-", "0", "0"]
    monitor._opt.step([np.full((1, 1), np.nan), np.ones((1, 1))])  # type: ignore[union-attr]
    first = monitor.table().splitlines()[-2]
    assert first.split()[1] == "nan"


def test_table_and_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    params = {f"linear{k}.weight": np.ones((4, 4)) for k in range(3)}
    opt = instep.SGD(params, lr=1e-3)
    monitor = GradientMonitor(opt, warn=False)
    assert monitor.plot().axes
    opt.step({name: rng.standard_normal((4, 4)) for name in params})
    assert {line.get_marker() for line in monitor.plot().axes[0].lines} == {"o"}
    for step in range(1, 30):
        size = 1e4 if step == 20 else 1.0
        opt.step({name: size * rng.standard_normal((4, 4)) for name in params})
    lines = monitor.table().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert len([line for line in lines if "weight" in line]) == 3
    figure = monitor.plot(tmp_path / "norms.png")
    assert (tmp_path / "norms.png").stat().st_size > 10_000
    (axes,) = figure.axes
    assert len(axes.lines) == 3
    assert {line.get_marker() for line in axes.lines} == {"None"}
    assert axes.collections[0].get_offsets().shape == (3, 2)
    np.testing.assert_allclose(axes.collections[0].get_offsets()[:, 0], 21)


OPT = instep.SGD([np.ones(3)])
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: GradientMonitor([np.ones(3)]), "opt: must be an optimizer of instep; got list"),  # type: ignore[arg-type]
    (
        lambda: GradientMonitor(OPT, explosion=1.0),
        "explosion: must be a finite number, > 1; got 1.0",
    ),
    (lambda: GradientMonitor(OPT, vanishing=-1.0), "vanishing: must be a finite number, >= 0, < 1"),
    (
        lambda: GradientMonitor(OPT, window=2),
        "window: must be an integer >= 5 and <= 1000000; got 2",
    ),
    (
        lambda: GradientMonitor(OPT, window=10**12),
        "window: must be an integer >= 5 and <= 1000000; got 1000000000000",
    ),
    (lambda: GradientMonitor(OPT, deepest="w"), r"deepest: must be one of \[0\]; got 'w'"),
    (lambda: GradientMonitor(OPT, callback=3), "callback: must be callable; got int 3"),  # type: ignore[arg-type]
    (lambda: GradientMonitor(OPT, warn=1), "warn: must be True or False; got int 1"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m[:12] for _, m in REFUSED])
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
    assert OPT._monitor is None
