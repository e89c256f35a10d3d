"""How threads behave: scaling in cache, beside other pools, after idling.

Run `python benchmarks/threads.py [--json]`. The results are checked before anything is timed.
Every figure has a control: that of scaling are processes of one thread that share the work without
knowing of each other, those of the others one thread, which pays for lost caches and sleeping cores
as well but for no pool.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import instep

Action = Callable[[], Any]
ROUNDS = 15


def adam(size: int, backend: str = "native") -> Action:
    rng = np.random.default_rng(size)
    opt = instep.Adam([rng.standard_normal(size, np.float32)], backend=backend)
    grads = [rng.standard_normal(size, np.float32)]

    def step() -> np.ndarray:
        opt.step(grads)
        return opt.params[0]

    return step


def check(size: int, threads: int) -> None:
    for n in (1, threads):
        instep.set_num_threads(n)
        native, reference = adam(size), adam(size, "reference")
        for _ in range(3):
            a, b = native(), reference()
        if a.tobytes() != b.tobytes():
            raise SystemExit(f"wrong result: {size} elements, {n} threads")


def seconds(action: Action, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - start) / times


def medians(*actions: Action, span: float = 0.02) -> list[float]:
    """Median seconds of each, taking turns."""
    times = [max(3, round(span / seconds(a, 3))) for a in actions]
    rounds = []
    for _ in range(ROUNDS):
        row = []
        for action, n in zip(actions, times, strict=True):
            action()
            row.append(seconds(action, n))
        rounds.append(row)
    return [float(x) for x in np.median(rounds, axis=0)]


class Turn:
    """Which of the sizes other processes take steps of, counted from 1; else they sleep."""

    def __init__(self) -> None:
        self.changed = multiprocessing.Condition()
        self.size = multiprocessing.Value("i", 0, lock=False)

    def give(self, size: int) -> None:
        with self.changed:
            self.size.value = size
            self.changed.notify_all()

    def wait(self) -> int:
        with self.changed:
            self.changed.wait_for(lambda: self.size.value != 0)
            return self.size.value


def share(sizes: list[int], turn: Turn, ready: Any) -> None:
    """Take steps of the size whose turn it is, until it is that of none."""
    instep.set_num_threads(1)
    steps = [adam(size) for size in sizes]
    ready.wait()
    while (now := turn.wait()) > 0:
        while turn.size.value == now:
            steps[now - 1]()


def singly(action: Action, span: float = 0.02) -> list[float]:
    """Seconds of each run of as many as fill the span; their median leaves out disturbances."""
    action()
    times, end = [], time.perf_counter() + span
    while not times or time.perf_counter() < end:
        times.append(seconds(action, 1))
    return times


def scaling(sizes: list[int], threads: int) -> list[dict[str, Any]]:
    """Steps on one thread, on all, and apart: each process a share, all of them at once."""
    parts = [size // threads for size in sizes]
    turn, ready = Turn(), multiprocessing.Barrier(threads)
    for _ in range(threads - 1):
        multiprocessing.Process(target=share, args=(parts, turn, ready), daemon=True).start()
    ready.wait()
    rows = []
    for i, size in enumerate(sizes):
        step, part = adam(size), adam(parts[i])
        times: dict[str, list[float]] = {"one": [], "all": [], "apart": []}
        for _ in range(ROUNDS):
            for name, n, action in (("one", 1, step), ("all", threads, step), ("apart", 1, part)):
                instep.set_num_threads(n)
                turn.give(i + 1 if name == "apart" else 0)
                time.sleep(0.005)
                times[name] += singly(action)
                turn.give(0)
        one, every, apart = (float(np.median(t)) for t in times.values())
        rows.append({"elements": size, "one_us": one * 1e6, "all_us": every * 1e6,
                     "x": one / every, "apart_x": one / apart})  # fmt: skip
    turn.give(-1)
    return rows


def numpy_product(n: int) -> Action:
    a, b, c = (np.ones((n, n), np.float32) for _ in range(3))
    return lambda: np.matmul(a, b, out=c)


def torch_product(n: int) -> Action:
    import torch  # noqa: PLC0415

    a, b, c = (torch.ones(n, n) for _ in range(3))
    return lambda: torch.mm(a, b, out=c)


def numba_product(n: int) -> Action:
    import numba  # noqa: PLC0415

    @numba.njit(parallel=True, fastmath=True)
    def product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        for i in numba.prange(a.shape[0]):
            c[i] = 0
            for k in range(a.shape[1]):
                for j in range(b.shape[1]):
                    c[i, j] += a[i, k] * b[k, j]

    a, b, c = (np.ones((n, n), np.float32) for _ in range(3))
    return lambda: product(a, b, c)


def numba_loop(n: int) -> Action:
    import numba  # noqa: PLC0415

    @numba.njit(parallel=True)
    def scale(x: np.ndarray) -> None:
        for i in numba.prange(x.size):
            x[i] = np.sqrt(x[i] + 1.0)

    x = np.ones(n * n, np.float32)
    return lambda: scale(x)


NEIGHBOURS = {
    "numpy": numpy_product,
    "torch": torch_product,
    "numba": numba_product,
    "numba loop": numba_loop,
}


def alternately(first: Action, second: Action) -> Action:
    def act() -> None:
        first()
        second()

    return act


def beside(name: str, sides: list[int], sizes: list[int], threads: int) -> list[dict[str, Any]]:
    """What alternating costs, as a multiple of what either alone predicts."""
    rows = []
    for side in sides:
        try:
            product = NEIGHBOURS[name](side)
        except ImportError:
            return []
        for size in sizes:
            row: dict[str, Any] = {"beside": name, "side": side, "elements": size}
            for key, n in (("all_x", threads), ("one_x", 1)):
                step = adam(size)
                instep.set_num_threads(n)
                alone = medians(product, step)
                both = medians(alternately(product, step), span=0.04)
                row[key] = both[0] / sum(alone)
            rows.append(row)
    return rows


def after_idling(sizes: list[int], pauses: list[float], threads: int) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        for n in (threads, 1):
            instep.set_num_threads(n)
            step = adam(size)
            (steady,) = medians(step)
            for pause in pauses:
                times = []
                for _ in range(min(200, round(3 / pause))):
                    time.sleep(pause)
                    times.append(seconds(step, 1))
                p50, p90, top = np.percentile(times, [50, 90, 100]) * 1e6
                row = {"elements": size, "threads": n, "pause_ms": pause * 1e3}
                row |= {"steady_us": steady * 1e6, "p50_us": p50, "p90_us": p90, "max_us": top}
                rows.append(row)
    return rows


def table(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    if not rows:
        return
    print("".join(f"{name:>12}" for name in rows[0]))
    for row in rows:
        cells = (f"{x:.2f}" if isinstance(x, float) else str(x) for x in row.values())
        print("".join(f"{cell:>12}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=["scaling", "beside", "idling"])
    parser.add_argument("--neighbour", choices=list(NEIGHBOURS), action="append")
    args = parser.parse_args()
    threads = instep.get_num_threads()
    check(100_000, threads)
    found: dict[str, Any] = {"threads": threads}
    if args.only in (None, "scaling"):
        found["scaling"] = scaling([50_000, 100_000, 200_000, 500_000, 1_000_000], threads)
    if args.only in (None, "beside"):
        found["beside"] = [
            row
            for name in args.neighbour or NEIGHBOURS
            for row in beside(name, [512, 1024], [100_000, 1_000_000], threads)
        ]
    if args.only in (None, "idling"):
        found["idling"] = after_idling([100_000, 1_000_000], [0.001, 0.005, 0.02, 0.1], threads)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for title, rows in found.items():
        if isinstance(rows, list):
            table(title, rows)


if __name__ == "__main__":
    main()
