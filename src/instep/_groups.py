"""Parameter groups: hyperparameters that are checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from . import _validate as validate


class Hyperparameter(NamedTuple):
    """The rule for a hyperparameter's value, and what it means."""

    check: validate.Check
    meaning: str


at_least_0 = validate.number(low=0)
moment = validate.number(low=0, below=1)

SHARED: dict[str, Hyperparameter] = {
    "lr": Hyperparameter(at_least_0, r"Learning rate :math:`\gamma`, at least 0."),
    "momentum": Hyperparameter(at_least_0, r"Momentum :math:`\mu`, at least 0."),
    "weight_decay": Hyperparameter(at_least_0, r"Weight decay :math:`\lambda`, at least 0."),
    "nesterov": Hyperparameter(validate.flag, "Nesterov's look-ahead."),
    "betas": Hyperparameter(
        validate.pair(moment, moment),
        r"Decay rates :math:`\beta_1, \beta_2` of the moments, each in [0, 1).",
    ),
    "eps": Hyperparameter(at_least_0, r"The :math:`\epsilon` of the denominator, at least 0."),
    "initial_accumulator_value": Hyperparameter(
        at_least_0, "Where the accumulator starts, at least 0."
    ),
    "decoupled_weight_decay": Hyperparameter(
        validate.flag, r"Decay the parameter by :math:`1 - \gamma \lambda` instead."
    ),
}
"""Hyperparameters that optimizers share by name; a class may add its own."""

NEEDED_WITH = {
    "momentum_buffer": "momentum",
    "grad_avg": "centered",
    "max_exp_avg_sq": "amsgrad",
}
"""Slots that a rule uses only where this hyperparameter is not 0 or False."""


class Rules(NamedTuple):
    """What an optimizer demands of its hyperparameters."""

    checks: dict[str, validate.Check]
    check_together: Callable[[dict[str, Any]], None]
    used_slots: Callable[[dict[str, Any]], tuple[str, ...]]


def schedulable(check: validate.Check) -> bool:
    """Whether a hyperparameter with this rule may be a function of the steps taken."""
    return check is not validate.flag and not isinstance(check, validate.OneOf)


class ParamGroup(MutableMapping[str, Any]):
    """Parameters with their hyperparameters, used as torch's group dicts are.

    Setting a hyperparameter checks it as the constructor does. ``params`` is fixed, and so is the
    set of keys.
    """

    def __init__(self, params: Any, hyper: Mapping[str, Any], rules: Rules) -> None:
        self._params = params
        self._rules = rules
        self._values: dict[str, Any] = {}
        self._values = self._checked(hyper)
        self.slots = rules.used_slots(self._values)
        self.replace(self._values)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        for name in values:
            if name not in self._rules.checks:
                known = ", ".join(self._rules.checks)
                raise ValueError(f"{name}: must be one of the hyperparameters {known}")
        # A schedule (a function of the steps taken) is checked at every step.
        checked = {
            name: value if schedulable(check) and callable(value) else check(name, value)
            for name, value in values.items()
            for check in [self._rules.checks[name]]
        }
        self._rules.check_together(checked)
        return checked

    def merged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all hyperparameters with some replaced, checked."""
        checked = self._checked({**self._values, **values})
        for slot in self._rules.used_slots(checked):
            if slot not in self.slots:
                changed = ", ".join(
                    f"{name}={v!r}" for name, v in checked.items() if v != self._values[name]
                )
                raise ValueError(
                    f"{changed}: needs the slot {slot}, which was not allocated at construction"
                )
        return checked

    def replace(self, checked: dict[str, Any]) -> None:
        """Take over what `merged` returned."""
        self._values = checked
        self.has_schedules = any(callable(value) for value in checked.values())

    def at(self, step: int) -> dict[str, Any]:
        """Return the hyperparameters after ``step`` steps, schedules evaluated and checked."""
        if not self.has_schedules:
            return self._values
        return self._checked(
            {name: v(step) if callable(v) else v for name, v in self._values.items()}
        )

    def __getitem__(self, name: str) -> Any:
        return self._params if name == "params" else self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "params":
            raise ValueError("params: must not be replaced; make a new optimizer")
        self.replace(self.merged({name: value}))

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
