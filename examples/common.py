"""What the examples share: data, a progress bar, and a run with either backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from instep.cli.demo import one_thread
from instep.data import Dataset, load_digits, load_idx

T = TypeVar("T")
BACKENDS = ("native", "reference")


def images(directory: Path | None) -> Dataset:
    """Return scikit-learn's digits, or what is in a directory with MNIST's files."""
    return load_digits() if directory is None else load_idx(directory)


def batches(count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield indices of batches without end, every epoch in a new order."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def with_both(runs: Sequence[T], train: Callable[[T, str], Any], what: str) -> list[Any]:
    """Train each run natively and with the reference; show a bar; see that the bits are equal."""
    jobs = [(run, backend) for run in runs for backend in BACKENDS]
    console = Console(stderr=True)
    shown = track(jobs, what, console=console, transient=True, disable=not console.is_terminal)
    with one_thread():
        done = [train(*job) for job in shown]
    for native, reference in zip(done[::2], done[1::2], strict=True):
        check_same_bits(native.params, reference.params)
    return done[::2]


def check_same_bits(a: Iterable[np.ndarray], b: Iterable[np.ndarray]) -> None:
    """Stop where two backends do not agree to the last bit; a NaN equals a NaN."""
    for p, q in zip(a, b, strict=True):
        bits = f"u{p.itemsize}"
        if not ((p.view(bits) == q.view(bits)) | (np.isnan(p) & np.isnan(q))).all():
            raise SystemExit("native and reference differ")


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], result: str) -> None:
    """Print a table and the result."""
    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"Native and reference: the same bits in every run.\n{result}", highlight=False)
