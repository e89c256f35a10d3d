"""The state of an optimizer: its memory, and its way into and out of a dict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from . import _validate as validate
from ._groups import ParamGroup
from ._plans import Plan
from ._stateful import (
    check_schedules,
    check_transforms,
    load_schedules,
    schedule_states,
    transform_states,
)
from ._structure import Groups
from .transforms import Transform

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
PAGE = 4096
MOST_STEPS = 2**53  # what a double counts exactly
KEYS = ["optimizer", "names", "state", "param_groups", "transforms", "steps"]

State = dict[str, np.ndarray]


def aligned_zeros(
    like: np.ndarray, order: Literal["K", "C"] = "K", beside: Iterable[np.ndarray] = ()
) -> np.ndarray:
    """Return zeros with the shape, dtype and axis order of an array, on a 64-byte border.

    Of the places that an eighth more memory allows it takes the one that is farthest in the page
    from that array and others beside it. Where addresses differ by little in their last 12 bits, a
    CPU takes a load for one of what it just stored, and waits: Adam on 1e7 elements takes a tenth
    longer then, a fifth on one thread.
    """
    strides = np.empty_like(like, order=order, subok=False).strides
    room = min(max(like.nbytes // 8, ALIGNMENT), PAGE)
    memory = np.zeros(like.nbytes + room, np.uint8)
    start = memory.ctypes.data
    offsets = range(-start % ALIGNMENT, room, ALIGNMENT)
    if len(offsets) == 1:
        return np.ndarray(like.shape, like.dtype, memory.data, offsets[0], strides)
    taken = [a.ctypes.data for a in (like, *beside)]
    offset = max(offsets, key=lambda at: min(_apart(start + at, other) for other in taken))
    return np.ndarray(like.shape, like.dtype, memory.data, offset, strides)


def zero_slots(param: np.ndarray, names: Iterable[str]) -> State:
    """Return the state of a parameter at first."""
    slots: State = {}
    for name in names:
        slots[name] = aligned_zeros(param, beside=slots.values())
    return slots


def _apart(a: int, b: int) -> int:
    """Return how far two addresses are from one another within a page, going round."""
    return min((a - b) % PAGE, (b - a) % PAGE)


class Archive:
    """The way of an optimizer's state into a dict and back."""

    def __init__(
        self,
        optimizer: str,
        structure: Groups,
        groups: Sequence[ParamGroup],
        transforms: Sequence[Transform],
        state: list[State],
    ) -> None:
        self._transforms = transforms
        self._optimizer = optimizer
        self._names = structure.names
        self._sizes = structure.sizes
        self._groups = groups
        self._state = state

    def write(self, plan: Plan) -> dict[str, Any]:
        """Return everything in torch's form; arrays are copies."""
        ends = list(accumulate(self._sizes))
        numbers = [list(range(end - n, end)) for end, n in zip(ends, self._sizes, strict=True)]
        return {
            "optimizer": self._optimizer,
            "names": list(self._names),
            "state": {
                i: {"step": count, **{name: slot.copy() for name, slot in slots.items()}}
                for i, (count, slots) in enumerate(zip(plan.counts, self._state, strict=True))
            },
            "param_groups": [
                {**group.constants(), "schedules": schedule_states(group), "params": members}
                for group, members in zip(self._groups, numbers, strict=True)
            ],
            "transforms": transform_states(self._transforms),
            "steps": plan.steps,
        }

    def load(self, plan: Plan, given: Any) -> None:
        """Take over what `write` returned, if it fits; else change nothing."""
        validate.keys("state_dict", given, KEYS)
        if given["optimizer"] != self._optimizer:
            raise ValueError(
                f"state_dict['optimizer']: must be {self._optimizer!r}, which is to take it over; "
                f"got {given['optimizer']!r}"
            )
        places = self._places(given["names"])
        hyper = self._read_groups(given["param_groups"])
        validate.keys("state_dict['state']", given["state"], range(len(places)))
        entries = [given["state"][i] for i in places]
        counts = [
            _read_entry(f"state_dict['state'][{i}]", entry, slots)
            for i, entry, slots in zip(places, entries, self._state, strict=True)
        ]
        steps = _count("state_dict['steps']", given["steps"])
        check_transforms("state_dict['transforms']", self._transforms, given["transforms"])
        load_schedules(self._groups, self._transforms, given)
        # Nothing can fail from here on.
        for group, values in zip(self._groups, hyper, strict=True):
            group.replace(values)
        for slots, entry in zip(self._state, entries, strict=True):
            for name, slot in slots.items():
                slot[...] = entry[name]
        plan.steps = steps
        plan.counts = counts

    def _places(self, given: Any) -> Sequence[int]:
        """Return for each parameter its number in what was saved: names count, not order."""
        name = "state_dict['names']"
        if not isinstance(given, (list, tuple)) or not all(isinstance(n, str) for n in given):
            raise TypeError(f"{name}: must be a list of strings; got {validate.shown(given)}")
        place_of = {n: i for i, n in enumerate(given)}
        if list(given) == self._names:
            return range(len(given))
        validate.same_members(name, "must name this optimizer's parameters", self._names, given)
        if len(place_of) < len(given):
            raise ValueError(f"{name}: must be distinct to be in another order")
        return [place_of[n] for n in self._names]

    def _read_groups(self, given: Any) -> list[dict[str, Any]]:
        name, n = "state_dict['param_groups']", len(self._groups)
        if not isinstance(given, (list, tuple)) or len(given) != n:
            got = len(given) if isinstance(given, (list, tuple)) else validate.shown(given)
            raise ValueError(f"{name}: must be a list of {n} dicts; got {got}")
        return [
            _read_group(f"{name}[{i}]", group, values)
            for i, (group, values) in enumerate(zip(self._groups, given, strict=True))
        ]


def _read_group(name: str, group: ParamGroup, values: Any) -> dict[str, Any]:
    """Check a saved group; return the hyperparameters that are numbers there and here."""
    if not isinstance(values, Mapping) or not isinstance(values.get("schedules"), Mapping):
        got = validate.shown(values)
        raise TypeError(f"{name}: must be a dict with a dict as 'schedules'; got {got}")
    validate.keys(name, {**values, **values["schedules"]}, [*group, "schedules"])
    check_schedules(name, group, values["schedules"])
    stay = {"params", "schedules", *group.schedules()}
    return group.merged({k: v for k, v in values.items() if k not in stay}, place=name)


def _read_entry(name: str, entry: Any, slots: State) -> int:
    validate.keys(name, entry, ["step", *slots])
    for key, slot in slots.items():
        value = validate.array(f"{name}[{key!r}]", entry[key], writeable=False, dtype=slot.dtype)
        if value.shape != slot.shape or value.dtype != slot.dtype:
            raise ValueError(
                f"{name}[{key!r}]: must have shape {slot.shape} and dtype {slot.dtype}; "
                f"got {value.shape} and {value.dtype}"
            )
    return _count(f"{name}['step']", entry["step"])


def _count(name: str, value: Any) -> int:
    n = validate.count(name, value, 0)
    if n > MOST_STEPS:
        raise ValueError(f"{name}: must be an integer <= {MOST_STEPS}; got {n}")
    return n
