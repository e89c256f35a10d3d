"""Refusals: each names the argument, the rule and the value received."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

Check = Callable[[str, Any], Any]
"""Takes an argument's name and value; returns the value in its final form or raises."""

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def shown(value: object) -> str:
    """Return a value as messages show it: its type, and its text where that is short."""
    text = repr(value)
    kind = type(value).__name__
    return f"{kind} {text}" if len(text) <= 60 and "\n" not in text else kind


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
) -> Check:
    """Accept a finite number from ``low`` to ``high``, beyond ``above``, short of ``below``."""
    rules = ["a finite number"]
    rules += [f">= {low:g}"] if low != -math.inf else []
    rules += [f"<= {high:g}"] if high != math.inf else []
    rules += [f"> {above:g}"] if above is not None else []
    rules += [f"< {below:g}"] if below is not None else []
    rule = ", ".join(rules)

    def check(name: str, value: Any) -> float:
        if not _is_real(value):
            raise TypeError(f"{name}: must be {rule}; got {shown(value)}")
        try:
            x = float(value)
        except OverflowError:  # an integer beyond all floats
            x = math.inf if value > 0 else -math.inf
        inside = math.isfinite(x) and low <= x <= high
        inside = inside and (above is None or x > above) and (below is None or x < below)
        if not inside:
            raise ValueError(f"{name}: must be {rule}; got {x!r}")
        return x

    return check


def _is_real(value: object) -> bool:
    if type(value) is float:  # to ask an abstract class takes ten times as long
        return True
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def pair(first: Check, second: Check) -> Check:
    """Accept a tuple or list of two values."""

    def check(name: str, value: Any) -> tuple[Any, Any]:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{name}: must be a pair of numbers; got {shown(value)}")
        if callable(value[0]) or callable(value[1]):
            raise TypeError(
                f"{name}: must be a pair of numbers, or one function that returns a pair; "
                f"got a function inside a pair"
            )
        return first(f"{name}[0]", value[0]), second(f"{name}[1]", value[1])

    return check


def flag(name: str, value: Any) -> bool:
    """Accept True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: must be True or False; got {shown(value)}")
    return bool(value)


class OneOf:
    """Accept one of a few words."""

    def __init__(self, *choices: str) -> None:
        self._choices = choices

    def __call__(self, name: str, value: Any) -> str:
        """Return the word or raise."""
        if not isinstance(value, str) or value not in self._choices:
            rule = " or ".join(repr(c) for c in self._choices)
            raise ValueError(f"{name}: must be {rule}; got {shown(value)}")
        return value


def count(name: str, value: Any, at_least: int, at_most: int | None = None) -> int:
    """Accept an integer that is not too small, nor too large."""
    rule = f"must be an integer >= {at_least}"
    rule += f" and <= {at_most}" if at_most is not None else ""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: {rule}; got {shown(value)}")
    n = int(value)
    if n < at_least or (at_most is not None and n > at_most):
        raise ValueError(f"{name}: {rule}; got {n}")
    return n


ELSEWHERE = {
    "learning_rate": "lr",
    "step_size": "lr",
    "alpha": "lr",
    "epsilon": "eps",
    "beta_1": "betas",
    "beta_2": "betas",
    "b1": "betas",
    "b2": "betas",
    "clipnorm": "transforms",
    "global_clipnorm": "transforms",
    "clipvalue": "transforms",
}
"""What hyperparameters are called in Keras, optax and the papers."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant."""
    there = list(names)
    near = [ELSEWHERE[name]] if ELSEWHERE.get(name) in there else []
    near = near or difflib.get_close_matches(name, there, n=1)
    return near[0] if near else None


def known(name: str, names: Iterable[str]) -> str:
    """List the names that there are, for a message about one that is not among them."""
    there = list(names)
    near = nearest(name, there)
    return ", ".join(there) + (f" (did you mean {near}?)" if near else "")


def schedule(name: str, value: Callable[..., Any]) -> Callable[[int], Any]:
    """Accept a function that can be called with the number of steps taken, and nothing else."""
    if isinstance(value, type):
        raise TypeError(
            f"{name}: must be a number or a function of the steps taken; got the class "
            f"{value.__name__} (write {value.__name__}(...))"
        )
    try:
        signature = inspect.signature(value)
    except ValueError:  # some of those that are not written in Python have none
        return value
    try:
        signature.bind(0)
    except TypeError:
        called = getattr(value, "__name__", type(value).__name__)
        takes = ", ".join(signature.parameters)
        raise TypeError(
            f"{name}: must be a number or a function of the steps taken; got {called}({takes})"
        ) from None
    return value


def asked(name: str, schedule: Callable[[int], Any], step: int, check: Check) -> Any:
    """Return what a schedule says for a step, checked; what is wrong is told whose it is."""
    doing = "raised"
    try:
        value = schedule(step)
        doing = "returned"
        return check(name, value)
    except Exception as error:
        error.add_note(f"{name}: {doing} by its schedule, which was asked for step {step}")
        raise


def few(members: Iterable[Any]) -> str:
    """Return up to twelve members as messages show them."""
    shown_ones = list(members)
    return f"{shown_ones[:12]}" + (f" and {len(shown_ones) - 12} more" if shown_ones[12:] else "")


def same_members(name: str, rule: str, expected: Collection[Any], given: Iterable[Any]) -> None:
    """Refuse what has not exactly the expected members, in any order."""
    there, known = list(given), set(expected)
    present = set(there)
    missing = [member for member in expected if member not in present]
    unknown = [member for member in there if member not in known]
    wrong = [f"{what} {few(m)}" for what, m in (("missing", missing), ("unknown", unknown)) if m]
    if wrong:
        raise ValueError(f"{name}: {rule}; {', '.join(wrong)}")


def keys(name: str, given: Any, expected: Collection[Any]) -> None:
    """Refuse what is not a dict with exactly these keys."""
    rule = f"must be a dict with the keys {few(expected)}"
    if not isinstance(given, Mapping):
        raise TypeError(f"{name}: {rule}; got {shown(given)}")
    same_members(name, rule, expected, given)


def array(
    name: str, value: Any, *, writeable: bool, dtype: np.dtype[Any] | None = None
) -> np.ndarray:
    """Accept an array of numbers that a step can read, and write if it has to.

    One of another dtype is told how to become ``dtype``, or what is nearest.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: must be a numpy.ndarray; got {shown(value)}")
    if isinstance(value, np.ma.MaskedArray):
        rule = "must not be a masked array, whose mask a step would ignore"
        raise TypeError(f"{name}: {rule}; got {shown(value)}")
    if value.dtype not in DTYPES:
        rule = "dtype must be float32 or float64 in native byte order"
        told = f"{name}: {rule}; got {value.dtype.str} ({value.dtype.name})"
        native = value.dtype.newbyteorder("=")
        fits = dtype or (native if native in DTYPES else DTYPES[0])
        cast = f"; {name}.astype(np.{fits}) makes one that fits"
        raise TypeError(told + cast if value.dtype.kind in "biuf" else told)
    if not value.flags.aligned:
        raise ValueError(
            f"{name}: must be aligned to its dtype; got address {value.ctypes.data:#x}"
        )
    if writeable:
        if not value.flags.writeable:
            raise ValueError(f"{name}: must be writeable; got a read-only array")
        if overlaps_itself(value):
            raise ValueError(
                f"{name}: must not have elements that share memory (as a broadcast array has); "
                f"got shape {value.shape} with strides {value.strides}"
            )
    return value


def floating(name: str, value: Any) -> np.dtype[Any]:
    """Accept what NumPy takes for float32 or float64."""
    found = [dtype for dtype in DTYPES if _is_dtype(value, dtype)]
    if not found:
        raise TypeError(f"{name}: must be float32 or float64; got {shown(value)}")
    return found[0]


def _is_dtype(value: Any, dtype: np.dtype[Any]) -> bool:
    try:
        return bool(np.dtype(value) == dtype)
    except TypeError:
        return False


def overlaps_itself(a: np.ndarray) -> bool:
    """Whether two elements of an array share memory."""
    if a.flags.c_contiguous:
        return False
    axes = sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n != 1)
    reach = a.itemsize
    for stride, n in axes:
        if stride < reach:
            return a.size > 0 and _count_addresses(a) < a.size
        reach += stride * (n - 1)
    return False


def _count_addresses(a: np.ndarray) -> int:
    """Count distinct elements by address, for strides that interleave."""
    if 0 in a.strides:
        return 0
    offsets = np.zeros(1, np.int64)
    for stride, n in zip(a.strides, a.shape, strict=True):
        offsets = np.add.outer(offsets, stride * np.arange(n)).ravel()
    gaps = np.diff(np.sort(offsets))
    return 1 + int(np.count_nonzero(gaps >= a.itemsize))


def bounds(a: np.ndarray) -> tuple[int, int]:
    """Return the first address of an array and the one behind its last."""
    return np.lib.array_utils.byte_bounds(a) if a.size else (0, 0)


def share_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have an element in common; views that interleave do not."""
    try:
        return np.shares_memory(a, b, max_work=10**6)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def check_disjoint(names: list[str], arrays: list[np.ndarray]) -> None:
    """Refuse arrays of which two share memory."""
    extents = [bounds(a) for a in arrays]
    order = sorted(range(len(arrays)), key=extents.__getitem__)
    near: list[int] = []  # earlier arrays that reach as far as the present one
    for i in order:
        near = [j for j in near if extents[j][1] > extents[i][0]]
        for j in near:
            if share_memory(arrays[j], arrays[i]):
                first, second = sorted((i, j))
                what = "is" if arrays[first] is arrays[second] else "shares memory with"
                raise ValueError(f"{names[second]}: must not overlap; {what} {names[first]}")
        near.append(i)
