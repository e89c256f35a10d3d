"""Trajectories agree with torch's to rounding, over the grid of hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import instep
from cases import CASES, Case

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")

STEPS = 12
SHAPES = [(50, 21), (33,), ()]
GRID = [case for case in CASES if case.in_torch]


def start(dtype: type) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    rng = np.random.default_rng(7)
    params = [np.asarray(rng.standard_normal(s), dtype) for s in SHAPES]
    grads = [[np.asarray(rng.standard_normal(s), dtype) for s in SHAPES] for _ in range(STEPS)]
    return params, grads


def torch_run(
    case: Case,
    params: list[np.ndarray],
    grads: list[list[np.ndarray]],
    max_norm: float | None,
    maximize: bool = False,
) -> list[list[np.ndarray]]:
    tensors = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    hyper: dict[str, Any] = dict(case.hyper)
    opt = getattr(torch.optim, case.cls.__name__)(tensors, **hyper, maximize=maximize)
    path = []
    for step in grads:
        for tensor, g in zip(tensors, step, strict=True):
            tensor.grad = torch.tensor(g)
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(tensors, max_norm)
        opt.step()
        path.append([t.detach().numpy().copy() for t in tensors])
    return path


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("max_norm", [None, 5.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", GRID, ids=str)
def test_trajectory(case: Case, dtype: type, max_norm: float | None, maximize: bool) -> None:
    params, grads = start(dtype)
    expected = torch_run(case, params, grads, max_norm, maximize)
    transforms = [] if max_norm is None else [instep.ClipByGlobalNorm(max_norm)]
    opt = case.cls(params, **case.hyper, transforms=transforms, maximize=maximize)
    eps = max(float(np.finfo(t).eps) for t in (dtype, case.torch_scalars))
    for t, (step, want) in enumerate(zip(grads, expected, strict=True), start=1):
        opt.step(step)
        for p, q in zip(params, want, strict=True):
            # A few ulps of the parameter, and of what the steps have added to it, for each step.
            np.testing.assert_allclose(p, q, rtol=4 * t * eps, atol=8 * t * eps)


def test_none_gradient_is_passed_over_as_torch_does() -> None:
    params, grads = start(np.float64)
    tensors = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    theirs = torch.optim.Adam(tensors)
    ours = instep.Adam(params)
    for t, step in enumerate(grads):
        passed = [None if (t + i) % 3 == 0 else g for i, g in enumerate(step)]
        for tensor, g in zip(tensors, passed, strict=True):
            tensor.grad = None if g is None else torch.tensor(g)
        theirs.step()
        ours.step(passed)
    for p, q in zip(params, tensors, strict=True):
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=1e-13, atol=1e-14)


def test_groups_as_in_torch() -> None:
    params, grads = start(np.float64)
    tensors = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    theirs = torch.optim.AdamW(
        [{"params": tensors[:1], "lr": 0.1}, {"params": tensors[1:], "weight_decay": 0.5}]
    )
    ours = instep.AdamW(
        [{"params": params[:1], "lr": 0.1}, {"params": params[1:], "weight_decay": 0.5}]
    )
    for step in grads:
        for tensor, g in zip(tensors, step, strict=True):
            tensor.grad = torch.tensor(g)
        theirs.step()
        ours.step([step[:1], step[1:]])
    for p, q in zip(params, tensors, strict=True):
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=1e-13, atol=1e-14)


def test_defaults_are_torchs() -> None:
    for cls in {case.cls for case in GRID}:
        theirs = getattr(torch.optim, cls.__name__)([torch.zeros(1)]).param_groups[0]
        ours = cls([np.zeros(1)]).param_groups[0]
        for name in set(ours) - {"params", "eps_mode"}:
            assert ours[name] == theirs[name], f"{cls.__name__}: {name}"
