"""``instep demo``: train a classifier of handwritten digits with and without clipping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import instep
from instep.data import Dataset, load_digits, load_idx

from . import _demo_train as training
from ._demo_train import RECIPES, Recipe, Trained

STEPS, QUICK_STEPS = 600, 200

Pair = tuple[Recipe, Trained, Trained]
"""A recipe with its native and its reference run."""


def demo(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Images in MNIST's files. Default: scikit-learn's digits."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Updates of each run. Default: {STEPS}.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{QUICK_STEPS} updates of each run: some seconds.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every optimizer and every transform.")
    ] = False,
    output: Annotated[
        Path, typer.Option(dir_okay=False, metavar="FILE", help="Where the picture goes.")
    ] = Path("instep-demo.png"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of weights and batches.")] = 0,
) -> None:
    """Train a classifier of digits in seven ways, each natively and with the reference.

    Plain SGD explodes. The same SGD with its gradients clipped, from the same weights and with the
    same batches, does not.
    """
    from ._demo_picture import draw  # noqa: PLC0415 - matplotlib takes a second to import

    if not output.parent.is_dir():
        raise typer.BadParameter(f"{output.parent}: no such directory", param_hint="--output")
    images = _load(data)
    count = steps or (QUICK_STEPS if quick else STEPS)
    console = Console()
    recipes = training.EVERY if every else RECIPES
    with one_thread():
        pairs = _train_all(recipes, images, count, seed)
    console.print(_title(data, images, count, seed), highlight=False)
    console.print(_table(pairs))
    console.print(_caption(images, count), highlight=False)
    draw([(recipe, native) for recipe, native, _ in pairs[: len(RECIPES)]], output)
    console.print(f"Picture: {output}", highlight=False, soft_wrap=True)
    if not all(training.same_bits(native, reference) for _, native, reference in pairs):
        raise typer.Exit(1)


def _load(directory: Path | None) -> Dataset:
    try:
        return load_digits() if directory is None else load_idx(directory)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--data") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread for matrix products and one for instep.

    The arrays are small, and two pools whose threads wait in turn would slow each other down.
    """
    from threadpoolctl import (  # type: ignore[import-untyped]  # noqa: PLC0415
        threadpool_limits,
    )

    before = instep.get_num_threads()
    instep.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        instep.set_num_threads(before)


def _train_all(recipes: Sequence[Recipe], data: Dataset, steps: int, seed: int) -> list[Pair]:
    columns = (
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=2 * steps * len(recipes))

        def run(recipe: Recipe, backend: training.Backend) -> Trained:
            bar.update(task, description=f"{recipe.name}, {recipe.clipping}: {backend}")
            trained = training.train(recipe, data, steps, seed, backend, lambda: bar.advance(task))
            bar.advance(task, steps - len(trained.seconds))  # what a diverged run leaves undone
            return trained

        return [(r, run(r, "native"), run(r, "reference")) for r in recipes]


def outcome(run: Trained) -> str:
    """Return what came of a run."""
    if run.accuracy is None:
        return f"diverged at {len(run.losses)}"
    return f"{run.accuracy:.1%}"


def _table(pairs: Sequence[Pair]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for head in ("optimizer", "gradient"):
        table.add_column(head, vertical="bottom", no_wrap=True)
    heads = (
        "peak\nlr",
        "test\naccuracy",
        "largest\nnorm",
        "native\nµs",
        "refer-\nence µs",
        "speed-\nup",
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("same\nbits", justify="right", no_wrap=True)
    for recipe, native, reference in pairs:
        table.add_row(
            recipe.name,
            recipe.clipping,
            f"{recipe.peak_lr:g}",
            outcome(native),
            _short(native.largest_norm),
            f"{native.update_us:.0f}",
            f"{reference.update_us:.0f}",
            _times(reference.update_us / native.update_us),
            "yes" if training.same_bits(native, reference) else "NO",
            style="red" if native.accuracy is None else None,
        )
    return table


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.1e}"


def _title(directory: Path | None, data: Dataset, steps: int, seed: int) -> str:
    name = "Handwritten digits (UCI)" if directory is None else f"Images in {directory}"
    counts = f"{len(data.x_train)} to learn from, {len(data.x_test)} to test"
    start = f"Seed {seed}; {steps} steps of {training.BATCH} images; float32, one thread."
    return f"{name}: {counts}.\n{start}\n"


def _caption(data: Dataset, steps: int) -> str:
    sizes = [data.x_train.shape[1], *[training.WIDTH] * training.HIDDEN_LAYERS, data.classes]
    return f"""
Network: {"-".join(map(str, sizes))}, leaky ReLU. All runs start from the same weights and see the \
same batches.
Learning rate: rises for {training.warm_up(steps)} steps to its peak, then falls to 0, both in \
a line.
Gradient: clipped element by element to a value, or by the norm of each array or row, or by the \
norm of all together (global); or what else is done to it.
Largest norm: of all gradients together, before clipping.
µs: median of opt.step(grads) alone. The reference does the same in NumPy, operation by operation.
Same bits: both backends ended with the same weights, bit for bit.
"""
