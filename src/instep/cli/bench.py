"""``instep bench``: how fast a step is, beside its peers and the limit of the machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import instep

from . import _bench_every, _bench_peers, _bench_peers_table
from ._bench_cases import CASES, Case, memory_needed
from ._bench_check import CheckError
from ._bench_contestants import contestants
from ._bench_machine import available_memory, describe, load, today
from ._bench_peers_plot import plot_peers
from ._bench_plot import plot, plot_forms
from ._bench_run import Class, Result, Settings, run
from ._bench_sizes import LISTS, PEER_SIZES, SIZES, Size, one
from ._bench_table import heading, show

QUICK_ELEMENTS, QUICK_REPEATS = 100_000, 3
FULL_REPEATS = 9
EVERY_REPEATS = 15
ALONE = 20_000_000  # elements: above, one thread takes longer than people wait
MEMORY = 10 * 2**30  # bytes; peers hold more than they name: 18 GiB filled a machine of 24

CaseName = StrEnum("CaseName", [(c.name, c.name) for c in CASES])  # type: ignore[misc]


LABELS = dict.fromkeys(s.label for s in (*PEER_SIZES, *SIZES))
SizeName = StrEnum("SizeName", [(label, label) for label in LABELS])  # type: ignore[misc]


class Mode(NamedTuple):
    """What is compared with whom."""

    cases: tuple[str, ...]
    sizes: tuple[Size, ...]
    quick: tuple[Size, ...]
    among: Callable[[], tuple[list[Class], list[str]]]
    """Return who competes, and notes on those who cannot."""
    threads: Callable[[], set[int]]
    in_groups: bool
    """Whether those for whom there is no memory together are measured in groups."""
    show: Callable[[Console, Sequence[Result], Sequence[str]], None]
    plot: Callable[[Sequence[Result], Path, str, Sequence[str]], None]


ORDINARY = Mode(
    cases=tuple(c.name for c in CASES),
    sizes=SIZES,
    quick=tuple(s for s in SIZES if s.elements <= QUICK_ELEMENTS),
    among=lambda: (contestants(), []),
    threads=lambda: {instep.get_num_threads()},
    in_groups=False,
    show=show,
    plot=plot,
)
PEERS = Mode(
    cases=("adam", "adamw-clip"),
    sizes=PEER_SIZES,
    quick=(*SIZES[:2], SIZES[3], LISTS[0], LISTS[2]),
    among=_bench_peers.peers,
    threads=lambda: {1, instep.get_num_threads()},
    in_groups=True,
    show=_bench_peers_table.show,
    plot=plot_peers,
)


class Dtype(StrEnum):
    """The dtypes that can be measured."""

    float32 = "float32"
    float64 = "float64"


def bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="At most 1e5 elements and 3 repeats: half a minute.")
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every optimizer, up to 1.6e7 elements, and transform, at 1e6."),
    ] = False,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="With all other packages, on 1 thread and on all: minutes."),
    ] = False,
    case: Annotated[
        list[CaseName] | None, typer.Option(help="Which case; may be given again. Default: all.")
    ] = None,
    size: Annotated[
        list[SizeName] | None, typer.Option(help="Which size; may be given again. Default: all.")
    ] = None,
    max_elements: Annotated[
        int | None, typer.Option(min=10, help="The largest size. Default: 6.4e7; of peers 1e8.")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="So many threads; may be given again.")
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
    """Compare a step of instep with NumPy, torch and the limits of this machine.

    Every result is checked before it is timed. The limits are measured in the
    same run: a call, a loop with the same traffic and no arithmetic, the
    arithmetic in the nearest cache. All figures are medians, taken in turn.
    """
    _check_files(json_file, plot_file)
    if every:
        others: dict[str, object] = {
            "--peers": peers,
            "--case": case,
            "--size": size,
            "--max-elements": max_elements,
        }
        others |= {"--threads": threads, "--plot": plot_file}
        _refuse_beside_all([name for name, value in others.items() if value])
        _every(json_file, quick=quick, repeats=repeats)
        return
    mode = PEERS if peers else ORDINARY
    cases = [c for c in CASES if (c.name in case if case else c.name in mode.cases)]
    offered = mode.quick if quick and not size else mode.sizes
    most = max_elements or max(s.elements for s in offered)
    wanted = [s for s in offered if s.elements <= most and (not size or s.label in size)]
    samples = repeats or (QUICK_REPEATS if quick else FULL_REPEATS)
    settings = Settings(samples, tuple(threads or mode.threads()), dtype=dtype.value)
    if peers and not threads:
        settings = replace(settings, alone=ALONE)
    _measure_and_report(mode, cases, wanted, settings, (json_file, plot_file))


def _refuse_beside_all(names: Sequence[str]) -> None:
    if names:
        raise typer.BadParameter(f"--all has sizes and cases of its own; got {', '.join(names)}")


def _measure_and_report(
    mode: Mode,
    cases: Sequence[Case],
    wanted: Sequence[Size],
    settings: Settings,
    files: tuple[Path | None, Path | None],
) -> None:
    machine = describe()  # fails, if it does, before minutes of measuring
    among, notes = mode.among()
    memory = min(MEMORY, 0.9 * available_memory())
    at_once = 2 if mode.in_groups else len(among)
    sizes, too_large = _fitting(cases, wanted, settings.dtype, at_once, memory)
    notes += _bench_peers.left_out(among, cases, sizes, settings.dtype, settings.threads)
    notes += [*too_large, *_busy()]
    if any(n == 1 and s.elements > settings.alone for n in settings.threads for s in sizes):
        notes.append(f"1 thread: up to {settings.alone:.0e} elements; for more add --threads 1")
    with _progress(len(cases) * len(sizes) * len(settings.threads)) as begin:
        results = run(cases, sizes, among, replace(settings, memory=memory, progress=begin))
    title = _report(machine, results, notes, settings, mode.show, files[0])
    if files[1]:
        mode.plot(results, files[1], title, notes)


def _every(json_file: Path | None, *, quick: bool, repeats: int | None) -> None:
    sizes, middle = [one("1e3", 1000), one("1e5", 100_000)], one("1e5", 100, 1000)
    if not quick:
        sizes += [one("1e6", 1_000_000), one("1.6e7", 16_000_000)]
        middle = one("1e6", 1000, 1000)
    machine, notes = describe(), _busy()
    samples = repeats or (QUICK_REPEATS if quick else EVERY_REPEATS)
    settings = Settings(samples, (instep.get_num_threads(),))
    with _progress(_bench_every.steps_to_take(sizes)) as begin:
        results = _bench_every.every(sizes, middle, replace(settings, progress=begin))
    _report(machine, results, notes, settings, _bench_every.show, json_file)


def _report(
    machine: dict[str, Any],
    results: Sequence[Result],
    notes: Sequence[str],
    settings: Settings,
    show_table: Callable[[Console, Sequence[Result], Sequence[str]], None],
    json_file: Path | None,
) -> str:
    """Print and write everything; return what the figures depend on."""
    date, console = today(), Console()
    title = heading(machine, settings.dtype, date)
    console.print(title, highlight=False)
    show_table(console, results, notes)
    if json_file:
        head: dict[str, Any] = {"date": date, "machine": machine, "dtype": settings.dtype}
        head |= {"repeats": settings.repeats, "threads": list(settings.threads), "notes": notes}
        _write(json_file, head, results)
    return title


def _check_files(json_file: Path | None, plot_file: Path | None) -> None:
    """Refuse what could not be written after minutes of measuring."""
    for option, file in (("--json", json_file), ("--plot", plot_file)):
        if file and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"{option}: there is no directory {file.absolute().parent}")
    if plot_file and plot_file.suffix[1:] not in plot_forms():
        known = ", ".join(plot_forms())
        raise typer.BadParameter(f"--plot: must end in one of {known}; got {plot_file.name!r}")


def _fitting(
    cases: Sequence[Case], sizes: Sequence[Size], dtype: str, contestants: int, limit: float
) -> tuple[list[Size], list[str]]:
    """Return the sizes for which there is memory, and a note on each of the others."""
    need = {s: max(memory_needed(c, s, dtype, contestants) for c in cases) for s in sizes}
    notes = [
        f"{s.label} elements left out: needs {need[s] / 2**30:.1f} GiB, may use {limit / 2**30:.1f}"
        for s in sizes
        if need[s] > limit
    ]
    if len(notes) == len(sizes):
        raise typer.BadParameter("; ".join(notes) or "--max-elements: below every size asked for")
    return [s for s in sizes if need[s] <= limit], notes


def _busy() -> list[str]:
    if load() < 0.5:
        return []
    return [f"Other programs were running (load {load():.1f}): take the figures with caution."]


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
