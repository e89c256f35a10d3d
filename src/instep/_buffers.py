"""The arrays that a plan works on, and the judgement of what a step is handed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from . import _validate as validate

Slots = Sequence[np.ndarray | None]
Plain = Callable[[list[np.ndarray], bool], bool]
"""A quick test whether arrays are right to read or to write, together; False if it cannot tell."""


def cannot_tell(arrays: list[np.ndarray], writeable: bool) -> bool:
    """Leave every array to be looked at by itself."""
    del arrays, writeable
    return False


class Buffers:
    """Parameters with their slots, which must neither move nor change while a plan uses them.

    The native plan asks here only about what its own quick tests cannot decide; the reference plan
    asks always. So each rule about arrays, and its message, is written once.
    """

    def __init__(
        self,
        names: Sequence[str],
        params: Sequence[np.ndarray],
        *,
        prefix: str = "params",
        grads: str = "grads",
        writeable: bool = True,
        plain: Plain = cannot_tell,
    ) -> None:
        self.names = list(names)
        self._writeable = writeable
        self._grads = grads
        self._plain = plain
        self._owned = [f"{prefix}{name}" for name in names]
        self.params = list(params)
        self._params_plain = plain(self.params, writeable)
        if not self._params_plain:
            for name, param in zip(self._owned, self.params, strict=True):
                validate.array(name, param, writeable=writeable)
        self.slots: list[Slots] = [()] * len(self.params)
        self._arrays = list(self.params)

    def seal(
        self,
        slots: Sequence[Slots] = (),
        slot_names: Sequence[str] = (),
        *,
        once: bool = False,
    ) -> Buffers:
        """Add the slots, refuse arrays that overlap, and note where all are, unless used once."""
        self.slots = list(slots) or self.slots
        owned = [*self.params, *_present(slots)]
        all_plain = self._plain(owned, self._writeable) if slots else self._params_plain
        for i, row in enumerate(slots):
            self._add_slots(i, row, slot_names, all_plain)
        if not all_plain and self._writeable:
            validate.check_disjoint(self._owned, self._arrays)
        self._then = [] if once else [(a.shape, a.dtype, a.ctypes.data) for a in self._arrays]
        return self

    def _add_slots(self, i: int, row: Slots, slot_names: Sequence[str], all_plain: bool) -> None:
        for slot_name, slot in zip(slot_names, row, strict=False):
            if slot is None:
                continue
            name = f"{slot_name}{self.names[i]}"
            if not all_plain:
                validate.array(name, slot, writeable=True, dtype=self.params[i].dtype)
            self._must_match(name, slot, i)
            self._owned.append(name)
            self._arrays.append(slot)

    def _must_match(self, name: str, a: np.ndarray, i: int) -> None:
        param = self.params[i]
        if a.dtype != param.dtype:
            raise TypeError(
                f"{name}: dtype must be that of its parameter, {param.dtype}; got {a.dtype}; "
                f"cast it with {name}.astype(np.{param.dtype})"
            )
        if a.shape != param.shape:
            raise ValueError(
                f"{name}: shape must be that of its parameter, {param.shape}; got {a.shape}"
            )

    def check_gradient(self, i: int, grad: object, *, writeable: bool = False) -> np.ndarray:
        """Return a gradient as an array, or refuse it if it does not fit parameter ``i``."""
        name = f"{self._grads}{self.names[i]}"
        # The gradient of a parameter without axes is often a NumPy scalar: what a sum returns.
        if isinstance(grad, np.generic) and self.params[i].ndim == 0:
            if writeable:
                got = validate.shown(grad)
                rule = "must be a numpy.ndarray, for zero_grads to set it to zero"
                raise TypeError(f"{name}: {rule}; got {got}")
            grad = np.asarray(grad)
        g = validate.array(name, grad, writeable=writeable, dtype=self.params[i].dtype)
        self._must_match(name, g, i)
        for k in self._near(validate.bounds(g)):
            if validate.share_memory(g, self._arrays[k]):
                raise ValueError(
                    f"{name}: must not overlap what the step writes; overlaps {self._owned[k]}"
                )
        return g

    @cached_property
    def _by_address(self) -> list[tuple[int, int, int]]:
        """Return lowest address, end and number of each owned array, in order."""
        bounds = [validate.bounds(a) for a in self._arrays]
        return sorted((low, high, k) for k, (low, high) in enumerate(bounds))

    @cached_property
    def _reach(self) -> list[int]:
        return list(accumulate((high for _, high, _ in self._by_address), max))

    def _near(self, bounds: tuple[int, int]) -> Iterator[int]:
        """Find the owned arrays whose addresses reach into these bounds."""
        low, high = bounds
        for place in range(bisect_left(self._by_address, (high,)) - 1, -1, -1):
            if self._reach[place] <= low:
                return
            _, end, k = self._by_address[place]
            if end > low:
                yield k

    def refuse_nonfinite(self, grads: Sequence[np.ndarray | None], of: str = "") -> None:
        """Raise for the first gradient with an infinity or a NaN."""
        for name, g in zip(self.names, grads, strict=True):
            bad = np.argwhere(~np.isfinite(g if g is not None else 0.0))
            if len(bad):
                at = tuple(bad[0].tolist())
                got = f"{g[at]} at index {at}, {len(bad)} such in this array"  # type: ignore[index]
                raise FloatingPointError(f"{of}{self._grads}{name}: must be finite; got {got}")

    def check_zeroable(self, grads: Sequence[np.ndarray | None]) -> None:
        """Refuse gradients that cannot be zeroed after the step (``zero_grads``)."""
        present = [(i, g) for i, g in enumerate(grads) if g is not None]
        for i, g in present:
            self.check_gradient(i, g, writeable=True)
        validate.check_disjoint(
            [f"{self._grads}{self.names[i]}" for i, _ in present], [g for _, g in present]
        )

    def check_unchanged(self) -> None:
        """Refuse to go on where an array was resized, moved or locked since the start."""
        then = zip(self._owned, self._arrays, self._then, strict=bool(self._then))
        for name, a, (shape, dtype, data) in then:
            if a.dtype != dtype:
                raise ValueError(
                    f"{name}: must keep its dtype while an optimizer holds it; "
                    f"was {dtype}, is {a.dtype}"
                )
            if a.shape != shape or a.ctypes.data != data:
                raise ValueError(
                    f"{name}: must not be resized or moved while an optimizer holds it; "
                    f"was {shape} at {data:#x}, is {a.shape} at {a.ctypes.data:#x}"
                )
            if self._writeable and not a.flags.writeable:
                raise ValueError(f"{name}: must be writeable; got a read-only array")


def _present(slots: Sequence[Slots]) -> Iterator[np.ndarray]:
    return (slot for row in slots for slot in row if slot is not None)
