"""``instep bench --all``: every optimizer at one large size, every transform on an Adam step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import instep
from instep import optimizers

from ._bench_cases import Case, Problem, Size
from ._bench_contestants import Contestant, Native, Plain, Reference
from ._bench_run import Result, run_one
from ._bench_table import shown, shown_ratio

TORCH = "torch_default"
READS_BEFORE = {"LAMB": 3, "LARS": 2}  # p, m and v; p and g
IN_CACHE = Size("in cache", 1, 40_000)

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
    "Medians of one process, taken in turn; every result is checked before timing.",
    (
        "limit: how much of the speed of a loop with the same traffic and no arithmetic it "
        "reaches; LAMB and LARS read what they need norms of once more, and so does that loop."
    ),
    (
        "1 core: a step on one thread in 40,000 elements, which stay in the cache: what arithmetic "
        "costs. Where that, divided by the threads, exceeds the time of the limit's loop, "
        "arithmetic binds."
    ),
    "torch: how many times longer its default takes (no fused kernel but for Adam, SGD, Adagrad).",
)

Progress = Callable[[str], None]


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


def steps_to_take() -> int:
    """Return how often `every` calls its progress."""
    return 2 * (2 * len(optimizers._names) + len(TRANSFORMS))


def every(
    large: Size, middle: Size, repeats: int, progress: Progress
) -> tuple[list[tuple[Result, Result]], list[Result]]:
    """Return what was measured: of each optimizer at the large size and in cache, and of each
    transform at the middle size.

    Raises
    ------
    CheckError
        If a contestant computes something else than the reference.
    """  # noqa: D205 - one sentence

    def measured(case: Case, size: Size, **others: Sequence[type[Contestant]]) -> Result:
        among = others.pop("among", [Native, Reference])
        return run_one(Problem(case, size, "float32"), repeats, progress, among, **others)

    of_optimizers = [
        (measured(case, large, among=_among(case)), _on_one_thread(measured, case))
        for case in optimizer_cases()
    ]
    transforms = [measured(case, middle, unchecked=[Plain]) for case in transform_cases()]
    return of_optimizers, transforms


def _on_one_thread(measured: Callable[[Case, Size], Result], case: Case) -> Result:
    threads = instep.get_num_threads()
    instep.set_num_threads(1)
    try:
        return measured(case, IN_CACHE)
    finally:
        instep.set_num_threads(threads)


def _among(case: Case) -> list[type[Contestant]]:
    if find_spec("torch") is None:
        return [Native, Reference]
    import torch  # noqa: PLC0415 - an optional package

    from ._bench_torch import TorchDefault  # noqa: PLC0415

    has = hasattr(torch.optim, case.optimizer)
    return [Native, Reference, *([TorchDefault] if has else [])]


def show(
    console: Console,
    of_optimizers: Sequence[tuple[Result, Result]],
    transforms: Sequence[Result],
    notes: Sequence[str],
) -> None:
    """Print both tables and what they mean."""
    large, middle = of_optimizers[0][0].size.label, transforms[0].size.label
    heads = ("bytes", "ns/elem", "GB/s", "limit", "1 core\nns/elem", "torch")
    table = _table(f"Optimizers, {large} elements", "optimizer", heads)
    for result, in_cache in of_optimizers:
        table.add_row(
            result.case.title,
            str(result.bytes_per_step // result.size.elements),
            shown(result.ns_per_element()),
            shown(result.gb_per_s()),
            f"{100 * result.part_of_limit:.0f} %",
            shown(in_cache.ns_per_element()),
            shown_ratio(result.ratio(TORCH)),
        )
    console.print(table)
    table = _table(f"Adam with a transform, {middle} elements", "transform", ("µs", "of Adam"))
    for result in transforms:
        us = result.timings[Native.name].median * 1e6
        plain = result.timings[Plain.name].median * 1e6
        table.add_row(result.case.title, shown(us), f"{100 * us / plain:.0f} %")
    console.print(table)
    for note in (*LEGEND, *notes):
        console.print(note, style="dim", highlight=False)


def _table(title: str, first: str, heads: Sequence[str]) -> Table:
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.show_edge = False
    table.add_column(first, no_wrap=True, vertical="bottom")
    for head in heads:
        table.add_column(head, no_wrap=True, justify="right", vertical="bottom")
    return table
