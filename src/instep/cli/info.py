"""``instep info``: what this installation is and uses."""

from __future__ import annotations

import json as json_text
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ._bench_machine import describe


def info(
    *, json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False
) -> None:
    """Show version, instruction sets, threads, their pool, NumPy, Python and platform."""
    facts = describe()
    if json:
        typer.echo(json_text.dumps(facts, indent=1))
        return
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(facts):
        table.add_row(name, value)
    Console().print(table)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("instep", facts["instep"]),
        ("instruction set in use", facts["isa_active"]),
        ("  this CPU has", ", ".join(facts["isa_available"])),
        ("  compiled", ", ".join(facts["isa_compiled"])),
        ("threads of a large step", f"{facts['threads']} (of {facts['cpus']} cores)"),
    ]
    rows += [(f"  {name}", value) for name, value in facts["environment"].items()]
    rows += [("thread pool", facts["thread_pool"]), ("NumPy", facts["numpy"])]
    rows += [("torch", facts["torch"] or "not installed"), ("Python", facts["python"])]
    return [*rows, ("platform", facts["platform"]), ("processor", facts["cpu"])]
