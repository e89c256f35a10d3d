"""Parameter groups: hyperparameters that are checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from . import _validate as validate

RATE = validate.number(low=0)
MOMENT = validate.number(low=0, below=1)

CHECKS: dict[str, validate.Check] = {
    "lr": RATE,
    "momentum": RATE,
    "dampening": validate.number(),
    "weight_decay": RATE,
    "nesterov": validate.flag,
    "betas": validate.pair(MOMENT, MOMENT),
    "eps": RATE,
    "amsgrad": validate.flag,
    "eps_mode": validate.one_of("torch", "hat"),
}
"""The rules for hyperparameters that optimizers share by name; a class may add its own."""


class ParamGroup(MutableMapping[str, Any]):
    """Parameters with their hyperparameters, used as torch's group dicts are.

    Setting a hyperparameter checks it as the constructor does. ``params`` is fixed, and so is the
    set of keys.
    """

    def __init__(
        self,
        params: Any,
        hyper: dict[str, Any],
        checks: dict[str, validate.Check],
        together: Callable[[dict[str, Any]], None],
    ) -> None:
        self._params = params
        self._checks = checks
        self._together = together
        self._values: dict[str, Any] = {}
        self.has_schedules = False
        self._replace(hyper)

    def _replace(self, values: dict[str, Any]) -> None:
        checked = {name: self._checked(name, value) for name, value in values.items()}
        self._together(checked)
        self._values = checked
        self.has_schedules = any(callable(value) for value in checked.values())

    def _checked(self, name: str, value: Any) -> Any:
        if name not in self._checks:
            known = ", ".join(self._checks)
            raise ValueError(f"{name}: must be one of the hyperparameters {known}")
        check = self._checks[name]
        # A schedule (a function of the steps taken) is checked at every step.
        return value if callable(value) and check is not validate.flag else check(name, value)

    def at(self, step: int) -> dict[str, Any]:
        """Return the hyperparameters after ``step`` steps, schedules evaluated and checked."""
        if not self.has_schedules:
            return self._values
        now = {
            name: self._checks[name](name, value(step)) if callable(value) else value
            for name, value in self._values.items()
        }
        self._together(now)
        return now

    def __getitem__(self, name: str) -> Any:
        return self._params if name == "params" else self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "params":
            raise ValueError("params: must not be replaced; make a new optimizer")
        self._replace({**self._values, name: value})

    def __delitem__(self, name: str) -> None:
        raise ValueError(f"{name}: must not be removed from a parameter group")

    def __iter__(self) -> Iterator[str]:
        yield "params"
        yield from self._values

    def __len__(self) -> int:
        return 1 + len(self._values)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"ParamGroup({values})"
