"""The tables of ``instep bench --peers``: instep and its limits, then how long others take."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ._bench_run import Result
from ._bench_table import (
    LIMITS,
    MEDIANS,
    by_case,
    print_notes,
    shown,
    shown_share,
    table_of,
    title_of,
)

HEADS = {
    "torch_default": "torch",
    "torch_foreach": "fore-\neach",
    "torch_fused": "torch\nfused",
    "numba": "numba",
    "numba_fastmath": "numba\nfast",
    "jax": "JAX",
    "thinc": "thinc",
    "deepspeed": "Deep-\nSpeed",
    "numpy_temporaries": "NumPy",
    "numpy_out": "NumPy\nout=",
}

LEGEND = (
    MEDIANS,
    LIMITS,
    (
        "Others: how many times longer they take than instep. torch: as it chooses by itself, with "
        "foreach=True, with fused=True; numba: parallel loop, also with fastmath; JAX: a compiled "
        "optax step with donated buffers; NumPy: with temporaries, and in blocks with out=."
    ),
    "a x b: a arrays of b elements. gpt2: the 148 parameters of GPT-2 small, 1.24e8 elements.",
)


def show(console: Console, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
    """Print two tables for each case and number of threads, and what their columns mean."""
    for part in by_case(results):
        console.print(_limits(part))
        console.print(_others(part))
    print_notes(console, (*LEGEND, *notes))


def _limits(results: Sequence[Result]) -> Table:
    heads = ("µs a\nstep", "ns", "call", "traffic", "arith-\nmetic", "binds", "of it")
    table = table_of(f"{title_of(results[0])}, ns per element", "elements", heads)
    for r in results:
        bounds = (shown(b * 1e9 / r.size.elements) for b in r.bounds)
        own = (shown(r.seconds() * 1e6), shown(r.ns_per_element()))
        table.add_row(r.size.label, *own, *bounds, r.bounds.binds, shown_share(r.reached))
    return table


def _others(results: Sequence[Result]) -> Table:
    here = [name for name in HEADS if any(name in r.names for r in results)]
    table = table_of("times as long as instep", "elements", [HEADS[name] for name in here])
    for r in results:
        table.add_row(r.size.label, *(_times(r.ratio(name)) for name in here))
    return table


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else shown(ratio)
