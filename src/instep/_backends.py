"""Who applies a step: the native kernels, or the same in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._buffers import Buffers, Plain, cannot_tell
from ._options import StepReport
from ._plans import NumpyRule, Plan
from ._reference_plan import ReferencePlan
from .transforms import Transform


def plain_for(backend: str) -> Plain:
    """Return the quick test of arrays that a backend has."""
    if backend == "reference":
        return cannot_tell
    from ._core import plain  # noqa: PLC0415 - the reference needs no native code

    return plain


def make_plan(
    backend: str,
    rule: str,
    numpy_rule: NumpyRule | None,
    buffers: Buffers,
    transforms: Sequence[Transform] = (),
    **options: Any,
) -> Plan:
    """Return a plan of the backend ("native" or "reference")."""
    natives = [t._native(1) for t in transforms]  # a schedule that is wrong at once is refused now
    if backend == "reference":
        assert numpy_rule is not None or rule == "assign"
        return ReferencePlan(numpy_rule or _no_rule, buffers, transforms, **options)
    from ._core import Plan as NativePlan  # noqa: PLC0415 - the reference needs no native code

    check_finite = options.get("check_finite", False)
    zero_grads = options.get("zero_grads", False)
    slots = [tuple(row) for row in buffers.slots]
    flags = check_finite, zero_grads
    return NativePlan(rule, buffers.params, slots, buffers, natives, *flags, StepReport)


def _no_rule(*_: Any) -> None:
    raise NotImplementedError("this plan rewrites arrays and takes no steps")
