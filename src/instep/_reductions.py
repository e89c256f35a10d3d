"""Reductions over the fixed tree of the native kernels (cpp/reduce.h), in NumPy.

An array is cut, in C order, into blocks of 1024 elements; one of two axes or more, whose rows (all
that one index of the first axis has) have 512 elements or more, is so cut row by row. Within a
block, element ``i`` is added to lane ``i % 32`` in double precision; lanes are combined in halves;
blocks are added in order. The tree alone decides how sums round: not threads, not the instruction
set, not the memory layout. What is only shown, not used, is cut without regard to rows, and has the
same tree in the array's own precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

BLOCK = 1024
LANES = 32
LEAST_ROW = 512
UNDERFLOW = 2.0**-960
UNDERFLOW_ROUNDED = 2.0**-80
MEAN_SCALE = 2.0**-64

Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the larger of the two, NaN where either is: cpp/scalar_math.h, zeros included."""
    return np.where((a >= b) | np.isnan(a), a, b)


def _tree(values: np.ndarray, combine: Combine) -> np.ndarray:
    """Reduce numbers, in logical order along the last axis, to one for each block."""
    *rows, size = values.shape
    blocks = -(-size // BLOCK)
    padded = np.zeros((*rows, blocks * BLOCK), values.dtype)
    padded[..., :size] = values
    lines = padded.reshape(*rows, blocks, BLOCK // LANES, LANES)
    lanes = np.zeros((*rows, blocks, LANES), values.dtype)
    for line in range(BLOCK // LANES):
        lanes = combine(lanes, lines[..., line, :])
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = combine(lanes[..., :half], lanes[..., half:])
    return lanes[..., 0]


def _cut(a: np.ndarray) -> np.ndarray:
    if a.ndim > 1 and a.size >= LEAST_ROW * len(a) > 0:
        return a.reshape(len(a), -1)
    return a.ravel()


def sum_squares(a: np.ndarray, scale: float = 1.0) -> float:
    """Return the sum of the squares of the elements times ``scale``."""
    values = a.astype(np.float64)
    if scale != 1.0:
        values *= scale
    return total(values * values)


def sum_squares_rounded(a: np.ndarray, again: bool) -> float:
    """Return the sum of the squares of the elements, of each block in the array's own precision.

    With ``again`` a float32 block whose sum overflowed, or is so small that squares may have been
    lost, is summed in double precision after all.
    """
    values = a.ravel()
    blocks = _tree(values * values, np.add).astype(np.float64)
    if again and a.dtype == np.float32:
        wide = values.astype(np.float64)
        kept = (blocks >= UNDERFLOW_ROUNDED) & (blocks < math.inf)
        blocks = np.where(kept, blocks, _tree(wide * wide, np.add))
    return _in_order(blocks)


def total(a: np.ndarray) -> float:
    """Return the sum of the elements."""
    return _in_order(_tree(_cut(a.astype(np.float64)), np.add))


def _in_order(blocks: np.ndarray) -> float:
    result = 0.0
    for block in blocks.ravel().tolist():
        result += block
    return result


def mean(a: np.ndarray) -> float:
    """Return the mean of the elements, also where their sum overflows."""
    result = total(a) / a.size
    if not math.isfinite(result):
        result = total(a.astype(np.float64) * MEAN_SCALE) / a.size / MEAN_SCALE
    return result


def row_means(rows: np.ndarray) -> list[float]:
    """Return the mean of each row, as of an array of its own."""
    sums = _row_totals(rows.astype(np.float64))
    means = [total / rows.shape[1] for total in sums]
    return [m if math.isfinite(m) else mean(row) for m, row in zip(means, rows, strict=True)]


def _row_totals(rows: np.ndarray) -> list[float]:
    totals = np.zeros(len(rows))
    for block in _tree(rows, np.add).T:
        totals += block
    return [float(total) for total in totals]


def max_abs(a: np.ndarray) -> float:
    """Return the largest magnitude; meant for arrays without NaN."""
    return float(np.max(np.abs(a), initial=0.0))


def _out_of_range(total: float) -> bool:
    return total == math.inf or total < UNDERFLOW


def _scale_for(peak: float) -> float:
    if not 0 < peak < math.inf:
        return 1.0
    return math.ldexp(1.0, -max(math.frexp(peak)[1], -1000))


def norm(arrays: Sequence[np.ndarray]) -> float:
    """Return the Euclidean norm of all elements of all arrays together.

    Where the sum of squares leaves the range of double precision although no element is infinite,
    the elements are scaled by a power of two and summed again.
    """
    total = 0.0
    for a in arrays:
        total += sum_squares(a)
    if _out_of_range(total) and any(a.dtype == np.float64 for a in arrays):
        scale = _scale_for(max(max_abs(a) for a in arrays))
        total = 0.0
        for a in arrays:
            total += sum_squares(a, scale)
        root = math.sqrt(total)
        return root / scale
    return math.sqrt(total)


def row_norms(rows: np.ndarray) -> list[float]:
    """Return the norm of each row, as of an array of its own."""
    values = rows.astype(np.float64)
    return [
        norm([row]) if _out_of_range(total) else math.sqrt(total)
        for total, row in zip(_row_totals(values * values), rows, strict=True)
    ]


def all_finite(arrays: Sequence[np.ndarray]) -> bool:
    """Return whether no element is infinite or NaN."""
    return all(bool(np.isfinite(a).all()) for a in arrays)
