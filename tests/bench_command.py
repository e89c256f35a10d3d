"""``instep bench`` as its tests call it."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.testing import CliRunner

bench_module = importlib.import_module("instep.cli.bench")  # the package has the function there
app = typer.Typer()
app.command()(bench_module.bench)


def run(*args: str) -> Any:
    return CliRunner().invoke(app, list(args), env={"COLUMNS": "80"})
