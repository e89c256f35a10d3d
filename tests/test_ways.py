"""Updates go back through memory where the pass before went forth, and the bits are the same."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import instep
from arrays import differing

STEPS = 5
MOST_TURNED = 64 << 20  # bytes: of more an update always goes forth
GLIBC_LEVEL2_CACHE_SIZE = 191  # Python has no name for it


OPTIONS: dict[str, tuple[type, dict[str, Any], int]] = {
    "SGD": (instep.SGD, {}, 2),
    "Adam": (instep.Adam, {}, 4),
    "amsgrad": (instep.Adam, {"amsgrad": True, "weight_decay": 0.1}, 5),
    "LAMB": (instep.LAMB, {}, 4),
}
"""Class, hyperparameters, and how many arrays a step moves."""


def elements(threads: int, arrays: int, dtype: type) -> int:
    """Return for how many elements the cores' own caches are too small."""
    try:
        cache = os.sysconf(GLIBC_LEVEL2_CACHE_SIZE)
    except (OSError, ValueError):
        cache = 0
    size = 1.25 * threads * (cache if cache > 0 else 1 << 20)
    assert size < MOST_TURNED, "this machine's caches are too large for updates that turn"
    return int(size) // (arrays * np.dtype(dtype).itemsize)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_bits(
    name: str, clipped: bool, dtype: type, every_engine: Callable[[], Iterator[str]]
) -> None:
    cls, hyper, arrays = OPTIONS[name]
    n = elements(2, arrays, dtype)
    # Two that threads share, less than a line, one that begins anywhere, and the rest of a line.
    sizes = [n // 2, 7, n // 3, 16384 + 40, n // 6 + 31]
    rng = np.random.default_rng(len(name))
    start = [rng.standard_normal(k).astype(dtype)[i:] for i, k in enumerate(sizes)]
    grads = [[rng.standard_normal(p.size).astype(dtype) for p in start] for _ in range(STEPS)]

    def outcome(backend: str) -> list[np.ndarray]:
        params = [p.copy() for p in start]
        transforms = [instep.ClipByGlobalNorm(1.0)] if clipped else []
        opt = cls(params, **hyper, transforms=transforms, backend=backend)
        for g in grads:
            opt.step(g)
        return params + [s for state in opt.state for s in state.values()]

    expected = outcome("reference")
    for engine in every_engine():
        for a, b in zip(outcome("native"), expected, strict=True):
            assert not differing(a, b), f"{engine}: {differing(a, b)}"


def changed_first(opt: instep.SGD, grads: list[np.ndarray]) -> str:
    """Return which end of the parameter a step changes first: as seen from here, while it runs.

    One end counts as first where it has changed before the other is looked at and has not.
    """
    (p,) = opt.params
    old_low, old_high = p[0], p[-1]
    stepping = threading.Thread(target=opt.step, args=(grads,))
    stepping.start()
    low, high, low_again = old_low, old_high, old_low
    while low == old_low and high == old_high:
        low, high, low_again = p[0], p[-1], p[0]
    stepping.join()
    if low != old_low and high == old_high:
        return "first"
    return "last" if high != old_high and low_again == old_low else "not seen"


@pytest.mark.parametrize("clipped", [False, True])
def test_way(clipped: bool) -> None:
    """Plain steps go to and fro; after a norm, which goes forth, all go back."""
    n = elements(1, 2, np.float32)
    transforms = [instep.ClipByGlobalNorm(1.0)] if clipped else []
    opt = instep.SGD([np.zeros(n, np.float32)], lr=0.1, transforms=transforms)
    grads = [np.ones(n, np.float32)]
    instep.set_num_threads(1)
    seen: set[tuple[bool, str]] = set()  # whether a step is an odd one, and what was seen of it
    wanted = {(odd, "last" if clipped or odd else "first") for odd in (False, True)}
    for k in range(1000):
        if seen >= wanted:
            break
        seen.add((k % 2 == 1, changed_first(opt, grads)))
    seen -= {(False, "not seen"), (True, "not seen")}
    assert seen <= wanted
    if seen < wanted:
        pytest.skip("this machine was too busy to look while a step ran")
