"""The picture: time per element over size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._bench_cases import Case
from ._bench_contestants import Idiom, Native, Reference, Tuned
from ._bench_run import Result
from ._bench_table import TORCH

# Colours that people of any colour vision can tell apart (Okabe and Ito), and a shape for each.
STYLES: dict[str, dict[str, Any]] = {
    Native.name: {"label": "instep", "color": "#0072B2", "marker": "o", "linewidth": 3},
    TORCH: {"label": "torch fused", "color": "#D55E00", "marker": "^"},
    Tuned.name: {"label": "NumPy out=", "color": "#009E73", "marker": "D"},
    Idiom.name: {"label": "NumPy", "color": "#E69F00", "marker": "s"},
    Reference.name: {"label": "reference", "color": "#CC79A7", "marker": "v"},
    "limit": {"label": "limit of this machine", "color": "black", "linestyle": "--"},
}
LEGEND_COLUMNS = {1: 2, 2: 3}  # for so many panels; one row where there are three


def plot_forms() -> list[str]:
    """Return how the name of a picture may end."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants a picture needs it

    return sorted(Figure().canvas.get_supported_filetypes())


def plot(results: Sequence[Result], path: Path, subtitle: str, notes: Sequence[str]) -> None:
    """Draw a panel for each case; the form follows from the name of the file.

    Parameters
    ----------
    results : sequence of Result
        What :func:`run` returned.
    path : Path
        Where to write the picture.
    subtitle : str
        What the figures depend on.
    notes : sequence of str
        What else the reader must know.

    Raises
    ------
    ValueError, OSError
        If the form is unknown to matplotlib, or the file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants a picture needs it

    cases = list(dict.fromkeys(r.case for r in results))
    figure = Figure(figsize=(1.2 + 4.2 * len(cases), 5.6), layout="constrained")
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    for axes, case in zip(panels, cases, strict=True):
        _panel(axes, case, [r for r in results if r.case == case])
    panels[0].set_ylabel("ns per element (log; lower is faster)")
    handles, labels = panels[0].get_legend_handles_labels()
    columns = LEGEND_COLUMNS.get(len(cases), len(STYLES))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    title = "\n".join(["Time of an optimizer step", subtitle, *notes])
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=150)


def height(result: Result, name: str) -> float | None:
    """Return the ns for each element of a contestant or of the limit; None if it is not there."""
    if name == "limit":
        return max(result.bounds) * 1e9 / result.size.elements
    return result.ns_per_element(name) if name in result.names else None


def _panel(axes: Any, case: Case, results: Sequence[Result]) -> None:
    single = [r for r in results if r.size.tensors == 1]
    lists = [r for r in results if r.size.tensors > 1]
    for name, style in STYLES.items():
        line = {"linewidth": 1.6, "markersize": 5, **style}
        points = [(r.size.elements, height(r, name)) for r in single]
        drawn = [(x, y) for x, y in points if y is not None]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), **line)
    for r in lists:
        _list_of_tensors(axes, r)
    xlabel = "elements (log)" + ("; hollow: 1000 arrays of 64" if lists else "")
    axes.set(title=case.title, xscale="log", yscale="log", xlabel=xlabel)
    axes.grid(which="major", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def _list_of_tensors(axes: Any, result: Result) -> None:
    """Draw hollow marks, not joined to the lines of single arrays."""
    for name, style in STYLES.items():
        y = height(result, name)
        if y is not None:
            mark = {"marker": style.get("marker", "_"), "markeredgecolor": style["color"]}
            axes.plot(
                result.size.elements, y, markerfacecolor="white", markersize=8, linestyle="", **mark
            )
