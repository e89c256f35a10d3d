"""In-place optimizer steps and gradient clipping, in step with their NumPy reference."""

from __future__ import annotations

from typing import Any

from . import functional, reference, schedules
from ._options import StepReport
from ._threads import active_isa, get_num_threads, set_num_threads
from .monitor import GradientEvent, GradientMonitor, GradientWarning
from .optimizer import Optimizer
from .optimizers import *  # noqa: F403
from .optimizers import _names as _optimizers
from .transforms import (
    AdaptiveClip,
    AddNoise,
    Centralize,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByRowNorm,
    ClipByValue,
    Scale,
    Standardize,
)

__all__ = [  # noqa: PLE0604
    "AdaptiveClip",
    "AddNoise",
    "Centralize",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByRowNorm",
    "ClipByValue",
    "GradientEvent",
    "GradientMonitor",
    "GradientWarning",
    "Optimizer",
    "Scale",
    "Standardize",
    "StepReport",
    "active_isa",
    "functional",
    "get_num_threads",
    "reference",
    "schedules",
    "set_num_threads",
    *_optimizers,
]


def __getattr__(name: str) -> Any:
    """Look the version up when it is asked for: it costs a third of the import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return globals().setdefault("__version__", version("instep"))
