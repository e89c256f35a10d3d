"""Gaussian noise from seed, step, tensor and element alone (cpp/noise.h), in NumPy.

Four elements share a counter of Philox 4x32-10, whose four words become two pairs of normal
numbers. Nothing but integers and ``+ - * sqrt`` of float32 is used, so that the bits are the same
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
F = np.float32

LOG = [F(c) for c in (-0.100823805, 0.16180502, -0.17243224, 0.19906883, -0.24971229)]
LOG += [F(c) for c in (0.33334714, -0.50000322)]
SIN = [F(c) for c in (-0.0046021780, 0.079680227, -0.64596349, 1.5707964)]
COS = [F(c) for c in (-0.020426251, 0.25360635, -1.2336980, 1.0)]


def philox(counter: Sequence[np.ndarray | int], key: tuple[int, int]) -> list[np.ndarray]:
    """Return the four words of each counter of four words, as uint32.

    References
    ----------
    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    x0, x1, x2, x3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        a, b = x0 * np.uint64(0xD2511F53), x2 * np.uint64(0xCD9E8D57)
        x0, x1 = (b >> HALF) ^ x1 ^ np.uint64(k0), b & LOW
        x2, x3 = (a >> HALF) ^ x3 ^ np.uint64(k1), a & LOW
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [word.astype(np.uint32) for word in np.broadcast_arrays(x0, x1, x2, x3)]


def _polynomial(coefficients: list[np.float32], x: np.ndarray) -> np.ndarray:
    result = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result = result * x + c
    return result


def _log_uniform(word: np.ndarray) -> np.ndarray:
    """Return the logarithm of (k + 1/2) / 2^31, k being the upper 31 bits."""
    uniform = ((word >> np.uint32(1)).astype(F) + F(0.5)) * F(2.0**-31)
    bits = uniform.view(np.int32)
    exponent = (bits - F(0.70710677).view(np.int32)) >> np.int32(23)
    f = (bits - (exponent << np.int32(23))).view(F) - F(1)
    log: np.ndarray = exponent.astype(F) * F(0.6931472) + (f + f * f * _polynomial(LOG, f))
    return log


def box_muller(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two normal numbers from two words: a radius from one, a direction from the other."""
    radius = np.sqrt(F(-2) * _log_uniform(u))
    t = (v << np.uint32(2)).view(np.int32).astype(F) * F(2.0**-32)
    s = t * t
    across = radius * (_polynomial(SIN, s) * t)
    along = radius * _polynomial(COS, s)
    along = np.where(v >> np.uint32(31) == 1, -along, along)
    exchange = (v >> np.uint32(30)) & np.uint32(1) == 1
    return np.where(exchange, across, along), np.where(exchange, along, across)


def walked_axes(a: np.ndarray, noisy: bool) -> list[int]:
    """Return the axes in memory's order, as the native walk has them, the fastest one last.

    With noise it is another where few elements would follow one another in both: the last axes, if
    they are neighbours in memory too, but not the fastest there. Of fewer than sixteen it is C
    order but for the axis that is fastest in memory, which stays the last, if that axis is long
    and more follow one another then; else of fewer than eight it is C order.
    """
    axes = sorted(range(a.ndim), key=lambda axis: -abs(a.strides[axis]))
    walk = [axis for axis in axes if a.shape[axis] != 1]
    order = sorted(walk)
    if not noisy or walk == order:
        return axes
    first = behind = walk.index(order[-1]) + 1
    while first > 0 and walk[first - 1] == order[-1]:
        first -= 1
        order.pop()
    run = math.prod(a.shape[axis] for axis in walk[first:behind])
    beside = math.prod(a.shape[axis] for axis in walk[behind:])
    if behind == len(walk) or run >= 16 or run * beside < 64:
        return axes
    last = walk[-1]
    if a.shape[last] >= 128 and math.prod(a.shape[last + 1 :]) > run:
        return [*(axis for axis in range(a.ndim) if axis != last), last]
    return sorted(axes) if run < 8 else axes


def normals(size: int, tensor: int, step: int, seed: int) -> np.ndarray:
    """Return the noise of all elements of a tensor, in logical order, as float32."""
    counters = np.arange(-(-size // 4), dtype=np.uint64)
    counter = (counters & LOW, counters >> HALF, tensor, step % 2**32)
    words = philox(counter, (seed % 2**32, seed >> 32))
    pairs = [*box_muller(words[0], words[1]), *box_muller(words[2], words[3])]
    noise: np.ndarray = np.stack(pairs, axis=1).ravel()[:size]
    return noise
