"""What memory layouts cost: steps and norms beside those of aligned C-ordered arrays.

Run `python benchmarks/layouts.py --help`. Every result is checked against the reference, bit for
bit, before it is timed; figures are ratios of medians, the two arrays taking turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import instep
from instep import functional, reference

Layout = Callable[[np.ndarray], np.ndarray]


def memory(shape: tuple[int, ...], dtype: str, offset: int) -> np.ndarray:
    """Return memory in C order, so many bytes behind a 64-byte border."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(count + 128, np.uint8)
    return np.ndarray(shape, dtype, raw.data, -raw.ctypes.data % 64 + offset)


def at(offset: int) -> Layout:
    return lambda a: filled(memory(a.shape, a.dtype.str, offset), a)


def filled(view: np.ndarray, values: np.ndarray) -> np.ndarray:
    view[...] = values
    return view


def ordered(a: np.ndarray, *axes: int) -> np.ndarray:
    """Return an array whose axes lie so in memory, outermost first."""
    room = memory(a.transpose(axes).shape, a.dtype.str, 0)
    return filled(room.transpose(np.argsort(axes)), a)


def f_order(a: np.ndarray) -> np.ndarray:
    return ordered(a, *reversed(range(a.ndim)))


def f_padded(a: np.ndarray) -> np.ndarray:
    room = (*a.shape[:0:-1], a.shape[0] + 3)
    return filled(memory(room, a.dtype.str, 0).transpose()[1:-2], a)


def swapped(a: np.ndarray) -> np.ndarray:
    return filled(memory(a.swapaxes(0, -2).shape, a.dtype.str, 0).swapaxes(0, -2), a)


def channels_last(a: np.ndarray) -> np.ndarray:
    """Return filters (out, in, height, width) in the order out, height, width, in."""
    return ordered(a, 0, *range(2, a.ndim), 1)


def channels_inside(a: np.ndarray) -> np.ndarray:
    """Return the same in the order height, width, in, out: TensorFlow's and JAX's."""
    return ordered(a, *range(2, a.ndim), 1, 0)


def sliced(a: np.ndarray) -> np.ndarray:
    return filled(memory((*a.shape[:-1], 2 * a.shape[-1]), a.dtype.str, 0)[..., ::2], a)


def negative(a: np.ndarray) -> np.ndarray:
    return filled(np.flip(memory(a.shape, a.dtype.str, 0), tuple({0, a.ndim - 1})), a)


PAIRS: dict[str, tuple[Layout, Layout]] = {
    "C, C at 64": (at(0), at(0)),
    "C, C at 16": (at(16), at(16)),
    "C, C at 8": (at(8), at(8)),
    "F, F": (f_order, f_order),
    "F padded, F padded": (f_padded, f_padded),
    "C, F": (at(0), f_order),
    "C, F padded": (at(0), f_padded),
    "F, C": (f_order, at(0)),
    "C, axes swapped": (at(0), swapped),
    "OHWI, OHWI": (channels_last, channels_last),
    "C, OHWI": (at(0), channels_last),
    "OHWI, C": (channels_last, at(0)),
    "HWIO, HWIO": (channels_inside, channels_inside),
    "C, HWIO": (at(0), channels_inside),
    "HWIO, C": (channels_inside, at(0)),
    "C, every second": (at(0), sliced),
    "C, reversed": (at(0), negative),
}
"""Layouts of parameter and gradient."""

RECIPES: dict[str, list[Any]] = {
    "SGD": [],
    "Adam": [],
    "Adam, global norm": [instep.ClipByGlobalNorm(1.0)],
    "Adam, row norm": [instep.ClipByRowNorm(1.0)],
    "Adam, noise": [instep.AddNoise(0.01)],
    "LAMB": [],
    "norm": [],
}
SHAPES = [
    "10000", "100000", "16000000", "1000x1000", "1024x1024", "768x3072", "3072x768", "4000x4000",
    "4096x4096", "5x200000", "64x100000", "100000x64", "256x3x3x256", "1000000x3",
    "256x64x3x3", "512x512x3x3",
]  # fmt: skip


def prepared(recipe: str, param: np.ndarray, grad: np.ndarray, backend: str) -> Any:
    """Return what is to be timed, and the arrays that hold its result."""
    if recipe == "norm":
        module = functional if backend == "native" else reference
        result = np.zeros(1)

        def norm() -> None:
            result[0] = module.global_norm([grad])

        return norm, [result]
    cls = getattr(instep, recipe.partition(",")[0])
    opt = cls([param], lr=1e-6, transforms=RECIPES[recipe], backend=backend)
    slots = opt.state[0].values()
    return lambda: opt.step([grad]), [param, *(s for s in slots if s is not None)]


def check(recipe: str, values: list[np.ndarray], layouts: tuple[Layout, Layout]) -> None:
    results = []
    for backend in ("native", "reference"):
        p, g = (layout(v) for layout, v in zip(layouts, values, strict=True))
        run, arrays = prepared(recipe, p, g, backend)
        run()
        results.append([np.ascontiguousarray(a) for a in arrays])
    for a, b in zip(*results, strict=True):
        assert a.tobytes() == b.tobytes(), "native and reference differ"


def timed(run: Callable[[], None], seconds: float) -> float:
    """Return the time of one run, from as many as fill the given time.

    One goes before: else the quicker of two, which runs more often, would find more in the caches.
    """
    run()
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed > seconds:
            return elapsed / count


def ratio(runs: list[Callable[[], None]], rounds: int) -> tuple[float, float]:
    """Return the median of the ratios to the first, and the time of the first."""
    for run in runs:
        run()
    pairs = [[timed(run, 0.002) for run in runs] for _ in range(rounds)]
    return statistics.median(b / a for a, b in pairs), statistics.median(a for a, _ in pairs)


def axes_of(pair: str) -> int:
    """Return how many axes arrays must have to be laid out so."""
    return 4 if "HW" in pair else 2 if "F" in pair or "swapped" in pair else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS)[1:])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--unchecked", action="store_true", help="skip the check of the results")
    parser.add_argument("--json", help="write the figures to this file too")
    return parser.parse_args()


def measure(args: argparse.Namespace, shape: str, dtype: str, recipe: str) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    sizes = tuple(int(n) for n in shape.split("x"))
    values = [rng.standard_normal(sizes, dtype) for _ in range(2)]
    first = next(iter(PAIRS.values()))
    base = prepared(recipe, *(lay(v) for lay, v in zip(first, values, strict=True)), "native")[0]
    rows = []
    for pair in args.pairs:
        if len(sizes) < axes_of(pair):
            continue
        if not args.unchecked:
            check(recipe, values, PAIRS[pair])
        arrays = [lay(v) for lay, v in zip(PAIRS[pair], values, strict=True)]
        run = prepared(recipe, *arrays, "native")[0]
        for threads in args.threads:
            instep.set_num_threads(threads)
            slower, seconds = ratio([base, run], args.rounds)
            rows.append({
                "recipe": recipe, "shape": shape, "dtype": dtype, "pair": pair, "threads": threads,
                "ratio": slower, "ns_per_element_of_C": seconds / values[0].size * 1e9,
            })  # fmt: skip
            print(f"{recipe:18} {shape:12} {dtype:8} {threads} threads  {pair:20} {slower:6.2f}"
                  f"   (C: {rows[-1]['ns_per_element_of_C']:.3f} ns)", flush=True)  # fmt: skip
    return rows


def main() -> None:
    """Print a table, one line for each measurement."""
    args = arguments()
    rows = [
        row
        for recipe in args.recipes
        for shape in args.shapes
        for dtype in args.dtypes
        for row in measure(args, shape, dtype, recipe)
    ]
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
