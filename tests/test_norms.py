"""Norms and clipping: true where others overflow, drift or fall over."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import instep
from arrays import ROOMS, VALUES, differing, guarded
from instep import functional, reference

MODULES = pytest.mark.parametrize("module", [functional, reference], ids=["native", "numpy"])


def exact_norm(a: np.ndarray) -> float:
    """Sum the squares without rounding."""
    total = sum((Fraction(float(x)) ** 2 for x in a.ravel()), Fraction(0))
    shift = (total.numerator.bit_length() - total.denominator.bit_length()) // 2
    scaled = total / Fraction(4) ** shift
    return math.ldexp(math.sqrt(scaled), shift)


def test_1e8_equal_elements() -> None:
    a = np.full(10**8, np.float32(0.1))
    # About 1e5 blocks are added one after another, each sum rounding once.
    assert functional.global_norm(a) == pytest.approx(float(np.float32(0.1)) * 1e4, rel=1e-11)


@MODULES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_is_accurate(module: Any, dtype: type) -> None:
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(5000) * 10.0 ** rng.uniform(-20, 20, 5000)).astype(dtype)
    norm = module.global_norm([a[:1000], a[1000:]])
    assert norm == pytest.approx(exact_norm(a), rel=1e-14, abs=0)


@MODULES
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float32, 1e25),
        (np.float32, 1e-45),
        *((np.float64, x) for x in (1e200, 3e307, 1e-200, 5e-324, 1e-155)),
    ],
)
def test_norm_where_squares_leave_the_range(module: Any, dtype: type, value: float) -> None:
    a = np.full(25, value, dtype)
    assert module.global_norm(a) == pytest.approx(exact_norm(a), rel=1e-15, abs=0)


@MODULES
def test_norm_of_mixed_dtypes_out_of_range(module: Any) -> None:
    arrays = [np.full(9, 4.0, np.float32), np.array([3e180, 4e180])]
    assert module.global_norm(arrays) == pytest.approx(5e180, rel=1e-15, abs=0)
    assert module.global_norm([np.zeros(3), np.zeros(3, np.float32)]) == 0.0


@MODULES
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nonfinite(module: Any, bad: float, dtype: type) -> None:
    a = np.ones(5000, dtype)
    assert module.all_finite([a, None, a])
    a[4321] = bad
    assert not module.all_finite([a])
    assert module.all_finite(np.full(10, np.finfo(dtype).max))
    norm = module.global_norm(a)
    assert math.isnan(norm) if math.isnan(bad) else norm == math.inf


@MODULES
def test_clip_of_nothing_and_to_nothing(module: Any) -> None:
    zeros = np.zeros(4, np.float32)
    assert module.clip_by_global_norm_(zeros, 0) == 0.0
    assert zeros.tolist() == [0] * 4
    ones = np.ones(4, np.float32)
    assert module.clip_by_global_norm_([ones, None], 0.0) == 2.0
    assert ones.tolist() == [0] * 4
    assert module.clip_by_global_norm_([], 1.0) == 0.0
    assert module.clip_by_global_norm_([np.zeros((0, 3))], 1.0) == 0.0


@MODULES
def test_clip_factor_is_torchs(module: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    g = np.random.default_rng(1).standard_normal(777)
    theirs = torch.nn.Parameter(torch.zeros(777, dtype=torch.float64))
    theirs.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_([theirs], 2.5)
    assert module.clip_by_global_norm_(g, 2.5) == pytest.approx(float(norm), rel=1e-14, abs=0)
    np.testing.assert_allclose(g, theirs.grad.numpy(), rtol=1e-14)


FUNCTIONS = {
    "clip_by_value_": 0.7,
    "clip_by_norm_": 3.0,
    "clip_by_global_norm_": 5.0,
}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_place_functions_have_the_references_bits(
    name: str, dtype: type, values: str, every_engine: Any
) -> None:
    rng = np.random.default_rng(5)
    start = [(VALUES[values](rng, (5, 30, 33), dtype), 16, layout) for layout in ROOMS]
    start += [(VALUES[values](rng, (n,), dtype), 4 * np.dtype(dtype).itemsize) for n in range(70)]

    def outcome(module: Any) -> tuple[Any, list[np.ndarray]]:
        arrays = [guarded(*s) for s in start]
        norm = getattr(module, name)([a.view for a in arrays], FUNCTIONS[name])
        assert all(a.intact() for a in arrays)
        return np.array(norm, float), [a.view.copy() for a in arrays]

    want_norm, want = outcome(reference)
    for engine in every_engine():
        norm, got = outcome(functional)
        assert not differing(norm, want_norm), engine
        assert not any(differing(a, b) for a, b in zip(got, want, strict=True)), engine


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_has_the_references_bits_whatever_the_layout(
    dtype: type, values: str, every_engine: Any
) -> None:
    rng = np.random.default_rng(6)
    a = VALUES[values](rng, (40, 50, 60), dtype)
    want = reference.global_norm(a)
    for engine in every_engine():
        for layout in ROOMS:
            view = guarded(a, 8, layout).view
            got = functional.global_norm(view)
            assert not differing(np.array(got), np.array(want)), f"{engine}, {layout.__name__}"
            assert functional.all_finite(view) == reference.all_finite(view) == np.isfinite(a).all()


def test_read_only_and_broadcast_arrays_have_a_norm() -> None:
    a = np.broadcast_to(np.float32(2.0), (3, 3))
    assert functional.global_norm(a) == reference.global_norm(a) == 6.0


def test_gradient_may_be_broadcast() -> None:
    p = np.zeros((3, 4))
    instep.SGD([p], lr=1.0).step([np.broadcast_to(np.arange(4.0), (3, 4))])
    assert (p == -np.arange(4.0)).all()


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize(
    "transform", [instep.Centralize(), instep.Standardize()], ids=lambda t: type(t).__name__
)
def test_a_mean_whose_sum_overflows(transform: Any, backend: Any) -> None:
    """Elements near 1e308, of which no double holds the sum."""
    g = np.full((3, 2000), 1e306)
    g[1, ::2], g[2] = 1.7e306, 3.0
    w = np.zeros_like(g)
    instep.SGD([w], lr=1.0, transforms=[transform], backend=backend).step([g])
    if isinstance(transform, instep.Centralize):
        assert np.abs(w[0]).max() <= 2e-16 * 1e306
        np.testing.assert_allclose(-w[1, :2], [0.35e306, -0.35e306], rtol=1e-12)
        assert (w[2] == 0).all()
    else:
        assert w.mean() == pytest.approx(0.0, abs=1e-12)
        assert w.std() == pytest.approx(1.0, rel=1e-12)
