"""The table that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ._bench_contestants import Idiom, Reference, Tuned
from ._bench_run import Result

TORCH = "torch_fused"  # named here, for torch may not be installed
PEERS = (
    (TORCH, "vs\ntorch"),
    (Idiom.name, "vs\nNumPy"),
    (Tuned.name, "vs\nout="),
    (Reference.name, "vs ref-\nerence"),
)

SHORT = {"arithmetic": "arithm."}  # where 80 columns have no room
MEDIANS = "Medians of one process, taken in turn; every result is checked before timing."
OTHERS = (
    "torch: its fused optimizers; NumPy: with temporaries; out=: NumPy without temporaries, in "
    "blocks that stay in the cache; reference: instep.reference"
)


LIMITS = (
    "Limits. call: a step on arrays of two elements; traffic: a loop that reads and writes the "
    "same and computes nothing (with clipping by global norm it reads the gradients twice); "
    "arithmetic: the step with all in the level 1 cache, without the call, divided by the "
    "threads at work. The largest binds; the share says how much of its speed is reached (a limit "
    "that was measured at a busier moment can be exceeded)."
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
    for part in by_case(results):
        console.print(_table(part))
    print_notes(console, (*_legend(results), *notes))


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print what must be known of a table."""
    for note in notes:
        console.print(note, style="dim", highlight=False)


def by_case(results: Sequence[Result]) -> list[list[Result]]:
    """Return the results of each case and number of threads."""
    kinds = dict.fromkeys((r.case, r.threads) for r in results)
    return [[r for r in results if (r.case, r.threads) == kind] for kind in kinds]


def title_of(result: Result) -> str:
    """Return what the results of a case have in common."""
    bytes_each = result.bytes_per_step // result.size.elements
    threads = _count(result.threads, "thread")
    return f"{result.case.title}: {bytes_each} bytes per element\n{threads}"


def table_of(title: str, first: str, heads: Sequence[str]) -> Table:
    """Return an empty table: numbers to the right, heads at the bottom."""
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.show_edge = False
    table.add_column(first, no_wrap=True, vertical="bottom")
    for head in heads:
        table.add_column(head, no_wrap=True, justify="right", vertical="bottom")
    return table


def _table(results: Sequence[Result]) -> Table:
    heads = ("µs/\nstep", "ns/\nelem", "GB/s", "binds", "of it", *(column for _, column in PEERS))
    table = table_of(title_of(results[0]), "elements", heads)
    for r in results:
        ratios = (shown_ratio(r.ratio(name)) for name, _ in PEERS)
        figures = (r.seconds() * 1e6, r.ns_per_element(), r.gb_per_s())
        limit = (shown_limit(r), shown_share(r.reached))
        table.add_row(r.size.label, *map(shown, figures), *limit, *ratios)
    return table


def shown(x: float) -> str:
    """Three digits, more only before the point."""
    digits = 3 if x < 0.1 else 2 if x < 10 else 1 if x < 100 else 0
    return f"{x:.{digits}f}"


def shown_ratio(ratio: float | None) -> str:
    """Return a ratio, or a dash where there is none."""
    return "-" if ratio is None else f"{shown(ratio)}x"


def shown_limit(result: Result) -> str:
    """Return what binds, as columns have room for it."""
    return SHORT.get(result.bounds.binds, result.bounds.binds)


def shown_share(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.0f} %"


def _legend(results: Sequence[Result]) -> list[str]:
    lines = [
        MEDIANS,
        LIMITS,
        f"vs: how many times longer others take than instep. {OTHERS}.",
    ]
    if not any(TORCH in r.names for r in results):
        lines.append("torch is not installed: pip install torch")
    return lines
