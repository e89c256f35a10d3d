"""`instep info` shows all that a bug report needs."""

from __future__ import annotations

import json
import os
import platform
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import instep
from instep import _core
from instep.cli.info import info

app = typer.Typer()
app.command()(info)


def run(*args: str, **env: str | None) -> Any:
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "80", **env})
    assert done.exit_code == 0, done.output
    return done


def test_table_has_every_item() -> None:
    text = run(OMP_NUM_THREADS="2", INSTEP_NUM_THREADS="7", INSTEP_ISA=None).stdout
    facts = {
        "instep": instep.__version__,
        "instruction set in use": instep.active_isa(),
        "this CPU has": ", ".join(_core.available_isas()),
        "compiled": ", ".join(_core.compiled_isas()),
        "threads of a large step": f"{instep.get_num_threads()} (of {os.cpu_count()} cores)",
        "OMP_NUM_THREADS": "2",
        "INSTEP_NUM_THREADS": "7",
        "thread pool": _core.threads_library(),
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "platform": platform.platform(),
    }
    lines = [line.strip() for line in text.splitlines()]
    for name, value in facts.items():
        (line,) = (rest for rest in lines if rest.startswith(f"{name} "))
        assert line.removeprefix(name).strip() == value
    assert "INSTEP_ISA" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_what_is_in_use_now_is_shown(every_engine: Any) -> None:
    for _ in every_engine():
        facts = json.loads(run("--json").stdout)
        assert facts["isa_active"] == instep.active_isa()
        assert facts["threads"] == instep.get_num_threads()


def test_json_has_every_item(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = json.loads(run("--json", INSTEP_ISA="v2", OMP_NUM_THREADS=None).stdout)
    assert facts["instep"] == instep.__version__
    assert facts["isa_compiled"] == _core.compiled_isas()
    assert facts["isa_available"] == _core.available_isas()
    assert facts["thread_pool"] == _core.threads_library()
    assert facts["numpy"] == np.__version__
    assert facts["environment"]["INSTEP_ISA"] == "v2"
    assert "OMP_NUM_THREADS" not in facts["environment"]
    assert facts["cpus"] == os.cpu_count()
