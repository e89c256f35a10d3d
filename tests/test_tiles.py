"""Arrays whose axes lie in another order than the walk: gathered tile by tile, the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import instep
from arrays import Permuted, differing, guarded
from cases import Case
from instep import functional, reference
from test_bits import Run, assert_same, seed_of

Engines = Callable[[], Iterator[str]]

# Rows and columns as the tiles see them: short rows and long ones, of which a tile has a part only;
# fewer rows than a line has elements, and more than a tile or a band; rows just long enough to be
# cut by themselves, and just not; blocks that end in the next row or with their own; columns in
# runs of three; few columns, and an odd number of them, also where a row has a short end; axes
# outside of the two; axes of one element and of none; filters, of which few elements are beside one
# another, and which two threads share.
SHAPES = [
    (67, 45), (1100, 3), (3, 1100), (33, 1023), (18, 1500), (5, 9001), (70, 4160), (17, 5000),
    (21, 511), (21, 512), (3, 342, 3), (2, 512, 9), (134, 1025), (130, 2048), (131, 7, 150),
    (37, 768), (19, 9216), (2, 35, 512), (19, 70, 9), (2, 17, 4001), (2, 6, 9001), (40, 3, 50),
    (9, 11, 13, 7), (3, 5, 2, 1201), (1, 4500, 1, 9), (300, 5, 2), (5, 140, 9), (3, 131, 7),
    (18, 300, 3, 3), (260, 32, 3, 3), (4, 1, 3000), (5, 0, 3), (2, 3, 1), (2, 3100), (12, 2100),
]  # fmt: skip
# Of arrays beyond the caches tiles are higher.
LARGE = [(131, 8300), (1210, 900), (300, 400, 3, 3)]
RECIPES: dict[str, tuple[Case, list[Any]]] = {
    "plain": (Case(instep.Adam), []),
    "norm": (Case(instep.AdamW), [instep.ClipByGlobalNorm(1.0)]),
    "rows": (Case(instep.SGD), [instep.Centralize(), instep.ClipByRowNorm(0.5)]),
    "mean": (Case(instep.SGD), [instep.Standardize()]),
    "noise": (Case(instep.Adam), [instep.AddNoise(0.1)]),
    "noise twice": (
        Case(instep.SGD),
        [instep.AddNoise(0.1), instep.ClipByGlobalNorm(1.0), instep.AddNoise(0.2, seed=1)],
    ),
    "adaptive": (Case(instep.SGD), [instep.AdaptiveClip(0.01)]),
    "two passes": (Case(instep.LAMB), []),
    "two passes, clipped": (
        Case(instep.LAMB),
        [instep.ClipByValue(1.0), instep.ClipByGlobalNorm(1.0)],
    ),
    "two passes, noise": (Case(instep.LAMB), [instep.AddNoise(0.1)]),
    "of the gradient": (Case(instep.LARS, {"lr": 0.1}), []),
    "of the gradient, clipped": (Case(instep.LARS, {"lr": 0.1}), [instep.ClipByGlobalNorm(1.0)]),
}


def orders(ndim: int) -> list[tuple[int, ...]]:
    """Return C order, F order, and three more if there are as many.

    Of the last the innermost axis is that of C order, and the first axis is beside it.
    """
    every = list(permutations(range(ndim)))
    swapped = (*range(1, ndim - 1), 0, ndim - 1) if ndim > 2 else every[0]
    return list(dict.fromkeys([
        every[0], every[-1], *every[1:-1][:: max(1, len(every) // 2)], swapped,
    ]))  # fmt: skip


def layouts(ndim: int) -> list[tuple[Permuted, Permuted]]:
    """Return pairs for parameter and gradient."""
    c, f, *others = orders(ndim)
    pairs = [(c, f), (f, c), (f, f), *((p, other) for other in others for p in (c, other))]
    pairs += [(other, c) for other in others[-1:]]
    plain = [(Permuted(p), Permuted(g)) for p, g in pairs]
    return [
        *plain,
        (Permuted(f, pad=2), Permuted(f, pad=1)),
        (Permuted(c), Permuted(f, pad=3)),
        (Permuted(c, pad=1), Permuted(f, step=-1)),
        (Permuted(f), Permuted(c, pad=1)),
        (Permuted(f, step=2), Permuted(c, step=-2)),
        (Permuted(c), Permuted(c, step=2)),
        (Permuted(c, step=3), Permuted(c, step=-1)),
    ]


def steps_agree(
    shape: tuple[int, ...],
    recipe: str,
    dtype: type,
    pairs: list[tuple[Permuted, Permuted]],
    every_engine: Engines,
) -> None:
    rng = np.random.default_rng(seed_of(shape, recipe, dtype))
    case, transforms = RECIPES[recipe]
    params = [(rng.standard_normal(shape).astype(dtype), 16, p) for p, _ in pairs]
    grads = [[(rng.standard_normal(shape).astype(dtype), 8, g) for _, g in pairs]]
    assert_same(Run(case, transforms, params, grads), every_engine)


@pytest.mark.parametrize(
    ("recipe", "dtype"),
    [*((r, np.float32) for r in RECIPES), ("plain", np.float64), ("two passes", np.float64)],
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_steps(shape: tuple[int, ...], recipe: str, dtype: type, every_engine: Engines) -> None:
    steps_agree(shape, recipe, dtype, layouts(len(shape)), every_engine)


@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_steps_beyond_the_caches(shape: tuple[int, ...], every_engine: Engines) -> None:
    c, f = orders(len(shape))[:2]
    for pair in ((c, f), (f, c)):
        for pads in ((0, 0), (1, 3)):
            laid = [(Permuted(pair[0], pad=pads[0]), Permuted(pair[1], pad=pads[1]))]
            steps_agree(shape, "norm", np.float32, laid, every_engine)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms_and_zeroing(shape: tuple[int, ...], dtype: type, every_engine: Engines) -> None:
    rng = np.random.default_rng(seed_of(shape, dtype))
    values = rng.standard_normal(shape).astype(dtype)
    norm = reference.global_norm([values])
    for _, layout in layouts(len(shape)):
        for engine in every_engine():
            grad = guarded(values, 8, layout)
            assert functional.global_norm([grad.view]) == norm, engine
            for accumulated in (False, True):
                grad.view[...] = values
                param = np.zeros(shape, dtype)
                opt = instep.SGD([param], lr=1.0, zero_grads=True)
                if accumulated:
                    opt.accumulate([grad.view])
                    opt.step()
                else:
                    opt.step([grad.view])
                assert grad.intact(), engine
                assert not grad.view.any(), engine
                assert not differing(param, 0 - values), engine


@pytest.mark.parametrize(
    ("name", "count", "options"), [("adam_", 5, {"amsgrad": True}), ("lamb_", 4, {})]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_slots_of_other_layouts(
    shape: tuple[int, ...], name: str, count: int, options: Any, every_engine: Engines
) -> None:
    rng = np.random.default_rng(seed_of(shape))
    c, f, *others = [Permuted(order) for order in orders(len(shape))]
    values = [np.abs(rng.standard_normal(shape)) for _ in range(count)]

    def outcome(module: Any, layouts: list[Permuted]) -> list[np.ndarray]:
        arrays = [guarded(v, 8, layout) for v, layout in zip(values, layouts, strict=False)]
        getattr(module, name)(*(a.view for a in arrays), step=3, **options)
        assert all(a.intact() for a in arrays)
        return [a.view.copy() for a in arrays]

    for first in ([f, c], [c, f]):
        mixed = [*first, *(others or [c, f]), f, c]
        expected = outcome(reference, mixed)
        for engine in every_engine():
            for a, b in zip(outcome(functional, mixed), expected, strict=True):
                assert not differing(a, b), f"{engine}: {differing(a, b)}"


def backwards(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((2, 600, 70)).transpose()[:, ::-1]


def interleaved(rng: np.random.Generator) -> np.ndarray:
    room = rng.standard_normal((8, 1400))
    step, row = room.itemsize, room.strides[0]
    return np.lib.stride_tricks.as_strided(room, (1400, 3, 2), (step, 2 * row, 3 * row))


def f_order(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((5, 40, 70)).transpose()


@pytest.mark.parametrize(
    ("view", "axes"), [(backwards, (2, 1, 0)), (interleaved, (2, 1, 0)), (f_order, (0, 2, 1))]
)
def test_slots_that_are_not_beside_the_parameter(
    view: Callable[[np.random.Generator], np.ndarray], axes: tuple[int, ...], every_engine: Engines
) -> None:
    """Its strides do not tell the place, or rows of it are not side by side in the slots."""

    def outcome(module: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        param = view(rng)
        shape = param.transpose(axes).shape
        grad, *slots = (
            np.abs(rng.standard_normal(shape)).transpose(np.argsort(axes)) for _ in range(3)
        )
        module.lamb_(param, grad, *slots, step=3)
        return [param, *slots]

    expected = outcome(reference)
    for engine in every_engine():
        for a, b in zip(outcome(functional), expected, strict=True):
            assert not differing(a, b), f"{engine}: {differing(a, b)}"
