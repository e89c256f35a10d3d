"""``instep bench``: how fast a step is, beside its peers and the limit of the machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from . import _bench_every
from ._bench_cases import CASES, SIZES, Case, Size, memory_needed
from ._bench_check import CheckError
from ._bench_machine import available_memory, describe, load, today
from ._bench_plot import plot, plot_forms
from ._bench_run import Result, run
from ._bench_table import heading, show

QUICK_ELEMENTS, QUICK_REPEATS = 100_000, 3
FULL_ELEMENTS, FULL_REPEATS = 64_000_000, 9
EVERY_REPEATS = 15
MEMORY = 12 * 2**30  # bytes

CaseName = StrEnum("CaseName", [(c.name, c.name) for c in CASES])  # type: ignore[misc]


class Dtype(StrEnum):
    """The dtypes that can be measured."""

    float32 = "float32"
    float64 = "float64"


def bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="At most 1e5 elements and 3 repeats: some seconds.")
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every optimizer and transform, at 1.6e7 and 1e6 elements."),
    ] = False,
    case: Annotated[
        list[CaseName] | None, typer.Option(help="Which case; may be given again. Default: all.")
    ] = None,
    max_elements: Annotated[
        int | None, typer.Option(min=10, help="The largest size. Default: 6.4e7.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Samples of each contestant. Default: 9.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of all arrays.")] = Dtype.float32,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write all figures to this file.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", dir_okay=False, help="Draw a picture to this file.")
    ] = None,
) -> None:
    """Compare a step of instep with NumPy, torch and the limit of this machine.

    Every result is checked before it is timed. The limit is measured in the same run, by a loop
    with the same traffic and no arithmetic. All figures are medians, taken in turn.
    """
    _check_files(json_file, plot_file)
    if every:
        others = {"--case": case, "--max-elements": max_elements, "--plot": plot_file}
        _refuse_beside_all([name for name, value in others.items() if value])
        _every(json_file, quick=quick, repeats=repeats)
        return
    cases = [c for c in CASES if not case or c.name in case]
    most = max_elements or (QUICK_ELEMENTS if quick else FULL_ELEMENTS)
    sizes, notes = _fitting(cases, [s for s in SIZES if s.elements <= most], dtype.value)
    samples = repeats or (QUICK_REPEATS if quick else FULL_REPEATS)
    notes += _busy()
    results = _run(cases, sizes, dtype.value, samples)
    machine, date = describe(), today()
    console = Console()
    title = heading(machine, dtype.value, date)
    console.print(title, highlight=False)
    show(console, results, notes)
    if json_file:
        settings = {"dtype": dtype.value, "repeats": samples}
        _write(json_file, {"date": date, "machine": machine, **settings, "notes": notes}, results)
    if plot_file:
        plot(results, plot_file, "\n".join([title, *notes]))


def _refuse_beside_all(names: Sequence[str]) -> None:
    if names:
        raise typer.BadParameter(f"--all has sizes and cases of its own; got {', '.join(names)}")


def _every(json_file: Path | None, *, quick: bool, repeats: int | None) -> None:
    large, middle = (Size("1e5", 1, 100_000), Size("1e5", 1, 100_000, rows=100))
    if not quick:
        large, middle = Size("1.6e7", 1, 16_000_000), Size("1e6", 1, 1_000_000, rows=1000)
    notes = _busy()
    samples = repeats or (QUICK_REPEATS if quick else EVERY_REPEATS)
    with _progress(_bench_every.steps_to_take()) as begin:
        optimizers, transforms = _bench_every.every(large, middle, samples, begin)
    machine, date, console = describe(), today(), Console()
    console.print(heading(machine, "float32", date), highlight=False)
    _bench_every.show(console, optimizers, transforms, notes)
    if json_file:
        results = [r for pair in optimizers for r in pair] + transforms
        settings = {"dtype": "float32", "repeats": samples}
        _write(json_file, {"date": date, "machine": machine, **settings, "notes": notes}, results)


def _check_files(json_file: Path | None, plot_file: Path | None) -> None:
    """Refuse what could not be written after minutes of measuring."""
    for option, file in (("--json", json_file), ("--plot", plot_file)):
        if file and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"{option}: there is no directory {file.absolute().parent}")
    if plot_file and plot_file.suffix[1:] not in plot_forms():
        known = ", ".join(plot_forms())
        raise typer.BadParameter(f"--plot: must end in one of {known}; got {plot_file.name!r}")


def _fitting(
    cases: Sequence[Case], sizes: Sequence[Size], dtype: str
) -> tuple[list[Size], list[str]]:
    """Return the sizes for which there is memory, and a note on each of the others."""
    limit = min(MEMORY, 0.9 * available_memory())
    need = {s: max(memory_needed(c, s, dtype) for c in cases) for s in sizes}
    notes = [
        f"{s.label} elements left out: needs {need[s] / 2**30:.1f} GiB, may use {limit / 2**30:.1f}"
        for s in sizes
        if need[s] > limit
    ]
    if len(notes) == len(sizes):
        raise typer.BadParameter("; ".join(notes))
    return [s for s in sizes if need[s] <= limit], notes


def _busy() -> list[str]:
    if load() < 0.5:
        return []
    return [f"Other programs were running (load {load():.1f}): take the figures with caution."]


def _run(cases: Sequence[Case], sizes: Sequence[Size], dtype: str, repeats: int) -> list[Result]:
    with _progress(2 * len(cases) * len(sizes)) as begin:
        return run(cases, sizes, dtype, repeats, begin)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show how far it is; a failed check ends the command with its message."""
    columns = (BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}"))
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda what: bar.update(task, description=what, advance=1)
    except CheckError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(1) from None


def _write(path: Path, head: dict[str, Any], results: Sequence[Result]) -> None:
    document = {**head, "results": [r.as_json() for r in results]}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
