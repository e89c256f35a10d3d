"""Schedules among the hyperparameters, some with a state of their own, when an optimizer is saved.

A function cannot be saved, so the optimizer that loads must have been constructed with it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._groups import ParamGroup
from ._validate import shown


def _has_state(schedule: Any) -> bool:
    return hasattr(schedule, "state_dict") and hasattr(schedule, "load_state_dict")


def schedule_states(group: ParamGroup) -> dict[str, Any]:
    """Return for each hyperparameter that is a schedule its state, or None where it has none."""
    return {
        name: schedule.state_dict() if _has_state(schedule) else None
        for name, schedule in group.schedules().items()
    }


def check_schedules(name: str, group: ParamGroup, saved: Mapping[str, Any]) -> None:
    """Refuse what was saved from a schedule of another kind than the one that is here."""
    here = group.schedules()
    for key in saved:
        if key not in here:
            raise ValueError(
                f"{name}['schedules']: must have schedules of this optimizer only; got {key!r}, "
                f"which was a function when it was saved and is {group[key]!r} here "
                f"(pass the function again at construction)"
            )
    for key, schedule in here.items():
        state = saved.get(key)
        if _has_state(schedule) and not isinstance(state, Mapping):
            raise ValueError(
                f"{name}['schedules'][{key!r}]: must be the state of a {type(schedule).__name__}, "
                f"as {key} is here; got {shown(state)} (to begin with a new one, set it after "
                f"loading)"
            )
        if not _has_state(schedule) and state is not None:
            raise ValueError(
                f"{name}['schedules'][{key!r}]: must be None, as {key} is a function without state "
                f"here; got {shown(state)}"
            )


def load_schedules(groups: Sequence[ParamGroup], saved: Sequence[Mapping[str, Any]]) -> None:
    """Give all schedules their saved states, or none of them where one refuses."""
    pairs = [
        (f"state_dict['param_groups'][{i}]['schedules'][{key!r}]", schedule, states[key])
        for i, (group, states) in enumerate(zip(groups, saved, strict=True))
        for key, schedule in group.schedules().items()
        if _has_state(schedule)
    ]
    before = [schedule.state_dict() for _, schedule, _ in pairs]
    for name, schedule, state in pairs:
        try:
            schedule.load_state_dict(state)
        except (TypeError, ValueError) as error:
            for (_, changed, _), old in zip(pairs, before, strict=True):
                changed.load_state_dict(old)
            raise ValueError(f"{name}: {error}") from error
