"""What an optimizer does besides arithmetic: structure, groups, counts, reports, saving."""

from __future__ import annotations

import copy
import math
import threading
from typing import Any

import numpy as np
import pytest

import instep
from arrays import differing
from cases import CASES, Case

BACKENDS = pytest.mark.parametrize("backend", ["native", "reference"])
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=str)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@BACKENDS
@pytest.mark.parametrize(
    ("make", "take"),
    [
        (lambda a, b: [a, b], lambda s: [s[0], s[1]]),
        (lambda a, b: (a, b), lambda s: [s[0], s[1]]),
        (lambda a, b: {"x": a, 2: b}, lambda s: [s["x"], s[2]]),
        (lambda a, b: [{"params": [a]}, {"params": {"k": b}}], lambda s: [s[0][0], s[1]["k"]]),
        (lambda a, b: [{"params": a}, {"params": (b,)}], lambda s: [s[0], s[1][0]]),
    ],
    ids=["list", "tuple", "dict", "groups", "groups of other kinds"],
)
def test_structures(make: Any, take: Any, backend: str) -> None:
    a, b = np.zeros(2), np.zeros((2, 2), np.float32)
    params = make(a, b)
    opt = instep.SGD(params, lr=1.0, momentum=0.5, backend=backend)
    grads = make(np.ones(2), np.full((2, 2), 2, np.float32))
    if isinstance(params, list) and isinstance(params[0], dict):
        grads = [g["params"] for g in grads]
    opt.step(grads)
    assert a.tolist() == [-1, -1]
    assert b.tolist() == [[-2, -2], [-2, -2]]
    buffers = [slots["momentum_buffer"] for slots in take(opt.state)]
    assert buffers[0].tolist() == [1, 1]
    assert buffers[1].dtype == np.float32
    found = take(opt.params)
    assert found[0] is a
    assert found[1] is b


@BACKENDS
def test_single_array(backend: str) -> None:
    w = np.zeros(3)
    opt = instep.Adam(w, backend=backend)
    opt.step(np.ones(3))
    assert opt.params is w
    assert set(opt.state) == {"exp_avg", "exp_avg_sq"}


def test_params_may_be_an_iterator() -> None:
    arrays = [np.zeros(2), np.zeros(3)]
    opt = instep.SGD(iter(arrays), lr=1.0)
    opt.step([np.ones(2), np.ones(3)])
    assert arrays[1].tolist() == [-1] * 3


def test_memmap_and_foreign_memory(tmp_path: Any) -> None:
    disk = np.memmap(tmp_path / "w", np.float32, "w+", shape=(100,))
    foreign = np.frombuffer(bytearray(400), np.float32)
    opt = instep.SGD([disk, foreign], lr=1.0)
    opt.step([np.ones(100, np.float32), disk.copy()])
    opt.step([np.memmap(tmp_path / "g", np.float32, "w+", shape=(100,)), np.ones(100, np.float32)])
    assert (disk == -1).all()
    assert (foreign == -1).all()


@BACKENDS
def test_empty_and_zero_dimensional(backend: str) -> None:
    params = [np.zeros((0, 3)), np.array(1.0), np.zeros((3, 0)), np.ones((1, 1, 1))]
    opt = instep.Adam(params, lr=0.1, transforms=[instep.ClipByNorm(9.0)], backend=backend)
    opt.step([np.ones(p.shape) for p in params])
    assert params[1] == pytest.approx(0.9)
    assert params[3] == pytest.approx(0.9)


@EVERY_CASE
def test_state_is_aligned_and_ordered_as_the_parameter(case: Case) -> None:
    for p in (np.zeros((3, 5), order="F"), np.zeros((4, 3, 2)).transpose(1, 0, 2), np.zeros(7)):
        for slot in case.cls([p], **case.hyper).state[0].values():
            assert slot.ctypes.data % 64 == 0
            assert slot.strides == p.strides
            assert (slot == slot.flat[0]).all()


def test_state_is_far_in_the_page_from_its_parameter() -> None:
    """A load that follows a store to nearly the same place in another page waits for it."""
    for size in (4096, 100_000):
        p = np.zeros(size, np.float32)
        opt = instep.Adam([p], amsgrad=True)
        places = [a.ctypes.data % 4096 for a in (p, *opt.state[0].values())]
        gaps = [(a - b) % 4096 for a in places for b in places if a is not b]
        assert len(gaps) == 12
        assert min(gaps) >= 192


def test_slot_names_are_torchs() -> None:
    w = [np.zeros(1)]
    assert set(instep.SGD(w).state[0]) == set()
    assert set(instep.SGD(w, momentum=0.9).state[0]) == {"momentum_buffer"}
    expected = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    assert set(instep.Adam(w, amsgrad=True).state[0]) == expected


@BACKENDS
def test_report(backend: str) -> None:
    clip = [instep.ClipByGlobalNorm(1.0)]
    opt = instep.SGD([np.zeros(2)], lr=0.5, transforms=clip, backend=backend)
    report = opt.step([np.array([3.0, 4.0])])
    assert report == (1, 0.5, 5.0, pytest.approx(0.2), False)
    assert report._fields == ("step", "lr", "grad_norm", "clip_factor", "skipped")
    unclipped = instep.SGD([np.zeros(2)], backend=backend).step([np.ones(2)])
    assert unclipped == (1, 1e-3, None, None, False)


@BACKENDS
def test_schedules_of_any_hyperparameter(backend: str) -> None:
    w, v = np.zeros(1), np.zeros(1)
    seen = []

    def lr(step: int) -> float:
        seen.append(step)
        return 0.1 * (step + 1)

    opt = instep.Adam([w], lr=lr, betas=lambda s: (0.5 + 0.1 * s, 0.9), backend=backend)
    twin = instep.Adam([v], backend=backend)
    for t in range(3):
        twin.param_groups[0]["lr"] = 0.1 * (t + 1)
        twin.param_groups[0]["betas"] = (0.5 + 0.1 * t, 0.9)
        assert opt.step([np.ones(1)]).lr == twin.step([np.ones(1)]).lr == 0.1 * (t + 1)
    assert w == v
    assert seen == [0, 1, 2]
    assert opt.lr == pytest.approx(0.4)
    opt.lr = 7
    assert opt.lr == 7.0


def test_schedule_out_of_range_changes_nothing() -> None:
    w = np.ones(2)
    opt = instep.SGD([w], lr=lambda step: -1.0)
    with pytest.raises(ValueError, match=r"lr: must be a finite number, >= 0; got -1.0"):
        opt.step([np.ones(2)])
    assert opt.steps == 0
    assert w.tolist() == [1, 1]


@EVERY_CASE
@BACKENDS
def test_none_gradient_leaves_its_parameter_alone(case: Case, backend: str) -> None:
    """Each parameter ends as if its own gradients had been all there were."""
    start = rng().standard_normal((3, 4))
    grads = rng().standard_normal((6, 3, 4))
    present = [[True] * 6, [t % 2 == 0 for t in range(6)], [t > 3 for t in range(6)]]
    together = list(start.copy())
    opt = case.cls(together, **case.hyper, backend=backend)
    for t in range(6):
        opt.step([grads[t, i] if present[i][t] else None for i in range(3)])
    assert opt.steps == 6
    for i in range(3):
        alone = start[i].copy()
        single = case.cls([alone], **case.hyper, backend=backend)
        for t in range(6):
            if present[i][t]:
                single.step([grads[t, i]])
        assert not differing(together[i], alone)
        for name, slot in single.state[0].items():
            assert not differing(opt.state[i][name], slot)


@BACKENDS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_skip_and_raise_change_nothing(backend: str, bad: float, dtype: type) -> None:
    def make(mode: Any) -> tuple[list[np.ndarray], instep.Optimizer]:
        params = [np.ones(5, dtype), np.ones(2000, dtype)]
        clip = [instep.ClipByGlobalNorm(1.0)]
        opt = instep.Adam(params, nonfinite=mode, transforms=clip, backend=backend, zero_grads=True)
        opt.step([np.ones(5, dtype), np.ones(2000, dtype)])
        return params, opt

    grads = [np.ones(5, dtype), np.ones(2000, dtype)]
    grads[1][1500] = bad
    kept = [g.copy() for g in grads]

    for mode in ("skip", "raise"):
        params, opt = make(mode)
        before = copy.deepcopy((params, opt.state_dict()))
        if mode == "skip":
            report = opt.step(grads)
            assert report.skipped
            assert report.step == 1
            assert not math.isfinite(report.grad_norm)
        else:
            with pytest.raises(FloatingPointError, match=r"grads\[1\]: must be finite; got .*1500"):
                opt.step(grads)
        assert opt.steps == 1
        np.testing.assert_equal((params, opt.state_dict()), before)
        np.testing.assert_equal(grads, kept)
        opt.step([np.ones(5, dtype), np.ones(2000, dtype)])
        assert opt.steps == 2


@BACKENDS
def test_huge_but_finite_gradients_are_not_skipped(backend: str) -> None:
    w = np.zeros(4)
    clip = [instep.ClipByGlobalNorm(1.0)]
    opt = instep.SGD([w], lr=1.0, nonfinite="skip", transforms=clip, backend=backend)
    report = opt.step([np.full(4, 1e300)])
    assert not report.skipped
    assert report.grad_norm == pytest.approx(2e300, rel=1e-15)
    assert w == pytest.approx([-0.5] * 4)


@BACKENDS
@pytest.mark.parametrize("order", ["C", "F"])
def test_zero_grads(backend: str, order: Any) -> None:
    p, plain = np.ones((40, 50), order="F"), np.ones((40, 50), order="F")
    g = np.asarray(rng().standard_normal((40, 50)), order=order)
    instep.Adam([plain], backend=backend).step([g])
    opt = instep.Adam([p], zero_grads=True, backend=backend)
    opt.step([g])
    assert not differing(p, plain)
    assert not g.any()


def test_two_threads_stepping_one_optimizer_are_serialized() -> None:
    g = np.random.default_rng(0).standard_normal(70_000)
    p, q = np.zeros(70_000), np.zeros(70_000)
    opt, twin = instep.Adam([p]), instep.Adam([q], backend="reference")

    def work() -> None:
        for _ in range(25):
            opt.step([g])

    workers = [threading.Thread(target=work) for _ in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for _ in range(50):
        twin.step([g])
    assert opt.steps == 50
    assert not differing(p, q)


@pytest.mark.parametrize("cls", sorted({case.cls for case in CASES}, key=str))
def test_copies_and_pickles_are_refused(cls: type[instep.Optimizer]) -> None:
    opt = cls([np.ones(1)], lr=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="state_dict"):
        copy.deepcopy(opt)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_the_gradient_of_a_parameter_without_axes_may_be_a_numpy_scalar(backend: Any) -> None:
    w, g = np.array(1.0), np.ones(3).sum()
    assert isinstance(g, np.float64)
    instep.SGD({"w": w}, lr=1.0, backend=backend).step({"w": g})
    instep.SGD(w, lr=1.0, backend=backend).step(g)
    assert w == -5
    for wrong, rule in [(3.0, "must be a numpy.ndarray"), (np.float32(3), "dtype must be that")]:
        with pytest.raises(TypeError, match=rf"^grads\['w'\]: {rule}"):
            instep.SGD({"w": w}, backend=backend).step({"w": wrong})
    with pytest.raises(TypeError, match=r"^grads\[0\]: must be a numpy.ndarray"):
        instep.SGD([np.ones(1)], backend=backend).step([g])
    with pytest.raises(TypeError, match=r"^grads\[0\]: must be a numpy.ndarray"):
        instep.SGD([w], zero_grads=True, backend=backend).step([g])  # cannot be set to zero
    assert w == -5
