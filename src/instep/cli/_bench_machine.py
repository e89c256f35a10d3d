"""What a figure depends on: the machine and the versions of everything."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import instep
from instep import _core

VARIABLES = ("INSTEP_ISA", "INSTEP_NUM_THREADS", "OMP_NUM_THREADS")


def describe() -> dict[str, Any]:
    """Return everything by name, as JSON has it."""
    return {
        "instep": instep.__version__,
        "isa_active": instep.active_isa(),
        "isa_available": _core.available_isas(),
        "isa_compiled": _core.compiled_isas(),
        "threads": instep.get_num_threads(),
        "cpus": os.cpu_count(),
        "thread_pool": _core.threads_library(),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "numpy": np.__version__,
        "torch": _torch_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
    }


def today() -> str:
    """Return the day and time, in universal time."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _torch_version() -> str | None:
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Return the processor's name for itself, or its architecture."""
    listing = _lines("/proc/cpuinfo")
    return listing.get("model name") or platform.processor() or platform.machine()


def load() -> float:
    """Return how many programs want to run, averaged over a minute; 0 where nobody says."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def available_memory() -> float:
    """Return how many bytes can be had without swapping; infinity where nobody says."""
    listing = _lines("/proc/meminfo")
    return int(listing["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in listing else np.inf


def _lines(path: str) -> dict[str, str]:
    """Read ``name: value`` lines; nothing where there is no such file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
