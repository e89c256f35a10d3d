"""What the demo prints: a head, a table for each group of recipes, and what its columns say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from instep.data import Dataset

from ._demo_recipes import HALVED_AT, HIDDEN_LAYERS, SLOPE, WIDTH, Group, Recipe
from ._demo_train import BATCH, Trained, same_bits

Row = tuple[Recipe, Trained, Trained]
"""A recipe with its native and its reference run."""

COLUMNS = {
    "change": 17,
    "learn.\nrate": 6,
    "test\naccuracy": 15,
    "largest\ngradient": 8,
    "in first\nlayer": 8,
    "native\nµs": 6,
    "speed-\nup": 6,
    "same\nbits": 4,
}
"""Heads and widths: all tables have the same, 80 with a space between two."""


def show(console: Console, title: str, rows: Mapping[Group, Sequence[Row]], caption: str) -> None:
    """Print a title, the tables, and a caption."""
    console.print(title, highlight=False)
    for k, (group, own) in enumerate(rows.items()):
        console.print(f"\n[bold]{group.head}[/]\n{group.why}", highlight=False)
        console.print(_table(own, show_header=k == 0))
    console.print(caption, highlight=False)


def outcome(run: Trained) -> str:
    """Return what came of a run."""
    if run.accuracy is None:
        return f"diverged at {len(run.losses)}"
    return f"{run.accuracy:.1%}"


def _table(rows: Sequence[Row], *, show_header: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, show_header=show_header
    )
    for k, (head, width) in enumerate(COLUMNS.items()):
        justify = "right" if k else "left"
        table.add_column(head, justify=justify, no_wrap=True, width=width, vertical="bottom")  # type: ignore[arg-type]
    for recipe, native, reference in rows:
        table.add_row(
            recipe.name,
            f"{recipe.lr:g}",
            outcome(native),
            _short(native.norms),
            _short(native.first_norms),
            f"{native.update_us:.0f}",
            _times(reference.update_us / native.update_us),
            "yes" if same_bits(native, reference) else "NO",
            style="red" if native.failed else None,
        )
    return table


def _short(norms: Sequence[float]) -> str:
    """Return the largest; NaN counts for nothing."""
    value = float(np.fmax.reduce(norms))
    return f"{value:.3g}" if 0.01 <= value < 1000 else f"{value:.1e}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"


def title(directory: Path | None, data: Dataset, steps: int, seed: int) -> str:
    """Return what is known before the runs."""
    name = "Handwritten digits (UCI)" if directory is None else f"Images in {directory}"
    counts = f"{len(data.x_train)} to learn from, {len(data.x_test)} to test"
    start = f"Seed {seed}; {steps} steps of {BATCH} images; float32, one thread."
    return f"{name}: {counts}.\n{start}"


def caption(data: Dataset) -> str:
    """Return what the columns and the names of the rows mean."""
    sizes = [data.x_train.shape[1], *[WIDTH] * HIDDEN_LAYERS, data.classes]
    return f"""
Network: {"-".join(map(str, sizes))}, Leaky ReLU with slope {SLOPE} except where it is sigmoids. \
All runs start from the same weights and see the same batches.
Learning rate: constant; lr decay divides it by 1 + t / {HALVED_AT} at step t. What \
normalizes the gradient (standardize, adaptive optimizers) has a rate of its own, and so has \
Nesterov, whose steps grow to 10 times the rate.
Numbers in names: what the norm or element is clipped to (AGC, adaptive gradient clipping: its \
ratio to the weights' norm), the momentum, the variance of the noise (a little where it shall not \
disturb, much where nothing else reaches the first layer).
Largest gradient: of all steps, the norm of all gradients together and that of the first layer's, \
before anything is done to them.
µs: median of opt.step(grads) alone; speed-up: over the reference, which does the same in NumPy, \
operation by operation.
Same bits: both ended with the same weights, bit for bit.
Diverged: at that step the loss was no finite number. Red: that, or less than half of the test \
images right.
"""
