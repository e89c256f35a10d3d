"""``instep demo``: gradients that explode and vanish, and each known remedy, on real digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import instep
from instep.data import Dataset, load_digits, load_idx

from . import _demo_train as training
from ._demo_recipes import EVERY, GROUPS, Backend, Group, Recipe
from ._demo_table import Row, caption, show, title
from ._demo_train import Trained

STEPS, QUICK_STEPS = 500, 200


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
        bool, typer.Option("--quick", help=f"{QUICK_STEPS} updates of each run: half a minute.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every optimizer and every transform.")
    ] = False,
    output: Annotated[
        Path, typer.Option(dir_okay=False, metavar="FILE", help="Where the picture goes.")
    ] = Path("instep-demo.png"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of weights and batches.")] = 0,
) -> None:
    """Show why training fails, and what each remedy does about it, on handwritten digits.

    Plain SGD explodes; a network of sigmoids does not learn, as its gradients
    vanish. Each remedy starts from the same weights and sees the same batches,
    natively and with the reference.
    """
    from ._demo_picture import FORMATS, draw  # noqa: PLC0415 - matplotlib takes a second to import

    if not output.parent.is_dir():
        raise typer.BadParameter(f"{output.parent}: no such directory", param_hint="--output")
    if output.suffix not in FORMATS:
        message = f"must end in {' or '.join(FORMATS)}; got {output.name}"
        raise typer.BadParameter(message, param_hint="--output")
    images = _load(data)
    count = steps or (QUICK_STEPS if quick else STEPS)
    with one_thread():
        rows = _train_all(EVERY if every else GROUPS, images, count, seed)
    console = Console()
    show(console, title(data, images, count, seed), rows, caption(images))
    draw(rows, output)
    console.print(f"Picture: {output}", highlight=False, soft_wrap=True)
    if not all(training.same_bits(*both) for own in rows.values() for _, *both in own):
        raise typer.Exit(1)


def _load(directory: Path | None) -> Dataset:
    try:
        images = load_digits() if directory is None else load_idx(directory)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--data") from error
    if len(images.x_train) < 2:  # batch normalization takes the deviation of a batch
        message = f"must have at least 2 images to learn from; got {len(images.x_train)}"
        raise typer.BadParameter(message, param_hint="--data")
    return images


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


def _train_all(
    groups: Sequence[Group], data: Dataset, steps: int, seed: int
) -> dict[Group, list[Row]]:
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
        task = bar.add_task("", total=2 * steps * sum(len(g.recipes) for g in groups))

        def run(recipe: Recipe, backend: Backend) -> Trained:
            bar.update(task, description=f"{recipe.name}: {backend}")
            trained = training.train(recipe, data, steps, seed, backend, lambda: bar.advance(task))
            bar.advance(task, steps - len(trained.seconds))  # what a diverged run leaves undone
            return trained

        return {g: [(r, run(r, "native"), run(r, "reference")) for r in g.recipes] for g in groups}
