"""The rules and transforms as functions on arrays, by the native kernels.

For each optimizer there is a function that takes one step of it, named as torch names them:
``adam_(param, grad, exp_avg, exp_avg_sq, *, step, lr=1e-3, ...)`` for ``Adam``.
`instep.functional` and `instep.reference` have the same functions with the same signatures and
the same results, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

from . import optimizers
from ._functions import Functions

_functions = Functions("native")

all_finite = _functions.all_finite
clip_by_global_norm_ = _functions.clip_by_global_norm_
clip_by_norm_ = _functions.clip_by_norm_
clip_by_value_ = _functions.clip_by_value_
global_norm = _functions.global_norm

_steps = {f"{name.lower()}_": getattr(optimizers, name) for name in optimizers._names}

__all__ = [  # noqa: PLE0604
    "all_finite",
    "clip_by_global_norm_",
    "clip_by_norm_",
    "clip_by_value_",
    "global_norm",
    *_steps,
]


def __getattr__(name: str) -> Callable[..., None]:
    """Make the step function of an optimizer when it is first asked for."""
    if name not in _steps:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = _functions.step_function(_steps[name])
    function.__module__ = __name__
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return __all__
