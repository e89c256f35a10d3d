"""accumulate(): the mean of micro-batches, bit for bit, and a norm that costs no further read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import instep
from arrays import ROOMS, VALUES, differing, guarded
from cases import CASES, TRANSFORMS, Case

BACKENDS = pytest.mark.parametrize("backend", ["native", "reference"])
SHAPES = [(7, 6, 33), (5,), (1,), (0, 3), (), (70_000,)]
PATTERN = [(0, 1, 2, 3, 4, 5), (0, 2, 3), (1, 2, 5)]  # which have a gradient in each micro-batch


def trained(case: Case, transforms: list[Any], dtype: type, values: str, backend: str,
            **options: Any) -> list[np.ndarray]:  # fmt: skip
    """Two steps of three micro-batches; parameters, state, norms and counts."""
    rng = np.random.default_rng(4)
    make, layouts = VALUES[values], list(ROOMS)
    params = [np.asarray(make(rng, s, dtype)) for s in SHAPES]
    # The large one in F-order: the order of the norm is still C.
    params[0] = np.asfortranarray(params[0])
    opt = case.cls(params, **case.hyper, transforms=transforms, backend=backend, **options)
    numbers = []
    for round_ in range(2):
        for k, present in enumerate(PATTERN):
            grads: list[Any] = [np.asarray(make(rng, s, dtype)) for s in SHAPES]
            layout = layouts[(k + 3 * round_) % len(layouts)]
            passed = [guarded(grads[0], 8, layout).view, *grads[1:]]
            batch = [g if i in present else None for i, g in enumerate(passed)]
            numbers.append(opt.accumulate(batch))
        report = opt.step()
        numbers += [np.nan if x is None else x for x in (report.grad_norm, report.clip_factor)]
        numbers += [report.skipped, opt.steps]
    return [*params, *(s for d in opt.state for s in d.values()), np.array(numbers, float)]


@pytest.mark.parametrize("options", [{}, {"nonfinite": "skip"}], ids=str)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_bits(
    transform: str, dtype: type, values: str, options: dict[str, Any],
    every_engine: Callable[[], Iterator[str]],
) -> None:  # fmt: skip
    args = (Case(instep.AdamW), TRANSFORMS[transform], dtype, values)
    want = trained(*args, "reference", **options)
    for engine in every_engine():
        for i, (a, b) in enumerate(zip(trained(*args, "native", **options), want, strict=True)):
            assert not differing(a, b), f"{engine}, array {i}: {differing(a, b)}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bits_of_every_optimizer(case: Case, every_engine: Callable[[], Iterator[str]]) -> None:
    args = (case, TRANSFORMS["all"], np.float32, "plain")
    want = trained(*args, "reference")
    for engine in every_engine():
        for a, b in zip(trained(*args, "native"), want, strict=True):
            assert not differing(a, b), engine


@BACKENDS
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_a_step_with_the_mean(case: Case, backend: Any) -> None:
    rng = np.random.default_rng(1)
    batches = rng.standard_normal((3, 4, 50))
    p, q = np.ones(50), np.ones(50)
    options = {"transforms": [instep.ClipByGlobalNorm(2.0)], "backend": backend}
    one, other = case.cls([p], **case.hyper, **options), case.cls([q], **case.hyper, **options)
    for micro in batches:
        for k, g in enumerate(micro, 1):
            norm = one.accumulate([g])
            assert norm == pytest.approx(np.linalg.norm(micro[:k].mean(0)), rel=1e-12)
        mean = (((micro[0] + micro[1]) + micro[2]) + micro[3]) / 4
        a, b = one.step(), other.step([mean])
        assert a == b  # a quarter is exact
        assert (p == q).all()


@BACKENDS
def test_each_call_counts_once(backend: Any) -> None:
    w, b, still = np.zeros(2), np.zeros(1), np.ones(1)
    opt = instep.SGD({"w": w, "b": b, "still": still}, lr=1.0, momentum=0.9, backend=backend)
    opt.accumulate({"w": np.array([3.0, 0.0]), "b": None, "still": None})
    opt.accumulate({"w": np.array([0.0, 6.0]), "b": np.array([3.0]), "still": None})
    opt.accumulate({"w": None, "b": None, "still": None})
    report = opt.step()
    assert report.step == opt.steps == 1
    np.testing.assert_allclose(-w, [1.0, 2.0], rtol=1e-15)
    np.testing.assert_allclose(-b, [1.0], rtol=1e-15)
    assert still == 1
    assert [s["step"] for s in opt.state_dict()["state"].values()] == [1, 1, 0]


def test_the_norm_is_not_read_again() -> None:
    """The sums are changed in between; the norm is still the one of what was accumulated."""
    w = np.zeros(5000)
    opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByGlobalNorm(1.0)], nonfinite="raise")
    norm = opt.accumulate([np.ones(5000)])
    opt._accumulator.sums[0][...] = 1e6
    assert opt.step().grad_norm == norm == pytest.approx(np.sqrt(5000))


@BACKENDS
def test_the_gradients_may_be_used_again_at_once(backend: Any) -> None:
    w, g = np.zeros(3), np.ones(3)
    opt = instep.SGD([w], lr=1.0, backend=backend)
    for value in (1.0, 2.0):
        g[...] = value
        opt.accumulate([g])
    g[...] = np.nan
    opt.step()
    assert (w == -1.5).all()


@BACKENDS
def test_zero_grads(backend: Any) -> None:
    w, g = np.zeros(3), np.ones(3)
    opt = instep.SGD([w], lr=1.0, zero_grads=True, backend=backend)
    opt.accumulate([g])
    assert (g == 0).all()
    opt.step()
    assert (w == -1).all()


@BACKENDS
def test_forgetting(backend: Any) -> None:
    w = np.zeros(3)
    opt = instep.SGD([w], lr=1.0, backend=backend)
    opt.zero_grad()
    opt.accumulate([np.ones(3)])
    with pytest.raises(ValueError, match=r"^grads: must be left out after accumulate\(\)"):
        opt.step([np.ones(3)])
    opt.zero_grad()
    with pytest.raises(TypeError, match=r"^grads: must be given where nothing was accumulated"):
        opt.step()
    opt.accumulate([np.full(3, 5.0)])
    opt.step()
    assert (w == -5).all()
    with pytest.raises(TypeError, match=r"^grads: must be given"):
        opt.step()


@BACKENDS
def test_what_is_not_finite(backend: Any) -> None:
    def accumulated(nonfinite: Any) -> tuple[instep.Optimizer, np.ndarray]:
        w = np.zeros(3)
        opt = instep.SGD([w], lr=1.0, nonfinite=nonfinite, backend=backend)
        opt.accumulate([np.ones(3)])
        opt.accumulate([np.array([1.0, np.inf, 1.0])])
        return opt, w

    opt, w = accumulated("skip")
    assert opt.step().skipped
    opt.accumulate([np.ones(3)])  # the next batch begins anew
    assert not opt.step().skipped
    assert (w == -1).all()

    opt, w = accumulated("raise")
    with pytest.raises(
        FloatingPointError, match=r"^the sum of grads\[0\]: must be finite; got inf"
    ):
        opt.step()
    assert (opt.steps, w.tolist()) == (0, [0, 0, 0])
    opt.accumulate([np.ones(3)])  # a loop that goes on is not held up by it
    opt.step()
    assert (w == -1).all()


@BACKENDS
def test_what_was_accumulated_before_counts_for_nothing(backend: Any) -> None:
    """A parameter with a gradient in one round, a NaN even, and with None in the next."""
    for first in (np.full(2, 1e3), np.full(2, np.nan)):
        for end in ("step", "zero_grad"):
            w = [np.zeros(2), np.zeros(2)]
            clip = [instep.ClipByGlobalNorm(1.0)]
            opt = instep.SGD(w, lr=1.0, transforms=clip, nonfinite="skip", backend=backend)
            opt.accumulate([np.array([3.0, 0.0]), first])
            getattr(opt, end)()
            assert opt.accumulate([np.array([3.0, 0.0]), None]) == 3.0
            report = opt.step()
            assert (report.grad_norm, report.skipped) == (3.0, False)


@pytest.mark.parametrize("second", [instep.ClipByGlobalNorm(0.3), instep.ClipByNorm(0.3)])
def test_only_the_first_clip_takes_the_norm_of_the_sums(second: Any) -> None:
    rng = np.random.default_rng(8)
    for _ in range(50):
        micro = rng.standard_normal((3, 40)).astype(np.float32)
        results = []
        for backend in ("native", "reference"):
            w = np.zeros(40, np.float32)
            transforms = [instep.ClipByGlobalNorm(1e9), second]
            opt = instep.SGD([w], lr=1.0, transforms=transforms, backend=backend)  # type: ignore[arg-type]
            for g in micro:
                opt.accumulate([g])
            results.append((opt.step(), w.tobytes()))
        assert results[0] == results[1]


def test_an_interrupt_after_the_step_does_not_leave_the_batch_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The native step itself forgets what it used: whatever comes after it may be interrupted."""
    w = np.zeros(3)
    opt = instep.SGD([w], lr=1.0)
    instep.GradientMonitor(opt)
    opt.accumulate([np.ones(3)])

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(instep.GradientMonitor, "_after_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opt.step()
    monkeypatch.undo()
    assert (opt.steps, w.tolist()) == (1, [-1, -1, -1])
    with pytest.raises(TypeError, match=r"^grads: must be given where nothing was accumulated"):
        opt.step()


@BACKENDS
def test_loading_forgets(backend: Any) -> None:
    w = np.zeros(3)
    opt = instep.SGD([w], lr=1.0, backend=backend)
    saved = opt.state_dict()
    opt.accumulate([np.ones(3)])
    opt.load_state_dict(saved)
    opt.step([np.full(3, 2.0)])
    assert (w == -2).all()


@BACKENDS
def test_zero_grads_never_zeroes_what_is_the_optimizers_own(backend: Any) -> None:
    w = np.ones(3)
    opt = instep.SGD([w], lr=1.0, momentum=0.9, zero_grads=True, backend=backend)
    opt.step([np.ones(3)])
    before = w.copy()
    for own in (w, w[::-1], opt.state[0]["momentum_buffer"]):
        with pytest.raises(ValueError, match=r"^grads\[0\]: must not overlap what the step writes"):
            opt.accumulate([own])
    assert (w == before).all()
    assert (opt.state[0]["momentum_buffer"] == 1).all()


@BACKENDS
def test_a_refused_micro_batch_changes_nothing(backend: Any) -> None:
    p, q = np.zeros(3), np.zeros(2)
    opt = instep.SGD([p, q], lr=1.0, backend=backend)
    good = [np.ones(3), np.ones(2)]
    opt.accumulate(good)
    for bad, message in [
        ([good[0], np.ones(3)], r"^grads\[1\]: shape must be that of its parameter"),
        ([good[0], np.ones(2, np.float32)], r"^grads\[1\]: dtype must be that of its parameter"),
        ([good[0]], "^grads: must have 2 entries"),
        ([good[0], opt._accumulator.sums[1]], r"^grads\[1\]: must not overlap"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            opt.accumulate(bad)
    opt.step()
    assert (p == -1).all()
    assert (q == -1).all()


def test_a_sum_beyond_the_range_of_squares() -> None:
    w = np.zeros(10_000)
    opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByGlobalNorm(1.0)])
    for _ in range(2):
        norm = opt.accumulate([np.full(10_000, 1e200)])
    report = opt.step()
    assert report.grad_norm == norm == pytest.approx(1e202, rel=1e-12)
    np.testing.assert_allclose(w, -0.01, rtol=1e-12)
