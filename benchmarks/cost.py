"""What a step costs as work grows, and a model that predicts it, with its error.

Run `python benchmarks/cost.py [--most 1e9] [--json FILE]`. Every result is checked first. The model
knows five things, four of them measured in the same run: what a call costs, what each further array
costs, what an element costs one core in its smallest cache, and how fast a loop with the traffic of
the step and no arithmetic moves its bytes at some sizes, which takes turns with the steps; and how
many threads are at work.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import instep
from instep.cli._bench_cases import CASES
from instep.cli._bench_limit import Traffic, arithmetic, threads_at_work
from instep.cli._bench_machine import available_memory, describe, today
from instep.cli._bench_timing import Stepper, measure

ADAM = next(case for case in CASES if case.name == "adam")
HELD = 4 * (2 + ADAM.slots)  # bytes for each element: parameter, gradient, slots
SIZES = [10**k for k in range(1, 10)]
LISTS = (1, 10, 100, 1000, 10_000)
LENGTH = 64
CURVE = (3_000, 25_000, 100_000, 400_000, 1_600_000, 6_400_000, 25_000_000)
EMPTY = 2  # elements of a loop that is a call and nothing else
SHARE = 0.75  # of the memory for the largest array: the smaller ones and the loops have the rest
PATTERN = 1 << 20  # elements: what arrays are filled with, again and again
REPEATS = 9
HOSTS = (1, 8, 64, 1024)
FORECASTS = (10**9, 10**11)
NETWORK = 12.5e9  # bytes per second: an assumption, 100 Gbit/s


@dataclass(frozen=True)
class Model:
    """The time of a step from elements, arrays and threads, in seconds."""

    call: float
    """With one array."""
    array: float
    """Each further one, without its elements."""
    element: float
    """On one core, with everything in its smallest cache."""
    sizes: Sequence[int]
    seconds: dict[int, Sequence[float]]
    """By threads: of the loop without arithmetic at these sizes, without the call."""

    def traffic(self, elements: int, threads: int) -> float:
        """Return how long the bytes take: for each element as between the nearest sizes."""
        each = [s / n for s, n in zip(self.seconds[threads], self.sizes, strict=True)]
        at = float(np.interp(log(elements), [log(n) for n in self.sizes], each))
        return elements * at

    def step(self, elements: int, threads: int, arrays: int = 1) -> float:
        """Return how long a step takes."""
        computing = elements * self.element / threads_at_work(elements, threads, arrays)
        moving = self.traffic(elements, threads)
        return self.call + (arrays - 1) * self.array + max(computing, moving)


@dataclass(frozen=True)
class Point:
    """A step that was measured, beside what the model says of it."""

    elements: int
    arrays: int
    threads: int
    seconds: float
    predicted: float

    @property
    def error(self) -> float:
        """How far the model is off: 0.1 is a tenth too long."""
        return self.predicted / self.seconds - 1


def filled(elements: int, seed: int) -> np.ndarray:
    """Return normal numbers that repeat, so that large arrays are made in no time."""
    rng = np.random.default_rng(seed)
    return np.resize(rng.standard_normal(min(elements, PATTERN), np.float32), elements)


def problem(elements: int, arrays: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return parameters and gradients."""
    return (
        [filled(elements, 2 * k) for k in range(arrays)],
        [filled(elements, 2 * k + 1) for k in range(arrays)],
    )


class Step:
    """A step of instep on these very arrays: copies of the largest would not fit."""

    def __init__(self, params: list[np.ndarray], grads: list[np.ndarray]) -> None:
        self.params, self.grads = params, grads
        self.optimizer = instep.Adam(params, **ADAM.hyper)

    def refresh(self) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Take one step."""
        self.optimizer.step(self.grads)

    def check(self) -> None:
        """Take a step, and compare its first and last elements with the reference."""
        ends = [(a, s) for a in range(len(self.params)) for s in (slice(PATTERN), slice(-99, None))]
        wanted = [self.params[a][s].copy() for a, s in ends]
        oracle = instep.Adam(wanted, backend="reference", **ADAM.hyper)
        oracle.step([self.grads[a][s] for a, s in ends])
        self.step()
        for (a, s), w in zip(ends, wanted, strict=True):
            if self.params[a][s].tobytes() != w.tobytes():
                raise SystemExit(f"wrong result at {self.params[a].size} elements; nothing timed")


class On:
    """A step, or a loop, on so many threads."""

    def __init__(self, stepper: Stepper, threads: int) -> None:
        self._stepper, self._threads = stepper, threads
        self.step = stepper.step

    def refresh(self) -> None:
        """Let the next steps be on these threads."""
        instep.set_num_threads(self._threads)
        self._stepper.refresh()


def times(contestants: dict[Any, Stepper]) -> dict[Any, float]:
    """Return the median time of a step of each; all take turns.

    What others leave of caches and memory changes within a run, so the model and the steps that
    it is compared with must see the same moments.
    """
    timings = measure(list(contestants.values()), REPEATS)
    return {key: timing.median for key, timing in zip(contestants, timings, strict=True)}


def checked(elements: int, arrays: int = 1) -> Step:
    """Return a step whose result is right."""
    made = Step(*problem(elements, arrays))
    made.check()
    return made


def known(threads: Sequence[int], curve: Sequence[int]) -> dict[Any, Stepper]:
    """Return what has to be timed for the model."""
    loops = {size: Traffic(ADAM, *problem(size)) for size in (EMPTY, *curve)}
    made: dict[Any, Stepper] = {
        ("loop", size, n): On(loop, n) for size, loop in loops.items() for n in threads
    }
    for what, size, arrays in (("call", 10, 1), ("few", LENGTH, 10), ("many", LENGTH, 1000)):
        made[what] = On(checked(size, arrays), max(threads))
    return made


def model_of(
    seconds: dict[Any, float], threads: Sequence[int], curve: Sequence[int], element: float
) -> Model:
    """Return the model that such times make."""
    array = (seconds["many"] - seconds["few"]) / 990 - LENGTH * element
    loops = {
        n: [seconds["loop", size, n] - seconds["loop", EMPTY, n] for size in curve] for n in threads
    }
    return Model(seconds["call"], array, element, curve, loops)


def compared(
    threads: Sequence[int], sizes: Sequence[int], lists: Sequence[int], curve: Sequence[int]
) -> tuple[Model, list[Point]]:
    """Time single arrays of these sizes, lists of these lengths and what the model knows."""
    element = arithmetic(ADAM, "float32")
    steps = {(size, 1): checked(size) for size in sizes}
    keys = [(size, 1, n) for n in threads for size in sizes]
    for arrays in lists:
        steps[LENGTH, arrays] = checked(LENGTH, arrays)
        keys.append((LENGTH, arrays, max(threads)))
    made = known(threads, curve)
    seconds = times(made | {key: On(steps[key[:2]], key[2]) for key in keys})
    model = model_of(seconds, threads, curve, element)
    points = []
    for key in keys:
        size, arrays, n = key
        predicted = model.step(size * arrays, n, arrays)
        points.append(Point(size * arrays, arrays, n, seconds[key], predicted))
    return model, points


def forecast(model: Model, elements: int, hosts: int, threads: int) -> tuple[float, float, float]:
    """Return memory of a host in bytes, seconds of a step, and seconds to exchange.

    Each host updates its share, which is whole in its memory, after the gradients were summed
    scattered, and gathers the parameters: both move (hosts - 1) / hosts of 4 bytes an element.
    """
    share = -(-elements // hosts)
    exchange = 2 * 4 * elements * (hosts - 1) / hosts / NETWORK
    return share * HELD, model.step(share, threads), exchange


def table(title: str, *heads: str) -> Table:
    """Return an empty table of numbers."""
    made = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for head in heads:
        made.add_column(head, justify="right", no_wrap=True)
    return made


def shown(seconds: float) -> str:
    """Return a time with three digits and a unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def show(console: Console, model: Model, points: Sequence[Point]) -> None:
    """Print what was measured, the model, and what it expects beyond."""
    threads = max(model.seconds)
    made = table("Adam, float32", "elements", "arrays", "threads", "step", "each", "model", "error")
    for p in points:
        each = p.seconds / p.arrays if p.arrays > 1 else p.seconds / p.elements
        cells = (f"{p.elements:,}", str(p.arrays), str(p.threads), shown(p.seconds), shown(each))
        made.add_row(*cells, shown(p.predicted), f"{100 * p.error:+.0f} %")
    console.print(made)
    console.print("each: for each element; for lists, each array", style="dim", highlight=False)
    costs = (("a call", model.call), ("an array", model.array), ("an element", model.element))
    console.print(", ".join(f"{what} {shown(cost)}" for what, cost in costs), highlight=False)
    made = table("Expected", "elements", "hosts", "memory of each", "step", "exchange")
    for elements in FORECASTS:
        for hosts in HOSTS:
            memory, step, exchange = forecast(model, elements, hosts, threads)
            cells = (f"{elements:.0e}", str(hosts), f"{memory / 2**30:,.3g} GiB", shown(step))
            made.add_row(*cells, shown(exchange) if hosts > 1 else "")
    console.print(made)


def main() -> None:
    """Measure, show, and write what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--most", type=float, default=1e9, help="the largest size")
    parser.add_argument("--quick", action="store_true", help="small, for a test of this program")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    given = parser.parse_args()
    most = min(int(given.most), int(SHARE * available_memory() / HELD))
    threads = sorted({1, instep.get_num_threads()})
    curve, lists = (CURVE[:2], LISTS[:3]) if given.quick else (CURVE, LISTS)
    sizes = [n for n in SIZES if n <= most]
    model, points = compared(threads, sizes, lists, curve)
    console, machine, date = Console(), describe(), today()
    console.print(f"{machine['cpu']}, {machine['threads']} threads, {date}", highlight=False)
    show(console, model, points)
    if given.json:
        figures = [asdict(p) | {"error": p.error} for p in points]
        document = {"date": date, "machine": machine, "model": asdict(model), "points": figures}
        given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
