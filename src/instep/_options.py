"""The keyword arguments that all optimizers share, and what a step reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np

from . import _validate as validate
from . import transforms as tf

Params = np.ndarray | Sequence[Any] | Mapping[str, Any]
Schedulable = float | Callable[[int], float]
SchedulablePair = tuple[float, float] | Callable[[int], tuple[float, float]]


class Options(TypedDict, total=False):
    """The keyword arguments that all optimizers share; see :class:`Optimizer`."""

    transforms: Sequence[tf.Transform]
    maximize: bool
    nonfinite: Literal["propagate", "skip", "raise"]
    zero_grads: bool
    backend: Literal["native", "reference"]


OPTIONS: dict[str, tuple[validate.Check, Any]] = {
    "transforms": (tf.check, ()),
    "maximize": (validate.flag, False),
    "nonfinite": (validate.OneOf("propagate", "skip", "raise"), "propagate"),
    "zero_grads": (validate.flag, False),
    "backend": (validate.OneOf("native", "reference"), "native"),
}
"""The rule and the default of each."""


class _Accumulated:
    """The default gradients of a step: what was accumulated."""

    def __repr__(self) -> str:
        return "<accumulated>"


ACCUMULATED: Any = _Accumulated()


class StepReport(NamedTuple):
    """What a step did."""

    step: int
    """How many steps have been taken, this one included unless it was skipped."""
    lr: float
    """The learning rate used (of the first group)."""
    grad_norm: float | None
    """The norm of all gradients before ``ClipByGlobalNorm``; None without that transform."""
    clip_factor: float | None
    """What ``ClipByGlobalNorm`` multiplied the gradients by; None without that transform."""
    skipped: bool
    """Whether a gradient was not finite and nothing was changed (``nonfinite="skip"``)."""
