"""Schedules equal torch's, step by step, and refuse what makes no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import instep
from instep import schedules
from instep.optimizers import nadam

STEPS = 60


def torch_path(make: Any, lr: float = 0.1) -> list[float]:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(torch.optim.lr_scheduler, opt)
    path = []
    for _ in range(STEPS):
        path.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return path


PAIRS = {
    "constant": (schedules.constant(0.1), lambda s, o: s.ConstantLR(o, factor=1.0)),
    "linear": (
        schedules.linear(0.02, 0.1, 30),
        lambda s, o: s.LinearLR(o, start_factor=0.2, end_factor=1.0, total_iters=30),
    ),
    "exponential": (schedules.exponential(0.1, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "step": (schedules.step(0.1, 7, gamma=0.5), lambda s, o: s.StepLR(o, 7, gamma=0.5)),
    "polynomial": (
        schedules.polynomial(0.1, 40, power=2.0),
        lambda s, o: s.PolynomialLR(o, total_iters=40, power=2.0),
    ),
    "cosine": (
        schedules.cosine(0.1, STEPS, min_value=0.01),
        lambda s, o: s.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    ),
    "cosine with restarts": (
        schedules.cosine(0.1, 20, min_value=0.01, restarts=True),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 20, eta_min=0.01),
    ),
    "join": (
        schedules.join([schedules.exponential(0.1, 0.5), schedules.step(0.1, 10)], [20]),
        lambda s, o: s.SequentialLR(o, [s.ExponentialLR(o, 0.5), s.StepLR(o, 10)], milestones=[20]),
    ),
    "one_cycle": (
        schedules.one_cycle(0.1, STEPS + 1),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=STEPS + 1),
    ),
    "one_cycle, linear": (
        schedules.one_cycle(0.1, STEPS + 1, 0.5, "linear", 10.0, 100.0),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=STEPS + 1, pct_start=0.5,
                                  anneal_strategy="linear", div_factor=10.0,
                                  final_div_factor=100.0),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", PAIRS)
def test_equals_torch(name: str) -> None:
    ours, theirs = PAIRS[name]
    expected = torch_path(theirs)
    np.testing.assert_allclose([ours(t) for t in range(STEPS)], expected, rtol=1e-12, atol=1e-15)


def test_warm_up() -> None:
    lr = schedules.cosine(1.0, 100, warmup_steps=10)
    assert [lr(t) for t in range(10)] == pytest.approx([(t + 1) / 10 for t in range(10)])
    assert lr(10) == 1.0
    assert lr(100) == pytest.approx(0.0, abs=1e-15)
    assert lr(10**6) == pytest.approx(0.0, abs=1e-15)


def test_in_an_optimizer() -> None:
    w = np.zeros(1)
    opt = instep.SGD(w, lr=schedules.linear(1.0, 0.0, 4), momentum=schedules.constant(0.0))
    assert [opt.step(np.ones(1)).lr for _ in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert w == -2.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.constant(np.nan), "value: must be a finite number"),
        (lambda: schedules.linear(0.0, 1.0, 0), "steps: must be an integer >= 1; got 0"),
        (lambda: schedules.exponential(1.0, 0.0), "gamma: must be a finite number, > 0; got 0.0"),
        (lambda: schedules.step(1.0, 1.5), "step_size: must be an integer >= 1"),  # type: ignore[arg-type]
        (lambda: schedules.polynomial(1.0, 10, -1), "power: must be a finite number, > 0"),
        (
            lambda: schedules.cosine(1.0, 10, 10),
            "total_steps: must be more than warmup_steps, 10; got 10",
        ),
        (lambda: schedules.one_cycle(1.0, 10, 1.0), "pct_start: must be a finite number, > 0, < 1"),
        (lambda: schedules.one_cycle(1.0, 10, 0.1), "pct_start: must leave a rise"),
        (lambda: schedules.inverse_sqrt(1.0, 0), "warmup_steps: must be an integer >= 1; got 0"),
        (
            lambda: schedules.warmup_stable_decay(1.0, 5, 3, 3),
            r"total_steps: must be at least warmup_steps \+ decay_steps, 6; got 5",
        ),
        (lambda: schedules.join([schedules.constant(1.0)], [5]), "milestones: must be one fewer"),
        (
            lambda: schedules.join([schedules.constant(1.0)] * 3, [5, 5]),
            "milestones: must be an integer >= 6; got 5",
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_nadam_with_a_schedule_of_betas_keeps_no_history_of_them() -> None:
    """Each step has a beta of its own; the product over all steps must not be kept for each."""
    nadam._shares.cache_clear()
    opt = instep.NAdam([np.zeros(1)], betas=lambda step: (0.9 + 1e-6 * step, 0.999))
    for _ in range(300):
        opt.step([np.ones(1)])
    assert nadam._shares.cache_info().currsize == 1
    assert len(nadam._shares(4e-3)) == 300
    for t in (2**53, 10**9):  # the product soon stays the same
        mu, mu_next, product = nadam.nadam_momenta(0.9, 4.0, t)
        assert (mu, mu_next, product) == (0.9, 0.9, 0.0)


def test_a_threshold_that_nothing_could_pass_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^threshold: must be < 1 with mode 'min'"):
        instep.schedules.ReduceOnPlateau(1.0, threshold=1.0)
    instep.schedules.ReduceOnPlateau(1.0, threshold=1.0, mode="max")
    instep.schedules.ReduceOnPlateau(1.0, threshold=1.0, threshold_mode="abs")
