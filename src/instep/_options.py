"""The keyword arguments that all optimizers share, and what a step reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


class Option(NamedTuple):
    """The rule and the default of a shared argument, and what it means."""

    check: validate.Check
    default: Any
    meaning: str


OPTIONS: dict[str, Option] = {
    "transforms": Option(
        tf.check, (), "Applied to the gradients in flight, in this order: ``instep.ClipByNorm`` ..."
    ),
    "maximize": Option(
        validate.flag, default=False, meaning="Ascend: negate the gradient after the transforms."
    ),
    "nonfinite": Option(
        validate.OneOf("propagate", "skip", "raise"),
        "propagate",
        "What to do when a gradient, as passed, has an infinity or a NaN: go on as torch does, "
        '"skip" the step (everything stays as it was, and the report says so), or "raise" '
        "FloatingPointError.",
    ),
    "zero_grads": Option(
        validate.flag,
        default=False,
        meaning="Set the gradients to zero once a step used them; not where it is skipped.",
    ),
    "backend": Option(
        validate.OneOf("native", "reference"),
        "native",
        'The C++ kernels, or the same bits from NumPy ("reference").',
    ),
}


def choose(owner: str, hyper: Iterable[str], options: Options) -> dict[str, Any]:
    """Return all options, checked; ``hyper`` names the owner's other arguments."""
    for name in options:
        if name not in OPTIONS:
            takes = validate.known(name, ["params", *hyper, *OPTIONS])
            raise TypeError(f"{name}: {owner} has no such argument; it takes {takes}")
    return {
        name: option.check(name, options.get(name, option.default))
        for name, option in OPTIONS.items()
    }


class _Accumulated:
    """The default gradients of a step: what was accumulated."""

    def __repr__(self) -> str:
        return "<accumulated>"


ACCUMULATED: Any = _Accumulated()


class StepReport(NamedTuple):
    """What a step did.

    Attributes
    ----------
    step : int
        How many steps have been taken, this one included unless it was skipped.
    lr : float
        The learning rate used (of the first group).
    grad_norm : float or None
        The norm of all gradients before ``ClipByGlobalNorm``; None without that transform.
    clip_factor : float or None
        What ``ClipByGlobalNorm`` multiplied the gradients by; None without that transform.
    skipped : bool
        Whether a gradient was not finite and nothing was changed (``nonfinite="skip"``).
    """

    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float | None
    skipped: bool
