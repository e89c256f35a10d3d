"""Parameter groups: hyperparameters that are checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import _validate as validate
from ._structure import Groups


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

    def each(self, values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
        """Check each by itself; schedules (functions of the steps taken) pass until they are used.

        ``place`` is the group for messages, "" where there is only one.
        """
        checked = {}
        for name, value in values.items():
            shown = _shown(name, place)
            if name not in self.checks:
                raise ValueError(
                    f"{shown}: must be one of the hyperparameters "
                    f"{validate.known(name, self.checks)}"
                )
            check = self.checks[name]
            function = schedulable(check) and callable(value)
            checked[name] = (validate.schedule if function else check)(shown, value)
        return checked


def _shown(name: str, place: str) -> str:
    return f"{place}[{name!r}]" if place else name


def schedulable(check: validate.Check) -> bool:
    """Whether a hyperparameter with this rule may be a function of the steps taken."""
    return check is not validate.flag and not isinstance(check, validate.OneOf)


@contextmanager
def _prefixed(place: str) -> Iterator[None]:
    """Put the group in front of a message."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}" if place else str(error)) from None


def _nobody_asks() -> None:
    """Stand in for an optimizer, which wants to know when a hyperparameter was set."""


class ParamGroup(MutableMapping[str, Any]):
    """Parameters with their hyperparameters, used as torch's group dicts are.

    Setting a hyperparameter checks it as the constructor does. ``params`` is fixed, and so is the
    set of keys.
    """

    def __init__(
        self, params: Any, hyper: Mapping[str, Any], rules: Rules, *, place: str = ""
    ) -> None:
        self._params = params
        self._rules = rules
        self._place = place  # how messages name the group; "" where there is only one
        self.changed: Callable[[], None] = _nobody_asks
        self._values: dict[str, Any] = {}
        self._values = self._checked(hyper, place)
        self.slots = rules.used_slots(self._values)
        self.replace(self._values)

    def _checked(self, values: Mapping[str, Any], place: str) -> dict[str, Any]:
        checked = self._rules.each(values, place)
        self._check_together(checked, place)
        return checked

    def _check_together(self, values: dict[str, Any], place: str) -> None:
        if not place:  # as at each step of a schedule
            return self._rules.check_together(values)
        with _prefixed(place):
            return self._rules.check_together(values)

    def merged(self, values: Mapping[str, Any], *, place: str | None = None) -> dict[str, Any]:
        """Return all hyperparameters with some replaced, checked."""
        place = self._place if place is None else place
        checked = self._checked({**self._values, **values}, place)
        for slot in self._rules.used_slots(checked):
            if slot not in self.slots:
                changed = ", ".join(
                    f"{name}={v!r}" for name, v in checked.items() if v != self._values[name]
                )
                with _prefixed(place):
                    raise ValueError(
                        f"{changed}: needs the slot {slot}, which was not allocated at construction"
                    )
        return checked

    def replace(self, checked: dict[str, Any]) -> None:
        """Take over what `merged` returned."""
        self._values = checked
        self._moving = [
            (name, _shown(name, self._place), v) for name, v in self.schedules().items()
        ]
        self.moving = bool(self._moving)
        """Whether a hyperparameter is a function of the steps taken."""
        self.changed()

    def schedules(self) -> dict[str, Any]:
        """Return the hyperparameters that are functions."""
        return {name: value for name, value in self._values.items() if callable(value)}

    def constants(self) -> dict[str, Any]:
        """Return the other hyperparameters."""
        return {name: value for name, value in self._values.items() if not callable(value)}

    def at(self, step: int) -> dict[str, Any]:
        """Return the hyperparameters after ``step`` steps, schedules evaluated and checked."""
        if not self._moving:
            return self._values
        now = self._values.copy()
        for name, shown, schedule in self._moving:
            now[name] = validate.asked(shown, schedule, step, self._rules.checks[name])
        self._check_together(now, self._place)
        return now

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

    def text(self) -> str:
        """Return the hyperparameters as they would be passed."""
        return ", ".join(f"{name}={value!r}" for name, value in self._values.items())

    def __repr__(self) -> str:
        return f"ParamGroup({self.text()})"


def make_groups(
    params: Any, hyper: Mapping[str, Any], rules: Rules
) -> tuple[list[ParamGroup], Groups]:
    """Return the groups, one where the parameters come in none, and their structure."""
    kept = (np.ndarray, Mapping, list, tuple, str)
    if not isinstance(params, kept) and hasattr(params, "__iter__"):
        params = list(params)
    if isinstance(params, Mapping) and "params" in params and not _all_arrays(params):
        raise TypeError(
            "params: must be a list where it has groups; write [{'params': ...}] around the single "
            "one"
        )
    grouped = isinstance(params, (list, tuple)) and any(isinstance(p, Mapping) for p in params)
    shared = rules.each(hyper)
    groups = [
        _make_group(f"params[{i}]" if grouped else "", spec, shared, rules)
        for i, spec in enumerate(params if grouped else [{"params": params}])
    ]
    structure = Groups("params", [g["params"] for g in groups], grouped=grouped)
    if not structure.names:
        raise ValueError("params: must have at least one array; got none")
    return groups, structure


def _all_arrays(params: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, np.ndarray) for value in params.values())


def _make_group(place: str, spec: Any, shared: Mapping[str, Any], rules: Rules) -> ParamGroup:
    if not isinstance(spec, Mapping) or "params" not in spec:
        got = f"keys {list(spec)}" if isinstance(spec, Mapping) else validate.shown(spec)
        raise TypeError(f"{place}: must be a dict with the key 'params'; got {got}")
    own = {name: value for name, value in spec.items() if name != "params"}
    return ParamGroup(spec["params"], {**shared, **own}, rules, place=place)
