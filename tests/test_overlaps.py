"""Arrays that overlap, that are zeroed after a step, or changed while an optimizer holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import instep
from refusing import BACKENDS, refused


@BACKENDS
def test_overlaps(backend: Any) -> None:
    memory = np.ones(100, np.float32)
    for first, second, message in [
        (memory[:10], memory[:10], "shares memory with"),
        (memory[:10], memory[9:20], "shares memory with"),
        (memory[::3], memory[::2], "shares memory with"),
        (memory[9:20], memory[:10][::-1], "shares memory with"),
    ]:
        with pytest.raises(ValueError, match=rf"^params\[1\]: must not overlap; {message} params"):
            instep.SGD([first, second], backend=backend)
    with pytest.raises(ValueError, match=r"^params\[2\]: must not overlap; is params\[0\]"):
        instep.SGD([memory, np.ones(1), memory], backend=backend)

    p = memory[:10]
    opt = instep.Adam([p], backend=backend)
    message = r"^grads\[0\]: must not overlap what the step writes; overlaps "
    for g in (p, memory[9:19], p[::-1]):
        refused(opt, [memory], [g], message + r"params\[0\]")
    refused(opt, [memory], [opt.state[0]["exp_avg"]], message + r"exp_avg\[0\]")


@BACKENDS
def test_overlaps_after_gradients_elsewhere(backend: Any) -> None:
    """Where the last gradient lay is where the search begins."""
    memory = np.ones(100, np.float32)
    params = [memory[20:30], memory[40:50], memory[60:70]]
    opt = instep.SGD(params, lr=1.0, backend=backend)
    spare = [memory[first : first + 10] for first in (0, 30, 50, 70, 90)]
    for before in spare:
        for k, p in enumerate(params):
            opt.step([before] * 3)
            for g in (p, memory[11 + 20 * k : 21 + 20 * k], memory[29 + 20 * k : 39 + 20 * k]):
                refused(opt, [memory], [g] * 3, rf"overlaps params\[{k}\]")


@BACKENDS
def test_zero_grads_looks_again_when_gradients_change(backend: Any) -> None:
    p, q, memory = np.zeros(4), np.zeros(4), np.ones(12)
    opt = instep.SGD([p, q], lr=1.0, zero_grads=True, backend=backend)
    g, h = memory[:4], memory[4:8]
    for _ in range(2):
        memory[...] = 1
        opt.step([g, h])
        assert memory.tolist() == [0] * 8 + [1] * 4
    refused(opt, [p, q, memory], [g, memory[3:7]], "grads.* must not overlap")
    opt.step([g, h])
    h.flags.writeable = False
    refused(opt, [p, q, memory], [g, h], r"grads\[1\]: must be writeable")
    opt.step([g, memory[8:]])


def test_a_step_within_a_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signal handler could try it; the one under way is finished."""
    p, g = np.zeros(2), np.ones(2, np.float32)
    opt = instep.SGD([p], lr=1.0)

    def interrupted(*_: Any, **__: Any) -> np.ndarray:
        with pytest.raises(RuntimeError, match="another step of this optimizer is under way"):
            opt.step([np.ones(2)])
        return np.full(2, 2.0)

    monkeypatch.setattr("instep._buffers.Buffers.check_gradient", interrupted)
    opt.step([g])
    assert (p.tolist(), opt.steps) == ([-2, -2], 1)


@BACKENDS
def test_a_step_that_comes_between_makes_the_other_fail(backend: Any) -> None:
    p, g = np.zeros(2), np.ones(2)

    def lr(step: int) -> float:
        if step == 0 and not opt.steps and not entered:
            entered.append(step)
            opt.step([g])
        return 1.0

    entered = [0]  # the constructor asks for the first value
    opt = instep.SGD([p], lr=lr, backend=backend)
    entered.clear()
    with pytest.raises(RuntimeError, match="another step of this optimizer came between"):
        opt.step([g])
    assert (p.tolist(), opt.steps) == ([-1, -1], 1)
    opt.step([g])
    assert (p.tolist(), opt.steps) == ([-2, -2], 2)


@BACKENDS
def test_interleaved_views_are_welcome(backend: Any) -> None:
    memory = np.ones((4, 6), np.float32)
    opt = instep.SGD([memory[:, ::3], memory[:, 1::3]], lr=1.0, backend=backend)
    opt.step([memory[:, 2::3], memory[:, 2::3]])
    assert (memory == [0, 0, 1, 0, 0, 1]).all()


@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")  # NumPy 2.5
@BACKENDS
def test_array_changed_behind_our_back(backend: Any) -> None:
    p, q = np.ones(8, np.float32), np.ones(2, np.float32)
    opt = instep.Adam([p, q], backend=backend)
    good = [np.ones(8, np.float32), np.ones(2, np.float32)]
    changed = r"^params\[0\]: must not be resized or moved .*; was \(8,\) at 0x"
    p.shape = (2, 4)
    refused(opt, [p, q], [np.ones((2, 4), np.float32), good[1]], changed)
    refused(opt, [p, q], good, changed)
    p.shape = (8,)
    p.flags.writeable = False
    refused(opt, [p, q], good, r"^params\[0\]: must be writeable; got a read-only array")
    p.flags.writeable = True
    for dtype in (np.int32, ">f4"):
        p.dtype = dtype
        message = r"^params\[0\]: must keep its dtype .*; was float32, is "
        refused(opt, [p, q], [np.ones(8, dtype), good[1]], message)
        refused(opt, [p, q], good, message)
        p.dtype = np.float32
    opt.step(good)
    for n in (4, 1 << 20):
        p.resize(n, refcheck=False)
        refused(opt, [p, q], good, changed)
        refused(opt, [p, q], [np.ones(n, np.float32), good[1]], changed)


@BACKENDS
def test_zero_grads_needs_gradients_of_its_own(backend: Any) -> None:
    p, q = np.ones(3), np.ones(3)
    opt = instep.SGD([p, q], zero_grads=True, backend=backend)
    g = np.ones(3)
    locked = np.ones(3)
    locked.flags.writeable = False
    refused(opt, [p, q, g], [g, g], r"^grads\[1\]: must not overlap; is grads\[0\]")
    refused(opt, [p, q, g], [g, locked], r"^grads\[1\]: must be writeable")
    wide = np.broadcast_to(np.ones(1), (3,))
    refused(opt, [p, q, g], [g, wide], r"^grads\[1\]: must be writeable")
