"""The picture of the demo: gradients that explode and vanish, their cures, and all accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import _demo_recipes as recipes
from ._demo_recipes import Group, Recipe
from ._demo_table import Row, outcome
from ._demo_train import Trained

FORMATS = (".png", ".svg", ".pdf")
SIZE, DPI = (16.0, 7.2), 100
COLOURS = ("#D55E00", "#E69F00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7")
"""Okabe and Ito's, which the colour-blind can tell apart; the first is for what fails."""
EXPLODING = (
    recipes.PLAIN,
    recipes.DECAYED,
    recipes.NESTEROV,
    recipes.CLIPPED,
    recipes.ADAM,
)
VANISHING = (
    recipes.STUCK,
    recipes.STUCK_NOISE,
    recipes.STUCK_ADAM,
    recipes.RESIDUAL,
    recipes.BATCH_NORM,
    recipes.LEAKY_RELU,
)
TOP = 1e5  # what explodes leaves the picture
BOTTOM = 1e-9
SMOOTH = 15


def draw(rows: Mapping[Group, Sequence[Row]], path: Path) -> None:
    """Write the picture of the runs to a file."""
    runs = {recipe: run for own in rows.values() for recipe, run, _ in own}
    figure = Figure(SIZE, DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    exploding, vanishing, bars = figure.subplots(1, 3, width_ratios=(1, 1, 0.85))
    _draw_norms(exploding, {r: (runs[r], runs[r].norms) for r in EXPLODING})
    exploding.set_title("Exploding: norm of all gradients", pad=12)
    _draw_norms(vanishing, {r: (runs[r], runs[r].first_norms) for r in VANISHING})
    vanishing.set_title("Vanishing: norm of the first layer's gradient", pad=12)
    _draw_accuracies(bars, rows)
    figure.savefig(path)


def _draw_norms(axes: Any, runs: Mapping[Recipe, tuple[Trained, Sequence[float]]]) -> None:
    for (recipe, (run, norms)), colour in zip(runs.items(), COLOURS, strict=False):
        style = {"color": colour, "lw": 1.6 if recipe.reaches else 2.6}
        label = f"{recipe.name}: {outcome(run)}"
        steps = np.arange(1, len(norms) + 1)
        if run.accuracy is None:
            axes.plot(steps, norms, **style, zorder=3)
            _mark_end(axes, norms, label, colour)
        else:
            axes.plot(steps, _smoothed(norms), **style, label=label)
    axes.set(
        xlabel="step",
        xscale="log",
        yscale="log",
        ylabel=f"norm (mean of {SMOOTH} steps unless diverged)",
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(top=min(axes.get_ylim()[1], TOP))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", fontsize="small", title="test accuracy")


def _smoothed(norms: Sequence[float]) -> np.ndarray:
    """Return the running geometric mean, which is what a logarithmic axis shows."""
    window = np.ones(min(SMOOTH, len(norms)))
    logs = np.log(np.maximum(norms, BOTTOM))
    count = np.convolve(np.ones(len(norms)), window, "same")  # fewer at both ends
    mean: np.ndarray = np.exp(np.convolve(logs, window, "same") / count)
    return mean


def _mark_end(axes: Any, norms: Sequence[float], label: str, colour: str) -> None:
    """Put a cross where a run ended, at the upper border if it is beyond."""
    style = {"color": colour, "ms": 12, "mew": 3, "clip_on": False, "zorder": 4}
    axes.plot(len(norms), np.fmin(norms[-1], TOP), "x", ls="none", label=label, **style)


def _draw_accuracies(axes: Any, rows: Mapping[Group, Sequence[Row]]) -> None:
    names: list[str] = []
    for group, own in rows.items():
        head, _, _ = group.head.partition(":")
        axes.text(0, len(names), head, va="center", fontsize="small", weight="bold")
        names.append("")
        for recipe, run, _ in own:
            _draw_bar(axes, len(names), run)
            names.append(recipe.name)
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1.15), ylim=(len(names) - 0.5, -0.7))
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.set_title("Accuracy on the test images", pad=12)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bar(axes: Any, at: int, run: Trained) -> None:
    width, colour = run.accuracy or 0, COLOURS[0 if run.failed else 4]
    axes.barh(at, width, color=colour, height=0.75)
    style = {"color": colour} if run.failed else {}
    axes.text(width + 0.01, at, outcome(run), va="center", fontsize="x-small", **style)
