"""What a monitor saw, as a table and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._extras import extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .monitor import GradientMonitor

WIDTH = 80
NAMED = 12  # tensors that a legend has room for
MARKS = {"exploding": ("X", "#D55E00"), "vanishing": ("v", "#0072B2")}
UNSEEN = 1e-300  # a logarithm has no place for 0


def table(monitor: GradientMonitor) -> str:
    """Return a table as wide as a terminal."""
    extra("rich", "GradientMonitor.table")
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    out = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), show_edge=False)
    out.add_column("tensor", overflow="fold", vertical="bottom")
    heads = (
        "last\nnorm",
        "usual\nnorm",
        "largest\nnorm",
        "param.\nnorm",
        "update/\nparam.",
        "steps\nexploded",
        "steps\nvanished",
    )
    for head in heads:
        out.add_column(head, justify="right", no_wrap=True)
    largest = _largest(monitor)
    usual = monitor._recent.medians()
    last = zip(
        monitor.grad_norms, usual, largest, monitor.param_norms, monitor.update_ratios, strict=True
    )
    for i, values in enumerate(last):
        counts = [str(count) for count in monitor._flags[:, i]]
        # A gradient that is not a number has no norm either, but it was there.
        blank = "nan" if monitor._flagged[0, i] else "-"
        out.add_row(monitor.names[i], *(_short(v, blank) for v in values), *counts)
    console = Console(width=WIDTH)
    with console.capture() as captured:
        console.print(out, highlight=False)
    return captured.get()


def _largest(monitor: GradientMonitor) -> np.ndarray:
    values = monitor._history.values[:, 0]
    if not len(values):
        return np.full(len(monitor.names), np.nan)
    largest: np.ndarray = np.fmax.reduce(values)
    return largest


def _short(value: float, blank: str) -> str:
    return blank if np.isnan(value) else f"{value:.1e}"


def plot(monitor: GradientMonitor) -> Figure:
    """Return a picture of the norms of all gradients."""
    extra("matplotlib", "GradientMonitor.plot")
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure((9.0, 5.0), 100, layout="constrained")
    axes = figure.subplots()
    _draw_norms(axes, monitor)
    _mark_events(axes, monitor)
    axes.set(xlabel="step", ylabel="norm of the gradient", yscale="log")
    axes.set_title("Gradients, as they came", loc="left")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
    return figure


def _draw_norms(axes: Any, monitor: GradientMonitor) -> None:
    import matplotlib as mpl  # noqa: PLC0415

    steps, norms = monitor._history.steps, monitor._history.values[:, 0]
    norms = np.where(np.isfinite(norms) & (norms > UNSEEN), norms, np.nan)
    n = len(monitor.names)
    alone = "o" if len(steps) == 1 else None  # a line of one point is not seen
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.92, n))
    for i, (name, colour) in enumerate(zip(monitor.names, colours, strict=True)):
        named = n <= NAMED or i in (0, n - 1)
        label = name if named else None
        axes.plot(steps, norms[:, i], color=colour, lw=1.3, marker=alone, label=label)


def _mark_events(axes: Any, monitor: GradientMonitor) -> None:
    for kind, (mark, colour) in MARKS.items():
        some = [e for e in monitor.events if e.kind == kind]
        if not some:
            continue
        # What is infinite or NaN has its mark where the limit was.
        places = [e.norm if np.isfinite(e.norm) and e.norm > UNSEEN else e.limit for e in some]
        axes.scatter(
            [e.step for e in some], places, marker=mark, s=60, color=colour, edgecolors="white",
            label=kind, zorder=4,
        )  # fmt: skip
