"""Optimizers that torch has not, against the oracles of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import instep
from cases import CASES, Case

STEPS = 12
ROWS = [case for case in CASES if case.oracle]


def test_every_optimizer_is_compared_with_something() -> None:
    assert {getattr(instep, name) for name in instep.optimizers.__all__} == {c.cls for c in CASES}


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_trajectory(case: Case) -> None:
    rng = np.random.default_rng(11)
    shapes = [(3, 7), (5,), ()]
    params = [np.asarray(rng.standard_normal(s)) for s in shapes]
    opt = case.cls(params, **case.hyper)
    assert case.oracle
    steppers = [case.oracle(dict(opt.param_groups[0])) for _ in params]
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
