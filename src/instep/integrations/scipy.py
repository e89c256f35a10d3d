"""The optimizers as methods of ``scipy.optimize.minimize``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult  # type: ignore[import-untyped]

from .. import _validate as validate
from ..optimizer import Optimizer

__all__ = ["minimizer"]

CONVERGED, TOO_MANY, NOT_FINITE, STOPPED = 0, 1, 2, 99
MESSAGES = {
    CONVERGED: "Optimization terminated successfully.",
    TOO_MANY: "Maximum number of iterations has been exceeded.",
    NOT_FINITE: "The function or its gradient is not finite.",
    STOPPED: "`callback` raised `StopIteration`.",
}


def minimizer(cls: type[Optimizer], **hyper: Any) -> Callable[..., OptimizeResult]:
    r"""Return a ``method`` for ``scipy.optimize.minimize`` that takes steps of an optimizer.

    It stops where the largest element of the gradient is at most ``gtol``, or where for five steps
    the function changed by at most ``ftol`` times its magnitude (or 1, if that is larger).

    Parameters
    ----------
    cls : Optimizer class
        ``instep.Adam`` or another.
    **hyper
        Its arguments: ``lr``, ``transforms`` and so on.

    Returns
    -------
    callable
        For the argument ``method``. Its ``options``: ``maxiter`` (1000), ``gtol`` (1e-5), ``ftol``
        (1e-9), ``disp`` (False); ``tol`` of ``minimize`` sets both tolerances. The result has
        ``x``, ``fun``, ``jac``, ``nit``, ``nfev``, ``njev``, ``success``, ``status`` (0 converged,
        1 too many iterations, 2 not finite, 99 stopped by the callback) and ``message``.

    Raises
    ------
    TypeError
        If cls is no optimizer of instep, or an option is unknown.
    ValueError
        By ``minimize``, if there is no gradient (``jac``), or there are bounds or constraints.

    Examples
    --------
    >>> import instep
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> from instep.integrations.scipy import minimizer
    >>> method = minimizer(instep.Adam, lr=0.05)
    >>> options = {"maxiter": 3000}
    >>> result = minimize(rosen, [-1.0, 2.0], jac=rosen_der, method=method, options=options)
    >>> result.success, result.x.round(2).tolist()
    (True, [1.0, 1.0])
    """
    if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
        raise TypeError(f"cls: must be an optimizer class of instep; got {validate.shown(cls)}")

    def method(
        fun: Callable[..., float],
        x0: np.ndarray,
        args: tuple[Any, ...] = (),
        *,
        jac: Any = None,
        callback: Callable[..., object] | None = None,
        **given: Any,
    ) -> OptimizeResult:
        if not callable(jac):
            rule = "must be a function, or True where fun returns the gradient too"
            raise ValueError(f"jac: {rule}; got {validate.shown(jac)}")  # noqa: TRY004 - as SciPy
        limits = _Limits(**_options(given))
        x = np.array(x0, np.float64)
        run = _Run(lambda: fun(x, *args), lambda: jac(x, *args), x, _teller(callback))
        return run.until(limits, cls([x], **hyper))

    return method


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return what is left of the arguments of a method without those that mean nothing here."""
    if given.get("bounds") is not None or given.get("constraints"):
        raise ValueError("bounds, constraints: must not be given; these steps know none")
    ignored = ("bounds", "constraints", "hess", "hessp")
    options = {name: value for name, value in given.items() if name not in ignored}
    there = inspect.signature(_Limits).parameters
    for name in options:
        if name not in there:
            raise TypeError(f"options: must be among {validate.known(name, there)}; got {name!r}")
    return options


class _Limits:
    """When to stop."""

    def __init__(
        self,
        *,
        maxiter: int = 1000,
        gtol: float = 1e-5,
        ftol: float = 1e-9,
        tol: float | None = None,
        disp: bool = False,
    ) -> None:
        tolerance = validate.number(low=0)
        self.maxiter = validate.count("maxiter", maxiter, 1)
        self.gtol = tolerance("gtol", gtol if tol is None else tol)
        self.ftol = tolerance("ftol", ftol if tol is None else tol)
        self.disp = bool(disp)


class _Run:
    """One minimization."""

    CALM = 5  # steps without a change of the function

    def __init__(
        self,
        fun: Callable[[], float],
        jac: Callable[[], np.ndarray],
        x: np.ndarray,
        tell: Callable[[OptimizeResult], None],
    ) -> None:
        self._fun, self._jac, self._x, self._tell = fun, jac, x, tell
        self._calls = 0
        self._calm = 0
        self._look()

    def _look(self) -> None:
        self._value = float(self._fun())
        self._gradient = np.asarray(self._jac(), np.float64)
        self._calls += 1

    def until(self, limits: _Limits, opt: Optimizer) -> OptimizeResult:
        """Take steps until one of the limits is reached."""
        status = self._status(limits, opt.steps)
        while status is None:
            before = self._value
            opt.step([self._gradient])
            self._look()
            scale = max(abs(before), abs(self._value), 1.0)
            unchanged = abs(before - self._value) <= limits.ftol * scale
            self._calm = self._calm + 1 if unchanged else 0
            status = self._status(limits, opt.steps)
            try:
                self._tell(self._result(opt.steps, status))
            except StopIteration:
                status = STOPPED
        if limits.disp:
            print(MESSAGES[status])
        return self._result(opt.steps, status)

    def _status(self, limits: _Limits, steps: int) -> int | None:
        if not (np.isfinite(self._value) and np.isfinite(self._gradient).all()):
            return NOT_FINITE
        if abs(self._gradient).max(initial=0) <= limits.gtol or self._calm >= self.CALM:
            return CONVERGED
        return TOO_MANY if steps >= limits.maxiter else None

    def _result(self, steps: int, status: int | None) -> OptimizeResult:
        result = OptimizeResult(x=self._x.copy(), fun=self._value, jac=self._gradient)
        result.update(nit=steps, nfev=self._calls, njev=self._calls)
        if status is not None:
            result.update(success=status == CONVERGED, status=status, message=MESSAGES[status])
        return result


def _teller(callback: Callable[..., object] | None) -> Callable[[OptimizeResult], None]:
    """Call back as SciPy does: with the result where that is its argument's name, else with x."""
    if callback is None:
        return lambda _: None
    by_name = set(inspect.signature(callback).parameters) == {"intermediate_result"}

    def tell(result: OptimizeResult) -> None:
        if by_name:
            callback(intermediate_result=result)
        else:
            callback(result.x)

    return tell
