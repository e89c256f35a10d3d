"""The table that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ._bench_cases import Case
from ._bench_contestants import Idiom, Native, Reference, Tuned
from ._bench_run import Result

TORCH = "torch_fused"  # named here, for torch may not be installed
PEERS = (
    (TORCH, "vs\ntorch"),
    (Idiom.name, "vs\nNumPy"),
    (Tuned.name, "vs\nout="),
    (Reference.name, "vs\nreference"),
)

LIMIT = (
    "how much of the speed of a loop with the same traffic and no arithmetic instep reaches; "
    "where it clips by global norm, of that loop and a pass that reads the gradients"
)
OTHERS = (
    "torch: its fused optimizers; NumPy: with temporaries; out=: NumPy without temporaries, in "
    "blocks that stay in the cache; reference: instep.reference"
)


def heading(machine: dict[str, Any], dtype: str, date: str) -> str:
    """Return what the figures depend on, in two lines."""
    torch = f", torch {machine['torch']}" if machine["torch"] else ""
    return (
        f"{machine['cpu']}, {_count(machine['cpus'], 'core')}: "
        f"{_count(machine['threads'], 'thread')}, "
        f"instruction set {machine['isa_active']}, {dtype}\n"
        f"instep {machine['instep']}, NumPy {machine['numpy']}{torch}, {date}"
    )


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def show(console: Console, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
    """Print a table for each case, and what its columns mean."""
    for case in dict.fromkeys(r.case for r in results):
        console.print(_table(case, [r for r in results if r.case == case]))
    for note in (*_legend(results), *notes):
        console.print(note, style="dim", highlight=False)


def _table(case: Case, results: Sequence[Result]) -> Table:
    bytes_each = results[0].bytes_per_step // results[0].size.elements
    title = f"{case.title}: {bytes_each} bytes per element"
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.show_edge = False
    table.add_column("\nelements", no_wrap=True, justify="right")
    for column in ("instep\nµs/step", "instep\nns/elem", "instep\nGB/s", "of the\nlimit"):
        table.add_column(column, no_wrap=True, justify="right", style="bold")
    for _, column in PEERS:
        table.add_column(column, no_wrap=True, justify="right")
    for r in results:
        ratios = (shown_ratio(r.ratio(name)) for name, _ in PEERS)
        figures = (r.timings[Native.name].median * 1e6, r.ns_per_element(), r.gb_per_s())
        table.add_row(r.size.label, *map(shown, figures), f"{100 * r.part_of_limit:.0f} %", *ratios)
    return table


def shown(x: float) -> str:
    """Three digits, more only before the point."""
    digits = 3 if x < 0.1 else 2 if x < 10 else 1 if x < 100 else 0
    return f"{x:.{digits}f}"


def shown_ratio(ratio: float | None) -> str:
    """Return a ratio, or a dash where there is none."""
    return "-" if ratio is None else f"{shown(ratio)}x"


def _legend(results: Sequence[Result]) -> list[str]:
    lines = [
        "Medians of one process, taken in turn; every result is checked before timing.",
        f"limit: {LIMIT}.",
        f"vs: how many times longer others take than instep. {OTHERS}.",
    ]
    if not any(TORCH in r.timings for r in results):
        lines.append("torch is not installed: pip install torch")
    return lines
