"""``instep bench --all``: every optimizer from small to large, every transform on an Adam step."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from rich.console import Console
from rich.table import Table

import instep
from instep import optimizers

from ._bench_cases import Case, Problem
from ._bench_contestants import Native, Plain, Reference
from ._bench_limit import arithmetic
from ._bench_run import Class, Result, Settings, run_one
from ._bench_sizes import Size
from ._bench_table import (
    LIMITS,
    MEDIANS,
    print_notes,
    shown,
    shown_limit,
    shown_ratio,
    shown_share,
    table_of,
)

TORCH = "torch_default"
READS_BEFORE = {"LAMB": 3, "LARS": 2}  # p, m and v; p and g

TRANSFORMS = (
    instep.Scale(0.5),
    instep.ClipByValue(0.5),
    instep.AddNoise(0.01),
    instep.ClipByNorm(1.0),
    instep.ClipByGlobalNorm(1.0),
    instep.ClipByRowNorm(1.0),
    instep.AdaptiveClip(0.01),
    instep.Centralize(),
    instep.Standardize(),
)

LEGEND = (
    MEDIANS,
    LIMITS,
    "LAMB and LARS read what they need norms of once more, and so does the loop of their limit.",
    "torch: how many times longer its default takes (no fused kernel but for Adam, SGD, Adagrad).",
)


def optimizer_cases() -> list[Case]:
    """Return each optimizer with its defaults."""
    return [_case(name) for name in optimizers._names]


def _case(name: str) -> Case:
    probe = getattr(instep, name)([np.zeros(1)], lr=0.1)  # lr has no default in some
    slots = len(probe.state[0])
    return Case(name, name, name, slots, defaults=True, again=READS_BEFORE.get(name, 0))


def transform_cases() -> list[Case]:
    """Return Adam with each transform."""
    return [Case(type(t).__name__, type(t).__name__, "Adam", 2, transform=t) for t in TRANSFORMS]


def steps_to_take(sizes: Sequence[Size]) -> int:
    """Return how often `every` calls its progress."""
    return len(optimizers._names) * len(sizes) + len(TRANSFORMS)


def every(sizes: Sequence[Size], middle: Size, settings: Settings) -> list[Result]:
    """Return what was measured: of each optimizer at all sizes, of each transform at the middle.

    Others take part at the last size only, the largest.

    Raises
    ------
    CheckError
        If a contestant computes something else than the reference.
    """
    both: list[Class] = [Native, Reference]
    results = []
    for case in optimizer_cases():
        core = arithmetic(case, settings.dtype)
        for size in sizes:
            among = _among(case) if size is sizes[-1] else both
            problem = Problem(case, size, settings.dtype)
            results.append(run_one(problem, among, settings, settings.threads[0], core))
    for case in transform_cases():
        problem, core = Problem(case, middle, settings.dtype), arithmetic(case, settings.dtype)
        results.append(run_one(problem, both, settings, settings.threads[0], core, [Plain]))
    return results


def _among(case: Case) -> list[Class]:
    if find_spec("torch") is None:
        return [Native, Reference]
    import torch  # noqa: PLC0415 - an optional package

    from ._bench_torch import TorchDefault  # noqa: PLC0415

    has = hasattr(torch.optim, case.optimizer)
    return [Native, Reference, *([TorchDefault] if has else [])]


def show(console: Console, results: Sequence[Result], notes: Sequence[str]) -> None:
    """Print both tables and what they mean."""
    of_optimizers = [r for r in results if r.case.transform is None]
    large = of_optimizers[-1].size
    console.print(_of_optimizers([r for r in of_optimizers if r.size is large]))
    console.print(_what_binds(of_optimizers))
    console.print(_of_transforms([r for r in results if r.case.transform is not None]))
    print_notes(console, (*LEGEND, *notes))


def _of_optimizers(results: Sequence[Result]) -> Table:
    heads = ("bytes", "ns/elem", "GB/s", "L1\nns/elem", "binds", "of it", "torch")
    table = table_of(f"Optimizers, {results[0].size.label} elements", "optimizer", heads)
    for r in results:
        bytes_each = str(r.bytes_per_step // r.size.elements)
        figures = (r.ns_per_element(), r.gb_per_s(), r.core * 1e9)
        others = (r.bounds.binds, shown_share(r.reached), shown_ratio(r.ratio(TORCH)))
        table.add_row(r.case.title, bytes_each, *map(shown, figures), *others)
    return table


def _what_binds(results: Sequence[Result]) -> Table:
    labels = list(dict.fromkeys(r.size.label for r in results))
    table = table_of("What binds, and how much of it is reached", "optimizer", labels)
    for r in results[:: len(labels)]:
        same = [other for other in results if other.case.name == r.case.name]
        table.add_row(r.case.title, *(f"{shown_limit(s)} {shown_share(s.reached)}" for s in same))
    return table


def _of_transforms(results: Sequence[Result]) -> Table:
    heads = ("µs", "L1\nns/elem", "binds", "of it", "of Adam")
    title = f"Adam with a transform, {results[0].size.label} elements"
    table = table_of(title, "transform", heads)
    for r in results:
        figures = (r.seconds() * 1e6, r.core * 1e9)
        of_adam = shown_share(r.seconds() / r.seconds(Plain.name))
        others = (r.bounds.binds, shown_share(r.reached), of_adam)
        table.add_row(r.case.title, *map(shown, figures), *others)
    return table
