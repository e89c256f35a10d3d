"""Rows that are made some steps ahead: whatever comes between two steps counts from the next on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import instep
from cases import CASES, Case

STEPS = 40
NUMBERS = np.random.default_rng(11).standard_normal((STEPS, 3, 5))
SHAPES = [(5,), (2, 2), ()]

Opt = instep.Optimizer
Between = Callable[[Opt, int], Any]


def gradients(step: int) -> list[Any]:
    rows = NUMBERS[step]
    return [rows[0].copy(), rows[1, :4].reshape(2, 2).copy(), np.array(rows[2, 0])]


def nothing(opt: Opt, step: int) -> None:
    pass


def set_group(opt: Opt, step: int) -> None:
    opt.param_groups[1]["lr"] = 0.01 + 1e-3 * step


def set_all(opt: Opt, step: int) -> None:
    opt.lr = 0.02 / (1 + step)


def set_schedule(opt: Opt, step: int) -> None:
    opt.lr = lambda done: 0.1 / (1 + done)


def load(opt: Opt, step: int) -> None:
    saved = opt.state_dict()
    saved["param_groups"][0]["lr"] = 0.03
    opt.load_state_dict(saved)


def load_counts(opt: Opt, step: int) -> None:
    saved = opt.state_dict()
    for i, entry in saved["state"].items():
        entry["step"] = 100 * i + step
    opt.load_state_dict(saved)


def leave_out(opt: Opt, step: int) -> None:
    grads = gradients(step)
    opt.step([[grads[0], None], [grads[2]]])


def wrong_shape(opt: Opt, step: int) -> None:
    grads = gradients(step)
    with pytest.raises(ValueError, match="shape"):
        opt.step([[grads[1], grads[1]], [grads[2]]])


def not_finite(opt: Opt, step: int) -> None:
    grads = gradients(step)
    assert opt.step([[grads[0] * np.inf, grads[1]], [grads[2]]]).skipped


def accumulate(opt: Opt, step: int) -> None:
    for scale in (1.0, 3.0):
        grads = [g * scale for g in gradients(step)]
        opt.accumulate([grads[:2], grads[2:]])
    opt.step()


BETWEEN = [
    nothing,
    set_group,
    set_all,
    set_schedule,
    load,
    load_counts,
    leave_out,
    wrong_shape,
    not_finite,
    accumulate,
]


def walk(case: Case, backend: Any, between: Between, every: int) -> tuple[list[Any], Opt]:
    params = [np.full(shape, 0.5) for shape in SHAPES]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.05}]
    opt = case.cls(groups, **case.hyper, backend=backend, nonfinite="skip")
    reports = []
    for step in range(STEPS):
        grads = gradients(step)
        reports.append(opt.step([grads[:2], grads[2:]]))
        if step % every == every - 1:
            between(opt, step)
    return [[p.tobytes() for p in params], reports], opt


@pytest.mark.parametrize("every", [1, 3, 19])
@pytest.mark.parametrize("between", BETWEEN, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", [CASES[8], Case(instep.NAdam)], ids=str)
def test_between_steps(case: Case, between: Between, every: int) -> None:
    ours, opt = walk(case, "native", between, every)
    reference, ref = walk(case, "reference", between, every)
    assert ours == reference
    assert opt.steps == ref.steps


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rule(case: Case) -> None:
    assert walk(case, "native", set_group, 17)[0] == walk(case, "reference", set_group, 17)[0]


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_schedules_are_asked_once_in_each_attempt(backend: Any) -> None:
    asked: list[int] = []
    g = np.ones(3)
    opt = instep.Adam([np.ones(3)], lr=lambda done: asked.append(done) or 0.1, backend=backend)
    opt.step([g])
    opt.step([g])
    with pytest.raises(ValueError, match="shape"):
        opt.step([np.ones(2)])
    opt.step([g])
    assert asked == [0, 1, 2, 2]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect for which steps Adam's rows are made."""
    steps: list[int] = []
    scalars = instep.Adam._scalars
    noted = staticmethod(lambda h, asked: steps.extend(asked) or scalars(h, asked))
    monkeypatch.setattr(instep.Adam, "_scalars", noted)
    return steps


def test_rows_are_made_ahead_only_where_hyperparameters_stand_still(made: list[int]) -> None:
    w = np.ones(3)
    opt = instep.Adam([w])
    for _ in range(150):
        opt.step([w.copy()])
    assert made == list(range(1, 192))  # 1, 2, 4 ... 64 and 64 steps
    for step in range(150, 155):
        made.clear()
        opt.lr = 0.1 / step
        opt.step([w.copy()])
        assert made == [step + 1]


def test_many_groups_make_no_more_rows_ahead_than_a_pause_allows(made: list[int]) -> None:
    params = [np.ones(1) for _ in range(30)]
    opt = instep.Adam([{"params": [p]} for p in params])
    grads = [[np.ones(1)] for _ in params]
    most = 0
    for _ in range(20):
        made.clear()
        opt.step(grads)
        most = max(most, len(made))
    assert most == 60


def test_rows_are_forgotten_where_they_are_assigned_anew() -> None:
    opt = instep.Adam([np.ones(3)])
    grads = [np.ones(3)]
    for _ in range(2):
        opt.step(grads)
    opt._regroup()
    assert opt._plan.begin(grads)
    assert opt._plan.finish() is None


def test_a_steady_step_is_one_call_of_python_and_one_of_native_code() -> None:
    opt = instep.AdamW([np.ones(3)], nonfinite="raise", transforms=[instep.ClipByGlobalNorm(1.0)])
    grads = [np.ones(3)]
    for _ in range(18):  # rows are then there for 13 more
        opt.step(grads)
    calls: list[str] = []
    sys.setprofile(lambda _, event, __: calls.append(event))
    opt.step(grads)
    sys.setprofile(None)
    assert calls == ["call", "c_call", "c_return", "return", "c_call"]


def test_a_steady_step_refuses_what_is_not_finite() -> None:
    w = np.ones(3)
    opt = instep.Adam([w], nonfinite="raise")
    for _ in range(18):
        opt.step([np.ones(3)])
    before = w.tobytes(), opt.state_dict()["state"][0]["exp_avg"].tobytes(), opt.steps
    with pytest.raises(FloatingPointError, match=r"^grads\[0\]: "):
        opt.step([np.array([1.0, np.nan, 1.0])])
    assert (w.tobytes(), opt.state[0]["exp_avg"].tobytes(), opt.steps) == before
    assert opt.step([np.ones(3)]).step == 19
