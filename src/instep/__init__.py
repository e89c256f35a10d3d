"""In-place optimizer steps and gradient clipping, in step with their NumPy reference."""

from __future__ import annotations

from importlib.metadata import version as _version

from . import functional, reference, schedules
from ._options import StepReport
from ._threads import active_isa, get_num_threads, set_num_threads
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

__version__ = _version("instep")

__all__ = [  # noqa: PLE0604
    "AdaptiveClip",
    "AddNoise",
    "Centralize",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByRowNorm",
    "ClipByValue",
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
