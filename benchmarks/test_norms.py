"""Reductions beside NumPy's, for pytest-benchmark; results are checked before they are timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from instep import functional, reference

Reduction = Callable[[np.ndarray], Any]

NORMS: dict[str, Reduction] = {
    "instep": functional.global_norm,
    "reference": reference.global_norm,
    "numpy_linalg": np.linalg.norm,
    "numpy_float64": lambda g: np.sqrt(np.sum(np.square(g, dtype=np.float64))),
}
FINITE: dict[str, Reduction] = {
    "instep": functional.all_finite,
    "reference": reference.all_finite,
    "numpy": lambda g: np.isfinite(g).all(),
}
SIZES = (1_000, 1_000_000)
settings = pytest.mark.benchmark(min_rounds=3, max_time=0.2, disable_gc=True, warmup=False)


def gradient(size: int) -> np.ndarray:
    return np.random.default_rng(size).standard_normal(size, np.float32)


@settings
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NORMS)
def test_norm(benchmark: Any, name: str, size: int) -> None:
    g = gradient(size)
    exact = np.sqrt(np.sum(np.square(g, dtype=np.longdouble)))
    assert abs(NORMS[name](g) - exact) <= 1e-5 * exact
    benchmark.group = f"norm of {size} elements"
    benchmark(NORMS[name], g)


@settings
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FINITE)
def test_all_finite(benchmark: Any, name: str, size: int) -> None:
    g = gradient(size)
    bad = g.copy()
    bad[-1] = np.inf
    assert FINITE[name](g)
    assert not FINITE[name](bad)
    benchmark.group = f"are {size} elements finite"
    benchmark(FINITE[name], g)
