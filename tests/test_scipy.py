"""The optimizers as a method of SciPy's minimize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import instep

optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
from instep.integrations.scipy import minimizer  # noqa: E402

START = np.array([-1.2, 1.0, 0.5])


def bowl(x: np.ndarray, scale: float = 1.0) -> float:
    return float(scale * (x * x).sum())


def slope(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    return 2 * scale * x


def solve(cls: Any = instep.Adam, hyper: Any = None, fun: Any = bowl, **kwargs: Any) -> Any:
    method = minimizer(cls, **(hyper or {"lr": 0.05}))
    return optimize.minimize(fun, START, jac=kwargs.pop("jac", slope), method=method, **kwargs)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_the_steps_are_the_optimizer_s(backend: str) -> None:
    hyper = {"lr": 0.1, "momentum": 0.5, "backend": backend}
    result = solve(instep.SGD, hyper, options={"maxiter": 7, "gtol": 0, "ftol": 0})
    x = START.copy()
    opt = instep.SGD([x], **hyper)
    for _ in range(7):
        opt.step([slope(x)])
    assert (result.x == x).all()
    assert (result.fun, result.nit, result.nfev, result.njev) == (bowl(x), 7, 8, 8)
    assert (result.success, result.status) == (False, 1)
    assert "Maximum number" in result.message
    assert isinstance(result, optimize.OptimizeResult)
    assert (START == [-1.2, 1.0, 0.5]).all()


def test_converged_by_the_gradient() -> None:
    result = solve(instep.SGD, {"lr": 0.3}, options={"gtol": 1e-3, "ftol": 0})
    assert result.success
    assert abs(result.jac).max() <= 1e-3
    assert solve(options={"gtol": 10}).nit == 0


def test_converged_by_the_value() -> None:
    result = solve(instep.SGD, {"lr": 1e-9}, options={"gtol": 0, "ftol": 1e-6})
    assert (result.success, result.nit) == (True, 5)


def test_tol_args_and_a_function_with_its_gradient() -> None:
    result = solve(args=(3.0,), tol=1e-4)
    assert result.success
    assert result.nit < solve(args=(3.0,), tol=1e-8).nit
    both = solve(fun=lambda x: (bowl(x), slope(x)), jac=True, tol=1e-4)
    assert both.success


def test_not_finite() -> None:
    with np.errstate(over="ignore"):
        result = solve(instep.SGD, {"lr": 1e200}, options={"maxiter": 50})
    assert (result.success, result.status) == (False, 2)


def test_callbacks() -> None:
    seen: list[Any] = []
    result = solve(callback=seen.append, options={"maxiter": 3})
    assert len(seen) == 3
    assert (seen[-1] == result.x).all()
    assert not (seen[0] == seen[1]).all()

    def stop(intermediate_result: Any) -> None:
        seen.append(intermediate_result.fun)
        raise StopIteration

    result = solve(callback=stop)
    assert (result.nit, result.status, result.success) == (1, 99, False)
    assert seen[-1] == result.fun


def test_disp(capsys: pytest.CaptureFixture[str]) -> None:
    solve(options={"disp": True})
    assert "terminated successfully" in capsys.readouterr().out


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: minimizer(dict), "cls: must be an optimizer class of instep"),  # type: ignore[arg-type]
    (lambda: solve(jac=None), "jac: must be a function, or True"),
    (lambda: solve(bounds=[(0, 1)] * 3), "bounds, constraints: must not be given"),
    (lambda: solve(options={"maxiter": 0}), "maxiter: must be an integer >= 1; got 0"),
    (lambda: solve(options={"gtol": -1.0}), "gtol: must be a finite number, >= 0; got -1.0"),
    (
        lambda: solve(options={"maxitr": 3}),
        r"options: must be among maxiter, .* \(did you mean maxiter\?\); got 'maxitr'",
    ),
    (lambda: solve(hyper={"lr": -1.0}), "lr: "),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m[:8] for _, m in REFUSED])
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
