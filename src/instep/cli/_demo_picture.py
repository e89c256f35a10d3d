"""The picture of the demo: losses, and the gradient of each layer with and without clipping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ._demo_train import CLIP, CLIPPED, PLAIN, Recipe, Trained

SIZE, DPI = (15.0, 6.2), 100
COLOURS = ("#D55E00", "#E69F00", "#009E73", "#0072B2", "#56B4E9", "#000000", "#CC79A7")
"""Okabe and Ito's, which the colour-blind can tell apart."""
LOSS_TOP, NORM_TOP = 1e4, 1e6  # what explodes leaves the picture
BOTTOM = 1e-7
SMOOTH = 15

Runs = Sequence[tuple[Recipe, Trained]]


def draw(runs: Runs, path: Path) -> None:
    """Write the picture of the runs to a file."""
    figure = Figure(SIZE, DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    losses, *both = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_losses(losses, runs)
    for axes, recipe in zip(both, (PLAIN, CLIPPED), strict=True):
        _draw_norms(axes, next(run for r, run in runs if r is recipe), recipe)
    bottom = min(axes.get_ylim()[0] for axes in both)
    for axes in both:
        axes.set_ylim(bottom, NORM_TOP)
    figure.savefig(path, format="png")


def _draw_losses(axes: Any, runs: Runs) -> None:
    for (recipe, run), colour in zip(runs, COLOURS, strict=True):
        label = f"{recipe.name}, {recipe.clipping}"
        losses = np.array([v for v in run.losses if np.isfinite(v)])
        if run.accuracy is None:
            axes.plot(_steps(losses), losses, color=colour, lw=2.2, zorder=3)
            _mark_end(axes, losses, LOSS_TOP, f"{label}: diverged at step {len(run.losses)}")
        else:
            axes.plot(*_smoothed(losses), color=colour, lw=1.6, label=label)
    axes.set_title(f"Training loss (geometric mean of {SMOOTH} steps)", pad=12)
    axes.set(ylabel="cross-entropy", yscale="log", ymargin=0.01)
    _finish(axes, LOSS_TOP)
    axes.legend(loc="upper right", fontsize="small")


def _draw_norms(axes: Any, run: Trained, recipe: Recipe) -> None:
    norms = np.array(run.norms)
    diverged = run.accuracy is None
    curve = _as_they_are if diverged else _smoothed
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(run.layers)))
    for layer, values, colour in zip(run.layers, norms.T, colours, strict=True):
        axes.plot(*curve(values), color=colour, lw=1.3, label=layer)
    axes.plot(*curve(run.step_norms), color="black", lw=1.6, label="all layers")
    if diverged:
        _mark_end(axes, run.step_norms, NORM_TOP, f"goes on to {run.largest_norm:.0e}")
    used = "" if recipe.clip else " (not applied)"
    threshold = f"threshold {CLIP.max_norm:g}{used}"
    axes.axhline(CLIP.max_norm, color=COLOURS[0], ls="--", lw=1.6, label=threshold)
    axes.set_title(f"Gradient norm per layer: {recipe.name}, {recipe.clipping}", pad=12)
    axes.set(ylabel="norm before clipping" if recipe.clip else "norm", yscale="log")
    _finish(axes, NORM_TOP)
    axes.legend(loc="upper left" if diverged else "upper right", fontsize="small")


def _steps(values: np.ndarray) -> np.ndarray:
    return np.arange(1, len(values) + 1)


def _as_they_are(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _steps(values), values


def _smoothed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and the running geometric mean, which is what a logarithmic axis shows."""
    width = min(SMOOTH, len(values))
    logs = np.log(np.maximum(values, BOTTOM))
    means = np.exp(np.convolve(logs, np.ones(width) / width, "valid"))
    return np.arange(width, len(values) + 1), means


def _mark_end(axes: Any, values: np.ndarray, top: float, label: str) -> None:
    """Put a cross where a run ended, at the upper border if it is beyond."""
    end = np.fmin(values[-1], top)
    style = {"color": COLOURS[0], "ms": 12, "mew": 3, "clip_on": False, "zorder": 4}
    axes.plot(len(values), end, "x", ls="none", label=label, **style)


def _finish(axes: Any, top: float) -> None:
    axes.set_xlabel("step")
    axes.set_ylim(top=top)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
