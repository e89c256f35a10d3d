"""Schedules of hyperparameters and of transforms, some with a state of their own, when saving.

A function cannot be saved, so the optimizer that loads must have been constructed with it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._groups import ParamGroup
from ._validate import keys, shown
from .transforms import Transform


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


def transform_states(transforms: Sequence[Transform]) -> list[dict[str, Any]]:
    """Return for each transform the states of those of its arguments that have one."""
    return [
        {name: schedule.state_dict() for name, schedule in _stateful(t).items()} for t in transforms
    ]


def _stateful(transform: Transform) -> dict[str, Any]:
    return {name: s for name, s in transform.schedules().items() if _has_state(s)}


def check_transforms(name: str, transforms: Sequence[Transform], saved: Any) -> None:
    """Refuse states that are not those of the schedules among the transforms' arguments."""
    if not isinstance(saved, (list, tuple)) or len(saved) != len(transforms):
        got = len(saved) if isinstance(saved, (list, tuple)) else shown(saved)
        raise ValueError(
            f"{name}: must be a list with a dict for each of {len(transforms)} transforms; "
            f"got {got}"
        )
    for i, (transform, states) in enumerate(zip(transforms, saved, strict=True)):
        keys(f"{name}[{i}]", states, _stateful(transform))


def load_schedules(
    groups: Sequence[ParamGroup], transforms: Sequence[Transform], saved: Mapping[str, Any]
) -> None:
    """Give all schedules their saved states, or none of them where one refuses."""
    of_groups = zip(groups, saved["param_groups"], strict=True)
    pairs = [
        (f"state_dict['param_groups'][{i}]['schedules'][{key!r}]", s, values["schedules"][key])
        for i, (group, values) in enumerate(of_groups)
        for key, s in group.schedules().items()
        if _has_state(s)
    ]
    pairs += [
        (f"state_dict['transforms'][{i}][{key!r}]", s, states[key])
        for i, (t, states) in enumerate(zip(transforms, saved["transforms"], strict=True))
        for key, s in _stateful(t).items()
    ]
    before = [schedule.state_dict() for _, schedule, _ in pairs]
    for name, schedule, state in pairs:
        try:
            schedule.load_state_dict(state)
        except BaseException as error:
            for (_, changed, _), old in zip(pairs, before, strict=True):
                changed.load_state_dict(old)
            if not isinstance(error, (TypeError, ValueError)):
                raise
            raise ValueError(f"{name}: {error}") from error
