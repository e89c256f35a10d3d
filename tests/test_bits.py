"""Native and reference have the same bits: every rule, option, transform, length and layout."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import instep
from arrays import ROOMS, VALUES, Guarded, differing, guarded
from cases import CASES, TRANSFORMS, Case, pairs
from instep import functional, reference

STEPS = 4
VECTOR = 16  # float32 elements of the widest vector
LENGTHS = [*range(4 * VECTOR + 2), 10007, 70001]  # the last is beyond the threading threshold
SHAPE = (7, 6, 33)  # more than a block; all together beyond the threading threshold
DTYPES = [np.float32, np.float64]

Engines = Callable[[], Iterator[str]]


def seed_of(*words: object) -> int:
    return zlib.crc32(repr(words).encode())


class Run:
    """One optimizer over guarded arrays, made anew from the same values as often as needed."""

    def __init__(
        self,
        case: Case,
        transforms: list[Any],
        params: list[Any],
        grads: list[list[Any]],
        **options: Any,
    ) -> None:
        self._case, self._transforms, self._options = case, transforms, options
        self._params, self._grads = params, grads

    def __call__(self, backend: str) -> list[np.ndarray]:
        """Take all steps; return parameters, slots and the reports' numbers."""
        params = [guarded(*p) for p in self._params]
        opt = self._case.cls(
            [p.view for p in params], **self._case.hyper, transforms=self._transforms,
            backend=backend, **self._options,
        )  # fmt: skip
        numbers = []
        for grads in self._grads:
            passed = [guarded(*g) for g in grads]
            report = opt.step([g.view for g in passed])
            numbers += [np.nan if x is None else x for x in (report.grad_norm, report.clip_factor)]
            self._check_memory(params, passed, grads)
        slots = [slot for state in opt.state for slot in state.values()]
        return [p.view.copy() for p in params] + [s.copy() for s in slots] + [np.array(numbers)]

    def _check_memory(self, params: list[Guarded], passed: list[Guarded], grads: list[Any]) -> None:
        for i, (p, g, given) in enumerate(zip(params, passed, grads, strict=True)):
            assert p.intact(), f"parameter {i}: bytes outside were written"
            assert g.intact(), f"gradient {i}: bytes outside were written"
            assert not differing(g.view, given[0]), f"gradient {i} was written"


def assert_same(run: Run, engines: Engines) -> None:
    expected = run("reference")
    for engine in engines():
        for i, (a, b) in enumerate(zip(run("native"), expected, strict=True)):
            assert not differing(a, b), f"{engine}, array {i}: {differing(a, b)}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("case", "transform", "values"),
    [(*pair, values) for values in VALUES for pair in pairs(values=values)],
    ids=str,
)
def test_lengths(
    case: Case, dtype: type, transform: str, values: str, every_engine: Engines
) -> None:
    rng = np.random.default_rng(seed_of(str(case), dtype, transform, values))
    size = np.dtype(dtype).itemsize
    make = VALUES[values]

    def arrays(salt: int) -> list[tuple[np.ndarray, int]]:
        offsets = [size * ((i * 5 + salt) % (64 // size)) for i in range(len(LENGTHS))]
        return [(make(rng, (n,), dtype), o) for n, o in zip(LENGTHS, offsets, strict=True)]

    params, grads = arrays(1), [arrays(3 + s) for s in range(STEPS)]
    assert_same(Run(case, TRANSFORMS[transform], params, grads), every_engine)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "transform"), pairs(), ids=str)
def test_layouts(case: Case, dtype: type, transform: str, every_engine: Engines) -> None:
    rng = np.random.default_rng(seed_of(str(case), dtype, transform))
    both = [(p, g) for p in ROOMS for g in ROOMS]
    make = VALUES["plain"]
    params = [(make(rng, SHAPE, dtype), 0, p) for p, _ in both]
    grads = [[(make(rng, SHAPE, dtype), 16, g) for _, g in both] for _ in range(2)]
    assert_same(Run(case, TRANSFORMS[transform], params, grads), every_engine)


@pytest.mark.parametrize(
    ("dtype", "offset"), [(d, o) for d in DTYPES for o in range(0, 64, np.dtype(d).itemsize)]
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_offset(case: Case, dtype: type, offset: int, every_engine: Engines) -> None:
    """Parameter, gradient and slots each at its own misalignment, by the functions."""
    rng = np.random.default_rng(seed_of(str(case), dtype, offset))
    name = f"{case.cls.__name__.lower()}_"
    used = case.cls._used_slots(case.cls([np.zeros(1)], **case.hyper).param_groups[0])
    slot_count = len(case.cls._slot_names)
    values = [
        [np.abs(VALUES["plain"](rng, (n,), dtype)) for _ in range(2 + slot_count)]
        for n in (1, 15, 33, 47, 1025)
    ]

    def outcome(module: Any) -> list[np.ndarray]:
        out = []
        for row in values:
            arrays = [guarded(v, (offset * (k + 1)) % 64) for k, v in enumerate(row)]
            slots = {
                slot: arrays[2 + k].view if slot in used else None
                for k, slot in enumerate(case.cls._slot_names)
            }
            param, grad = arrays[0].view, arrays[1].view
            getattr(module, name)(param, grad, **slots, step=3, **case.hyper)
            assert all(a.intact() for a in arrays)
            assert not differing(arrays[1].view, row[1])
            out += [a.view.copy() for a in arrays]
        return out

    expected = outcome(reference)
    for engine in every_engine():
        for a, b in zip(outcome(functional), expected, strict=True):
            assert not differing(a, b), f"{engine}: {differing(a, b)}"


@pytest.mark.parametrize("options", [{"maximize": True}, {"nonfinite": "skip"}], ids=str)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(
    dtype: type, transform: str, values: str, options: dict[str, Any], every_engine: Engines
) -> None:
    rng = np.random.default_rng(seed_of(dtype, transform, values))
    make = VALUES[values]
    params = [(make(rng, (n,), dtype),) for n in (3, 2000)]
    grads = [[(make(rng, (n,), dtype),) for n in (3, 2000)] for _ in range(STEPS)]
    grads.append([(VALUES["plain"](rng, (n,), dtype),) for n in (3, 2000)])
    case = Case(instep.AdamW)
    assert_same(Run(case, TRANSFORMS[transform], params, grads, **options), every_engine)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mixed_dtypes(case: Case, every_engine: Engines) -> None:
    rng = np.random.default_rng(seed_of(str(case)))
    dtypes = [DTYPES[i % 2] for i in range(9)]
    make = VALUES["plain"]
    params = [(make(rng, (100 * i,), d),) for i, d in enumerate(dtypes)]
    grads = [[(make(rng, (100 * i,), d),) for i, d in enumerate(dtypes)] for _ in range(STEPS)]
    assert_same(Run(case, TRANSFORMS["all"], params, grads), every_engine)
