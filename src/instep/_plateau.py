"""The schedule that watches a metric: `instep.schedules.ReduceOnPlateau`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, SupportsFloat

import numpy as np

from . import _validate as validate

_at_least_0 = validate.number(low=0)


class ReduceOnPlateau:
    r"""Multiply the value by ``factor`` when a metric has stopped improving.

    torch's ``ReduceLROnPlateau``, for any hyperparameter: :meth:`step` is called with the metric
    once an epoch or evaluation, and more than ``patience`` calls in a row without a new best one
    reduce the value to :math:`\max(\text{value} \cdot \text{factor}, \text{min\_value})`. A new
    best is better than the old one by the threshold:

    .. math::
        m < b (1 - \theta) \text{ (min, rel)}, \quad m > b (1 + \theta) \text{ (max, rel)}, \quad
        m < b - \theta \text{ (min, abs)}, \quad m > b + \theta \text{ (max, abs)}

    A metric that is NaN is never better. An optimizer that has the schedule as a hyperparameter
    saves and restores its state.

    Parameters
    ----------
    value : float
        Where it starts.
    mode : "min" or "max"
        Whether a better metric is a lower or a higher one.
    factor : float
        At least 0, below 1.
    patience : int
        How many calls without a new best are allowed, at least 0.
    threshold : float
        The :math:`\theta` above, at least 0.
    threshold_mode : "rel" or "abs"
        Whether the threshold is a share of the best metric or a distance from it.
    cooldown : int
        For how many calls after a reduction bad metrics do not count, at least 0.
    min_value : float
        The value never falls below.
    eps : float
        A reduction by no more than this is left out, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument breaks its rule; the message names argument, rule and value.

    Examples
    --------
    >>> import numpy as np, instep
    >>> lr = instep.schedules.ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> opt = instep.SGD([np.ones(2)], lr=lr)
    >>> for loss in (1.0, 0.9, 0.95, 0.93):  # no new best in the last two
    ...     lr.step(loss)
    >>> opt.lr
    0.05
    """

    def __init__(
        self,
        value: float,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_value: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self._value: float = validate.number()("value", value)
        self._mode = validate.OneOf("min", "max")("mode", mode)
        self._factor: float = validate.number(low=0, below=1)("factor", factor)
        self._patience = validate.count("patience", patience, 0)
        self._threshold: float = _at_least_0("threshold", threshold)
        if mode == "min" and threshold_mode == "rel" and self._threshold >= 1:
            raise ValueError(
                "threshold: must be < 1 with mode 'min' and threshold_mode 'rel', or no metric "
                f"would be better than another; got {self._threshold!r}"
            )
        self._threshold_mode = validate.OneOf("rel", "abs")("threshold_mode", threshold_mode)
        self._cooldown = validate.count("cooldown", cooldown, 0)
        self._min_value: float = validate.number()("min_value", min_value)
        self._eps: float = _at_least_0("eps", eps)
        self._best = math.inf if mode == "min" else -math.inf
        self._bad = 0
        self._waiting = 0

    def __call__(self, step: int) -> float:
        """Return the present value, whatever the step."""
        del step
        return self._value

    def __repr__(self) -> str:
        """Show the present value and the best metric."""
        return f"ReduceOnPlateau(value={self._value!r}, mode={self._mode!r}, best={self._best!r})"

    def step(self, metric: SupportsFloat) -> None:
        """Take note of a metric, and reduce the value if it is time to.

        Raises
        ------
        TypeError
            If the metric is not a number; then nothing is changed.
        """
        current = _as_float(metric)
        if self._is_better(current):
            self._best = current
            self._bad = 0
        else:
            self._bad += 1
        if self._waiting > 0:
            self._waiting -= 1
            self._bad = 0
        if self._bad > self._patience:
            self._reduce()

    def _is_better(self, metric: float) -> bool:
        relative, sign = self._threshold_mode == "rel", 1 if self._mode == "max" else -1
        margin = sign * self._threshold
        bar = self._best * (1.0 + margin) if relative else self._best + margin
        return metric > bar if self._mode == "max" else metric < bar

    def _reduce(self) -> None:
        reduced = max(self._value * self._factor, self._min_value)
        if self._value - reduced > self._eps:
            self._value = reduced
        self._waiting = self._cooldown
        self._bad = 0

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes; the arguments are those of the construction."""
        return {
            "value": self._value,
            "best": self._best,
            "num_bad_epochs": self._bad,
            "cooldown_counter": self._waiting,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, if it fits; else change nothing.

        Raises
        ------
        TypeError, ValueError
            If a key is missing or unknown, or a value breaks its rule.
        """
        validate.keys(
            "state_dict", state_dict, ["value", "best", "num_bad_epochs", "cooldown_counter"]
        )
        value = validate.number()("state_dict['value']", state_dict["value"])
        best = _as_float(state_dict["best"], "state_dict['best']")
        counts = ("num_bad_epochs", "cooldown_counter")
        bad, waiting = (validate.count(f"state_dict[{k!r}]", state_dict[k], 0) for k in counts)
        if math.isnan(best):
            raise ValueError("state_dict['best']: must be a number or an infinity; got nan")
        self._value, self._best, self._bad, self._waiting = value, best, bad, waiting


def _as_float(metric: Any, name: str = "metric") -> float:
    """Return a number as a float: also NaN, an infinity, or an array without axes."""
    if isinstance(metric, (str, bytes, bool, np.bool_)):
        raise TypeError(f"{name}: must be a number; got {validate.shown(metric)}")
    try:
        return float(metric)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name}: must be a number; got {validate.shown(metric)}") from None
