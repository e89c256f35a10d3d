"""The state of an optimizer: its memory, and its way into and out of a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from . import _validate as validate

ALIGNMENT = 64  # bytes: a cache line, and the widest vector

State = dict[str, np.ndarray]


def aligned_zeros(like: np.ndarray, order: Literal["K", "C"] = "K") -> np.ndarray:
    """Return zeros with the shape, dtype and axis order of an array, on a 64-byte border."""
    strides = np.empty_like(like, order=order, subok=False).strides
    memory = np.zeros(like.nbytes + ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % ALIGNMENT
    return np.ndarray(like.shape, like.dtype, memory.data, offset, strides)


def write_state(counts: Sequence[int], state: Sequence[State]) -> dict[int, dict[str, Any]]:
    """Return torch's form of the state, by parameter number; arrays are copies."""
    return {
        i: {"step": count, **{name: slot.copy() for name, slot in slots.items()}}
        for i, (count, slots) in enumerate(zip(counts, state, strict=True))
    }


def read_state(given: Any, state: Sequence[State]) -> list[int]:
    """Check torch's form of the state against what is there; return the counts."""
    if not isinstance(given, Mapping) or set(given) != set(range(len(state))):
        got = sorted(given)[:5] if isinstance(given, Mapping) else validate.shown(given)
        raise ValueError(
            f"state_dict['state']: must have the keys 0 to {len(state) - 1}; got {got}"
        )
    return [_read_entry(f"state_dict['state'][{i}]", given[i], state[i]) for i in range(len(state))]


def _read_entry(name: str, entry: Any, slots: State) -> int:
    if not isinstance(entry, Mapping) or set(entry) != {"step", *slots}:
        got = sorted(entry) if isinstance(entry, Mapping) else validate.shown(entry)
        raise ValueError(f"{name}: must have the keys {sorted({'step', *slots})}; got {got}")
    for key, slot in slots.items():
        value = validate.array(f"{name}[{key!r}]", entry[key], writeable=False)
        if value.shape != slot.shape or value.dtype != slot.dtype:
            raise ValueError(
                f"{name}[{key!r}]: must have shape {slot.shape} and dtype {slot.dtype}; "
                f"got {value.shape} and {value.dtype}"
            )
    return validate.count(f"{name}['step']", entry["step"], 0)
