"""Optimizers that torch has not, against the papers' formulas element by element in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import instep
from cases import CASES, Case

STEPS = 12
Vector = list[float]
Stepper = Callable[[Vector, Vector, int], Vector]


def sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def norm(x: Vector) -> float:
    return math.sqrt(math.fsum(e * e for e in x))


def lion(h: dict[str, Any]) -> Stepper:
    (b1, b2), m = h["betas"], {}

    def step(p: Vector, g: Vector, t: int) -> Vector:
        out = []
        for i, (w, x) in enumerate(zip(p, g, strict=True)):
            c = b1 * m.get(i, 0.0) + (1 - b1) * x
            out.append(w - h["lr"] * (sign(c) + h["weight_decay"] * w))
            m[i] = b2 * m.get(i, 0.0) + (1 - b2) * x
        return out

    return step


def adam_like(h: dict[str, Any], second: Callable[[float, float, float], float]) -> Stepper:
    """Adam with another second moment: ``second(v, g, m)``, m being up to date."""
    (b1, b2), m, v = h["betas"], {}, {}
    start = h.get("initial_accumulator_value", 0.0)

    def step(p: Vector, g: Vector, t: int) -> Vector:
        out = []
        for i, (w, raw) in enumerate(zip(p, g, strict=True)):
            x = raw + h["weight_decay"] * w
            m[i] = b1 * m.get(i, 0.0) + (1 - b1) * x
            v[i] = second(v.get(i, start), x, m[i])
            m_hat, v_hat = m[i] / (1 - b1**t), v[i] / (1 - b2**t)
            out.append(w - h["lr"] * m_hat / (math.sqrt(v_hat) + h["eps"]))
        return out

    return step


def yogi(h: dict[str, Any]) -> Stepper:
    b2 = h["betas"][1]
    return adam_like(h, lambda v, g, m: v - (1 - b2) * sign(v - g * g) * g * g)


def adabelief(h: dict[str, Any]) -> Stepper:
    b2 = h["betas"][1]
    return adam_like(h, lambda v, g, m: b2 * v + (1 - b2) * (g - m) ** 2 + h["eps"])


def lamb(h: dict[str, Any]) -> Stepper:
    (b1, b2), m, v = h["betas"], {}, {}

    def step(p: Vector, g: Vector, t: int) -> Vector:
        u = []
        for i, (w, x) in enumerate(zip(p, g, strict=True)):
            m[i] = b1 * m.get(i, 0.0) + (1 - b1) * x
            v[i] = b2 * v.get(i, 0.0) + (1 - b2) * x * x
            m_hat, v_hat = m[i] / (1 - b1**t), v[i] / (1 - b2**t)
            u.append(m_hat / (math.sqrt(v_hat) + h["eps"]) + h["weight_decay"] * w)
        trust = norm(p) / norm(u) if norm(p) and norm(u) else 1.0
        return [w - h["lr"] * trust * d for w, d in zip(p, u, strict=True)]

    return step


def lars(h: dict[str, Any]) -> Stepper:
    buf: dict[int, float] = {}
    decay, mu = h["weight_decay"], h["momentum"]

    def step(p: Vector, g: Vector, t: int) -> Vector:
        x, y = norm(p), norm(g)
        trust = h["trust_coefficient"] * x / (y + decay * x + h["eps"]) if x and y else 1.0
        out = []
        for i, (w, raw) in enumerate(zip(p, g, strict=True)):
            d = trust * (raw + decay * w)
            buf[i] = mu * buf[i] + d if i in buf else d
            d = d + mu * buf[i] if h["nesterov"] else buf[i]
            out.append(w - h["lr"] * d)
        return out

    return step


ORACLES = {
    instep.Lion: lion,
    instep.Yogi: yogi,
    instep.AdaBelief: adabelief,
    instep.LAMB: lamb,
    instep.LARS: lars,
}
ROWS = [case for case in CASES if case.cls in ORACLES]


def test_every_optimizer_is_compared_with_something() -> None:
    judged = {case.cls for case in CASES if case.in_torch} | set(ORACLES)
    assert {getattr(instep, name) for name in instep.optimizers.__all__} == judged


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_trajectory(case: Case) -> None:
    rng = np.random.default_rng(11)
    shapes = [(3, 7), (5,), ()]
    params = [np.asarray(rng.standard_normal(s)) for s in shapes]
    opt = case.cls(params, **case.hyper)
    h = dict(opt.param_groups[0])
    steppers = [ORACLES[case.cls](h) for _ in params]
    expected = [p.ravel().tolist() for p in params]
    for t in range(1, STEPS + 1):
        grads = [np.asarray(rng.standard_normal(s)) for s in shapes]
        opt.step(grads)
        for i, g in enumerate(grads):
            expected[i] = steppers[i](expected[i], g.ravel().tolist(), t)
            np.testing.assert_allclose(params[i].ravel(), expected[i], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("cls", [instep.LAMB, instep.LARS])
def test_a_zero_norm_means_no_trust_ratio(cls: Any, backend: str) -> None:
    zero, still = np.zeros(3), np.ones(3)
    opt = cls([zero, still], lr=0.5, weight_decay=0.0, backend=backend)
    opt.step([np.ones(3), np.zeros(3)])
    assert zero == pytest.approx([-0.5] * 3, rel=1e-5)
    assert still.tolist() == [1.0] * 3


@pytest.mark.parametrize("cls", [instep.LAMB, instep.LARS])
def test_norms_beyond_the_range_of_squares(cls: Any) -> None:
    """Parameters of 1e200, whose squares no double holds, native and reference alike."""
    start = np.random.default_rng(0).standard_normal(3000) * 1e200
    p, q = start.copy(), start.copy()
    g = np.random.default_rng(1).standard_normal(3000)
    for params, backend in ((p, "native"), (q, "reference")):
        cls([params], lr=0.1, weight_decay=0.0, backend=backend).step([g])
    assert np.isfinite(p).all()
    assert (p != start).any()
    assert (p == q).all()
