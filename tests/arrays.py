"""Arrays for tests: every layout, any alignment, hostile values, and guards around the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GUARD = 0xA5
MARGIN = 128  # bytes on both sides


class Guarded:
    """A view of a chosen layout within memory whose other bytes must stay as they are."""

    def __init__(self, base: np.ndarray, view: np.ndarray) -> None:
        self._base, self.view = base, view
        inside = np.zeros(base.size, bool)
        start = view.ctypes.data - base.ctypes.data
        mark = np.lib.stride_tricks.as_strided(
            inside[start:], (*view.shape, view.itemsize), (*view.strides, 1)
        )
        mark[...] = True
        self._outside = ~inside

    def intact(self) -> bool:
        return bool((self._base[self._outside] == GUARD).all())


def _memory(nbytes: int, offset: int) -> tuple[np.ndarray, int]:
    base = np.full(nbytes + 2 * MARGIN + 64, GUARD, np.uint8)
    start = MARGIN + (-(base.ctypes.data + MARGIN)) % 64 + offset
    return base, start


def guarded(
    values: np.ndarray, offset: int = 0, layout: Callable[[np.ndarray], np.ndarray] | None = None
) -> Guarded:
    """Put values into guarded memory, `offset` bytes behind a 64-byte border."""
    if isinstance(layout, Permuted):
        room = layout.room(values.shape)
    else:
        room = ROOMS[layout](values.shape) if layout else values.shape
    count = int(np.prod(room))
    base, start = _memory(count * values.itemsize, offset)
    whole = np.ndarray(room, values.dtype, base.data, start)
    view = layout(whole) if layout else whole
    view[...] = values
    return Guarded(base, view)


@dataclass(frozen=True)
class Permuted:
    """A layout of any number of axes: their order in memory, and how much lies between elements."""

    order: tuple[int, ...]
    step: int = 1  # of the axis that is last in memory; negative: backwards
    pad: int = 0  # elements left out at both ends of that axis

    def room(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        outer, last = self.order[:-1], shape[self.order[-1]]
        return (*(shape[d] for d in outer), last * abs(self.step) + 2 * self.pad)

    def __call__(self, a: np.ndarray) -> np.ndarray:
        inside = a[..., self.pad : a.shape[-1] - self.pad][..., :: self.step]
        return inside.transpose(np.argsort(self.order))


def c_order(a: np.ndarray) -> np.ndarray:
    return a


def f_order(a: np.ndarray) -> np.ndarray:
    return a.transpose()


def swapped(a: np.ndarray) -> np.ndarray:
    return a.swapaxes(0, 1)


def sliced(a: np.ndarray) -> np.ndarray:
    return a[::2, :, ::3]


def inner_slice(a: np.ndarray) -> np.ndarray:
    return a[:, 1:-1, 2:]


def negative(a: np.ndarray) -> np.ndarray:
    return a[::-1, :, ::-1]


def one_negative(a: np.ndarray) -> np.ndarray:
    return a[:, ::-1].transpose(2, 0, 1)


ROOMS: dict[Callable[[np.ndarray], np.ndarray], Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    c_order: lambda s: s,
    f_order: lambda s: s[::-1],
    swapped: lambda s: (s[1], s[0], s[2]),
    sliced: lambda s: (2 * s[0] - 1, s[1], 3 * s[2] - 2),
    inner_slice: lambda s: (s[0], s[1] + 2, s[2] + 2),
    negative: lambda s: s,
    one_negative: lambda s: (s[1], s[2], s[0]),
}
"""Each layout of three axes, and the shape of the memory it takes for a view of a given shape."""


def plain(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def wide(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Finite values over the whole range of exponents, subnormals and both zeros among them."""
    info = np.finfo(dtype)
    low, high = np.log10(float(info.smallest_subnormal)), np.log10(float(info.max)) - 0.1
    values = rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(low, high, shape)
    return np.where(rng.random(shape) < 0.1, np.copysign(0.0, values), values).astype(dtype)


def wild(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Random bits: every exponent and payload, infinities and NaN made more frequent."""
    unsigned = f"u{np.dtype(dtype).itemsize}"
    size = int(np.prod(shape))
    bits = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), size, np.uint64, endpoint=False)
    a = bits.astype(unsigned).view(dtype).reshape(shape)
    special = rng.choice(np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0], dtype), shape)
    return np.where(rng.random(shape) < 0.05, special, a)


VALUES = {"plain": plain, "wide": wide, "wild": wild}


def differing(a: np.ndarray, b: np.ndarray) -> str:
    """Say where two arrays differ in their bits (a NaN equals a NaN); empty if nowhere."""
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    unsigned = f"u{a.dtype.itemsize}"
    x, y = np.ascontiguousarray(a), np.ascontiguousarray(b)
    bad = (x.view(unsigned) != y.view(unsigned)) & ~(np.isnan(x) & np.isnan(y))
    if not bad.any():
        return ""
    at = tuple(np.argwhere(bad)[0].tolist())
    return f"{int(bad.sum())} of {a.size} differ, first at {at}: {x[at]!r} and {y[at]!r}"
