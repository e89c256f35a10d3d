"""Native and reference agree on whatever shapes, strides, rules and transforms are made up."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arrays import differing
from cases import CASES, TRANSFORMS

ATOMS = sorted({repr(t): t for ts in TRANSFORMS.values() for t in ts}.items())


@st.composite
def views(draw: st.DrawFn) -> tuple[tuple[int, ...], list[int], list[slice]]:
    """The shape of some memory, an order of its axes, and a slice of each."""
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=3)))
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -3])) for _ in shape]
    return shape, order, [slice(None, None, step) for step in steps]


def view(rng: np.random.Generator, spec: Any, dtype: type) -> np.ndarray:
    shape, order, slices = spec
    memory = np.asarray(rng.standard_normal(shape), dtype)
    return memory.transpose(order)[(..., *slices)]


@settings(max_examples=1000, deadline=None)
@given(
    case=st.sampled_from(CASES),
    specs=st.lists(views(), min_size=1, max_size=5),
    transforms=st.lists(st.sampled_from([t for _, t in ATOMS]), max_size=4),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32),
    missing=st.sets(st.integers(0, 44)),
    micro=st.integers(1, 3),
)
def test_anything(
    case: Any, specs: Any, transforms: Any, dtype: Any, seed: int, missing: set[int], micro: int
) -> None:
    results = []
    for backend in ("native", "reference"):
        rng = np.random.default_rng(seed)
        params = [view(rng, spec, dtype) for spec in specs]
        opt = case.cls(params, **case.hyper, transforms=transforms, backend=backend)
        numbers = []
        for t in range(3):
            for k in range(micro):
                grads = [np.asarray(rng.standard_normal(p.shape), dtype) for p in params]
                first = 15 * t + 5 * k
                passed = [None if first + i in missing else g for i, g in enumerate(grads)]
                if micro > 1:
                    numbers.append(opt.accumulate(passed))
            report = opt.step() if micro > 1 else opt.step(passed)
            numbers += [report.grad_norm or 0.0, report.clip_factor or 0.0]
        slots = [slot for state in opt.state for slot in state.values()]
        results.append([*params, *slots, np.array(numbers)])
    for a, b in zip(*results, strict=True):
        assert not differing(a, b)
