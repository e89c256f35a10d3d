"""The picture of ``instep bench --peers``: over size, over the number of arrays, for a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ._bench_run import Result
from ._bench_sizes import GPT2, LISTS, Size

INSTEP, LIMIT = "instep", "limit of this machine"
LEAST_WIDTH = 7.0  # inches: a single panel is narrower than what is said above it


class Line(NamedTuple):
    """A package: its contestants, of which the fastest is drawn, and its look."""

    names: tuple[str, ...]
    color: str
    marker: str


# Colours that people of any colour vision can tell apart (Okabe and Ito), and a shape for each.
LINES = {
    "NumPy": Line(("numpy_temporaries",), "#E69F00", "s"),
    "NumPy out=": Line(("numpy_out",), "#009E73", "D"),
    "thinc": Line(("thinc",), "#999999", "P"),
    "JAX + optax": Line(("jax",), "#CC79A7", "v"),
    "torch": Line(("torch_default", "torch_foreach", "torch_fused"), "#D55E00", "^"),
    "DeepSpeed": Line(("deepspeed",), "#F0E442", "X"),
    "numba": Line(("numba", "numba_fastmath"), "#56B4E9", "<"),
    INSTEP: Line(("instep",), "#0072B2", "o"),
}


def plot_peers(
    results: Sequence[Result], path: Path, subtitle: str, notes: Sequence[str] = ()
) -> None:
    """Draw what was measured with the most threads; the form follows from the name of the file.

    Of packages with several ways (torch's three optimizers, numba with and without fastmath) the
    fastest is drawn at each size.

    Parameters
    ----------
    results : sequence of Result
        What :func:`run` returned.
    path : Path
        Where to write the picture.
    subtitle : str
        What the figures depend on.
    notes : sequence of str
        They belong to the table; here is no room for them.

    Raises
    ------
    ValueError, OSError
        If the form is unknown to matplotlib, or the file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants a picture needs it

    del notes
    threads = max(r.threads for r in results)
    of_most = [r for r in results if r.threads == threads]
    cases = list(dict.fromkeys(r.case for r in of_most))
    here = [panel for panel in PANELS if any(panel.shows(r.size) for r in of_most)]
    width, height = max(LEAST_WIDTH, 1 + 4.4 * len(here)), 1.2 + 4.6 * len(cases)
    figure = Figure(figsize=(width, height), layout="constrained")
    rows = figure.subplots(len(cases), len(here), squeeze=False)
    for row, case in zip(rows, cases, strict=True):
        for axes, panel in zip(row, here, strict=True):
            panel.draw(axes, [r for r in of_most if r.case == case and panel.shows(r.size)])
        row[0].set_title(case.title, loc="left", fontweight="bold")
    handles, labels = rows[0][0].get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside lower center",
        ncols={1: 3, 2: 5}.get(len(here), 9),
        frameon=False,
    )
    figure.suptitle(f"Time of an optimizer step (lower is faster)\n{subtitle}", fontsize=11)
    figure.savefig(path, dpi=150)


def fastest(result: Result, line: str) -> float | None:
    """Return the seconds of the fastest of a package, or of the limit; None without any.

    They are ratios, of those who took turns, times instep's seconds: between groups the speed of
    a shared machine changes.
    """
    if line == LIMIT:
        return max(result.bounds)
    ratios = [result.ratio(name) for name in LINES[line].names]
    here = [ratio * result.seconds() for ratio in ratios if ratio is not None]
    return min(here, default=None)


def _over_size(axes: Any, results: Sequence[Result]) -> None:
    _lines(axes, results, lambda r: r.size.elements, lambda r, s: s * 1e9 / r.size.elements)
    axes.set(xlabel="elements in one array", ylabel="ns per element")


def _over_tensors(axes: Any, results: Sequence[Result]) -> None:
    _lines(axes, results, lambda r: r.size.tensors, lambda r, s: s * 1e6 / r.size.tensors)
    axes.set(xlabel="arrays of 64 elements", ylabel="µs per array")


def _lines(
    axes: Any,
    results: Sequence[Result],
    across: Callable[[Result], int],
    up: Callable[[Result, float], float],
) -> None:
    axes.set(xscale="log", yscale="log")
    axes.grid(which="major", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    for line in (*LINES, LIMIT):
        seconds = [(r, fastest(r, line)) for r in results]
        points = [(across(r), up(r, s)) for r, s in seconds if s is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=line, **_look(line))


def _look(line: str) -> dict[str, Any]:
    if line == LIMIT:
        return {"color": "black", "linestyle": "--", "linewidth": 1.6, "zorder": 4}
    strong = {"linewidth": 3.5, "markersize": 7, "zorder": 3} if line == INSTEP else {}
    look = LINES[line]
    edge = {"markeredgecolor": "0.3", "markeredgewidth": 0.5}
    return {"color": look.color, "marker": look.marker, "markersize": 5, **edge, **strong}


def _model(axes: Any, results: Sequence[Result]) -> None:
    """Draw a bar for each package, the fastest above, and a line at the limit."""
    for r in results:
        limit = max(r.bounds) * 1e3
        times = [(s, line) for line in LINES if (s := fastest(r, line)) is not None]
        for y, (s, line) in enumerate(sorted(times)):
            axes.barh(y, s * 1e3, color=LINES[line].color)
            bold = {"fontweight": "bold"} if line == INSTEP else {}
            after = max(s * 1e3, limit)
            axes.annotate(f" {line}: {s * 1e3:.0f} ms", (after, y), va="center", **bold)
        axes.axvline(limit, color="black", linestyle="--", label=LIMIT)
        axes.invert_yaxis()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set(yticks=[], xlabel="ms for a step of GPT-2 small: 148 arrays, 1.24e8 elements")
        axes.set_xlim(right=1.6 * max(times)[0] * 1e3)


class Panel(NamedTuple):
    """A column of the picture."""

    shows: Callable[[Size], bool]
    draw: Callable[[Any, Sequence[Result]], None]


PANELS = (
    Panel(lambda size: size.tensors == 1 and size not in LISTS, _over_size),
    Panel(lambda size: size in LISTS, _over_tensors),
    Panel(lambda size: size == GPT2, _model),
)
