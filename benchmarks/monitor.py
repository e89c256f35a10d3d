"""What a GradientMonitor costs: steps with and without one, taking turns.

Run `python benchmarks/monitor.py --help`. Before anything is timed a monitored step is checked: the
parameters that it leaves are those of a step without a monitor and its norms are the reference's,
bit for bit.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import instep

LISTS = {"10 x 1": (10, 1), "1e6 x 1": (1_000_000, 1), "1e7 x 1": (10_000_000, 1),
         "1e5 x 100": (100_000, 100), "1e3 x 1000": (1000, 1000)}  # fmt: skip
"""Elements of an array, and how many arrays."""


def arrays(size: int, count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(size, dtype=np.float32) for _ in range(count)]


def monitored(cls: type[instep.Optimizer], size: int, count: int, **options: object) -> tuple:
    opt = cls(arrays(size, count, 0), **options)
    return opt, instep.GradientMonitor(opt, warn=False)


def check(cls: type[instep.Optimizer], size: int, count: int) -> None:
    grads = arrays(size, count, 1)
    opt, monitor = monitored(cls, size, count)
    reference, expected = monitored(cls, size, count, backend="reference")
    alone = cls(arrays(size, count, 0))
    for each in (opt, reference, alone):
        each.step(grads)
    for p, q in zip(opt.params, alone.params, strict=True):
        assert p.tobytes() == q.tobytes(), "a monitor changes the step"
    for name in ("grad_norms", "param_norms", "update_ratios"):
        a, b = getattr(monitor, name), getattr(expected, name)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), f"{name} differ"


def timed(opt: instep.Optimizer, grads: list[np.ndarray], repeats: int) -> float:
    opt.step(grads)
    start = time.perf_counter()
    for _ in range(repeats):
        opt.step(grads)
    return (time.perf_counter() - start) / repeats


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optimizer", default="Adam", choices=instep.optimizers.__all__)
    parser.add_argument("--lists", nargs="*", default=list(LISTS), choices=LISTS)
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=21)
    return parser.parse_args()


def main() -> None:
    """Print a line for each list and number of threads."""
    args = arguments()
    cls = getattr(instep, args.optimizer)
    for name in args.lists:
        size, count = LISTS[name]
        check(cls, size, count)
        grads, alone = arrays(size, count, 1), cls(arrays(size, count, 0))
        opt, _monitor = monitored(cls, size, count)
        repeats = max(2, 200_000 // (size * count))
        for threads in args.threads:
            instep.set_num_threads(threads)
            pairs = [
                (timed(alone, grads, repeats), timed(opt, grads, repeats))
                for _ in range(args.rounds)
            ]
            ratio = statistics.median(b / a for a, b in pairs)
            base = statistics.median(a for a, _ in pairs)
            line = f"{name:10}  {threads} threads  {base * 1e6:9.1f} us alone  "
            print(f"{line}{ratio:5.2f} with a monitor", flush=True)


if __name__ == "__main__":
    main()
