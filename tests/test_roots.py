"""Roots have the instruction's bits: those of every float32, and the hardest of float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ldexp

import numpy as np
import pytest

import instep
from instep import Adadelta, _core

CHUNK = 1 << 20
FLOATS = 1 << 31  # of float32, without those with a sign
BITS = 52  # behind the binary point of float64


@pytest.fixture(autouse=True)
def _beside_the_divider() -> Iterator[None]:
    """Also where kernels leave roots to the divider, for it is quicker."""
    _core.tune(divider=False)
    yield
    _core.tune()


def rooter(count: int, dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    """With its averages held, Adadelta moves a zero by sqrt(acc_delta) / sqrt(1)."""
    param, grad = np.zeros(count, dtype), np.ones(count, dtype)
    opt = Adadelta([param], lr=1.0, rho=1.0, eps=0.0)
    opt.step([grad])
    square, held = (opt.state[0][k] for k in ("square_avg", "acc_delta"))

    def root(x: np.ndarray) -> np.ndarray:
        param[:], square[:], held[:] = 0, 1, x
        opt.step([grad])
        return -param

    return root


def check(root: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(root(x), np.sqrt(x))


def test_every_float32() -> None:
    instep.set_num_threads(2)
    root = rooter(CHUNK, np.float32)
    for first in range(0, FLOATS, CHUNK):
        check(root, np.arange(first, first + CHUNK, dtype=np.uint32).view(np.float32))


def near_midpoints(most: int, up: int) -> Iterator[int]:
    """Yield all 53-bit a with a * 2**up within `most` of m * (m + 1), m being of 53 bits too.

    The root of such an a is nearly the midpoint of m and m + 1, where rounding decides. It exists
    where m * (m + 1) + k is 0 modulo 2**up: for even k there are two m, found bit by bit.
    """
    for k in range(-most, most + 1, 2):
        for odd in (0, 1):
            m = odd
            for bit in range(1, up):
                m += (m * (m + 1) + k >> bit & 1) << bit
            if up == BITS:
                m += 1 << BITS
            a = m * (m + 1) + k >> up
            if m.bit_length() == a.bit_length() == BITS + 1:
                yield a


def test_the_hardest_float64() -> None:
    """All roots within 2**-43 units of a midpoint: what is rounded is exact to 2**-48 of one."""
    hard = [
        ldexp(a, up + even)
        for up in (BITS, BITS + 1)
        for a in near_midpoints(2000, up)
        for even in (-1000, -960, -108, -up, 0, 800)
    ]
    assert len(hard) > 15000
    check(rooter(len(hard), np.float64), np.array(hard))


def test_float64_of_every_magnitude() -> None:
    rng = np.random.default_rng(0)
    root = rooter(CHUNK, np.float64)
    for _ in range(16):
        check(root, rng.integers(0, 1 << 63, CHUNK, dtype=np.uint64).view(np.float64))
    check(root, np.resize([5e-324, 2.3e-308, 1.0, np.inf, 1.7e308, np.nan, 1e-270, 2.0], CHUNK))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_by_the_divider(dtype: type) -> None:
    _core.tune(divider=True)
    rng = np.random.default_rng(0)
    pattern = np.uint32 if dtype is np.float32 else np.uint64
    values = rng.integers(0, np.iinfo(pattern).max // 2, CHUNK, dtype=pattern).view(dtype)
    check(rooter(CHUNK, dtype), values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_among_others(dtype: type) -> None:
    check(rooter(1000, dtype), np.resize([0, 1, 2], 1000).astype(dtype))
