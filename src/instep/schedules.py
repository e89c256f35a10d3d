"""Schedules: functions of the number of steps taken so far, for any hyperparameter.

Each function here returns a function ``step -> float``, to be passed in the place of a number:
``instep.SGD(params, lr=instep.schedules.cosine(0.1, total_steps=1000))``. Steps count from 0.
`ReduceOnPlateau` follows a metric instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import cos, pi, sqrt
from typing import Literal

from . import _validate as validate
from ._plateau import ReduceOnPlateau

Schedule = Callable[[int], float]

__all__ = [
    "ReduceOnPlateau",
    "constant",
    "cosine",
    "exponential",
    "inverse_sqrt",
    "join",
    "linear",
    "one_cycle",
    "polynomial",
    "step",
    "warmup_stable_decay",
]

_number: Callable[[str, object], float] = validate.number()
_positive: Callable[[str, object], float] = validate.number(above=0)


def _between(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + cos(pi * part)) / 2


def _total(value: int, at_least: int, rule: str) -> int:
    n = validate.count("total_steps", value, 1)
    if n < at_least:
        raise ValueError(f"total_steps: must be {rule}; got {n}")
    return n


def constant(value: float) -> Schedule:
    """Return ``value`` at every step.

    Examples
    --------
    >>> from instep import schedules
    >>> schedules.constant(0.1)(1000)
    0.1
    """
    fixed = _number("value", value)
    return lambda _: fixed


def linear(start: float, end: float, steps: int) -> Schedule:
    """Go from ``start`` to ``end`` in ``steps`` steps, in a line, and stay there.

    torch's ``LinearLR`` with factors ``start / lr`` and ``end / lr``.

    Examples
    --------
    >>> from instep import schedules
    >>> warmup = schedules.linear(0.0, 1.0, 4)
    >>> [warmup(t) for t in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    first, last = _number("start", start), _number("end", end)
    n = validate.count("steps", steps, 1)
    return lambda step: _between(first, last, min(step, n) / n)


def exponential(value: float, gamma: float) -> Schedule:
    """Multiply by ``gamma`` at every step: torch's ``ExponentialLR``.

    Examples
    --------
    >>> from instep import schedules
    >>> schedules.exponential(1.0, 0.5)(3)
    0.125
    """
    first, factor = _number("value", value), _positive("gamma", gamma)
    return lambda step: first * factor**step


def step(value: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """Multiply by ``gamma`` every ``step_size`` steps: torch's ``StepLR``.

    Examples
    --------
    >>> from instep import schedules
    >>> stairs = schedules.step(1.0, 10, gamma=0.5)
    >>> [stairs(t) for t in (9, 10, 25)]
    [1.0, 0.5, 0.25]
    """
    first, factor = _number("value", value), _positive("gamma", gamma)
    n = validate.count("step_size", step_size, 1)
    return lambda step: first * factor ** (step // n)


def polynomial(value: float, total_steps: int, power: float = 1.0) -> Schedule:
    """Fall to 0 as ``(1 - t / total_steps) ** power``: torch's ``PolynomialLR``.

    Examples
    --------
    >>> from instep import schedules
    >>> schedules.polynomial(1.0, 10, power=2.0)(5)
    0.25
    """
    first, exponent = _number("value", value), _positive("power", power)
    n = validate.count("total_steps", total_steps, 1)
    return lambda step: float(first * (1 - min(step, n) / n) ** exponent)


def cosine(
    value: float,
    total_steps: int,
    warmup_steps: int = 0,
    min_value: float = 0.0,
    restarts: bool = False,
) -> Schedule:
    """Rise in a line for ``warmup_steps``, then fall along half a cosine until ``total_steps``.

    Without warm-up torch's ``CosineAnnealingLR``; with ``restarts`` the fall begins again every
    ``total_steps - warmup_steps`` steps, as in ``CosineAnnealingWarmRestarts``. The first step of a
    warm-up has ``value / warmup_steps``.

    References
    ----------
    Loshchilov, Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017.

    Examples
    --------
    >>> from instep import schedules
    >>> lr = schedules.cosine(1.0, total_steps=12, warmup_steps=2)
    >>> [round(lr(t), 3) for t in (0, 1, 2, 7, 12, 99)]
    [0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    top, low = _number("value", value), _number("min_value", min_value)
    warmup = validate.count("warmup_steps", warmup_steps, 0)
    length = _total(total_steps, warmup + 1, f"more than warmup_steps, {warmup}") - warmup
    validate.flag("restarts", restarts)

    def schedule(step: int) -> float:
        if step < warmup:
            return top * (step + 1) / warmup
        done = (step - warmup) % length if restarts else min(step - warmup, length)
        return _half_cosine(top, low, done / length)

    return schedule


def one_cycle(
    max_value: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Rise from ``max_value / div_factor`` to the maximum, and fall far below the start.

    torch's ``OneCycleLR`` in two phases; the last step is ``total_steps - 1``.

    References
    ----------
    Smith, Topin, "Super-convergence: Very fast training of neural networks using large learning
    rates", 2018.

    Examples
    --------
    >>> from instep import schedules
    >>> lr = schedules.one_cycle(1.0, total_steps=11, pct_start=0.5)
    >>> [round(lr(t), 3) for t in (0, 4, 5, 10)]
    [0.04, 0.971, 0.98, 0.0]
    """
    top = _number("max_value", max_value)
    n = validate.count("total_steps", total_steps, 2)
    share = validate.number(above=0, below=1)("pct_start", pct_start)
    start = top / _positive("div_factor", div_factor)
    end = start / _positive("final_div_factor", final_div_factor)
    strategy = validate.OneOf("cos", "linear")("anneal_strategy", anneal_strategy)
    curve = _half_cosine if strategy == "cos" else _between
    peak, last = share * n - 1, n - 1
    if peak <= 0:
        raise ValueError(f"pct_start: must leave a rise of more than one step; got {share * n:g}")

    def schedule(step: int) -> float:
        if step <= peak:
            return curve(start, top, step / peak)
        return curve(top, end, min(1.0, (step - peak) / (last - peak)))

    return schedule


def inverse_sqrt(value: float, warmup_steps: int) -> Schedule:
    """Rise in a line for ``warmup_steps``, then fall as ``value * sqrt(warmup_steps / t)``.

    References
    ----------
    Vaswani et al., "Attention is all you need", 2017.

    Examples
    --------
    >>> from instep import schedules
    >>> lr = schedules.inverse_sqrt(1.0, 4)
    >>> [lr(t) for t in (0, 3, 15)]
    [0.25, 1.0, 0.5]
    """
    top = _number("value", value)
    warmup = validate.count("warmup_steps", warmup_steps, 1)
    return lambda step: top * min((step + 1) / warmup, sqrt(warmup / (step + 1)))


def warmup_stable_decay(
    value: float, total_steps: int, warmup_steps: int, decay_steps: int, min_value: float = 0.0
) -> Schedule:
    """Rise in a line, stay, and fall in a line over the last ``decay_steps`` of ``total_steps``.

    References
    ----------
    Hu et al., "MiniCPM: Unveiling the potential of small language models", 2024.

    Examples
    --------
    >>> from instep import schedules
    >>> lr = schedules.warmup_stable_decay(1.0, 100, warmup_steps=10, decay_steps=20)
    >>> [lr(t) for t in (4, 50, 90, 100)]
    [0.5, 1.0, 0.5, 0.0]
    """
    top, low = _number("value", value), _number("min_value", min_value)
    warmup = validate.count("warmup_steps", warmup_steps, 0)
    decay = validate.count("decay_steps", decay_steps, 1)
    n = _total(
        total_steps, warmup + decay, f"at least warmup_steps + decay_steps, {warmup + decay}"
    )

    def schedule(step: int) -> float:
        if step < warmup:
            return top * (step + 1) / warmup
        return _between(top, low, min(max(step - (n - decay), 0), decay) / decay)

    return schedule


def join(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """Follow one schedule after the other, each from its own step 0: torch's ``SequentialLR``.

    ``milestones`` are the steps at which the second, third ... schedule begins.

    Examples
    --------
    >>> from instep import schedules
    >>> lr = schedules.join([schedules.linear(0.0, 1.0, 2), schedules.constant(1.0)], [2])
    >>> [lr(t) for t in (0, 1, 2, 3)]
    [0.0, 0.5, 1.0, 1.0]
    """
    parts, starts = list(schedules), [0, *milestones]
    if len(parts) != len(starts):
        raise ValueError(
            f"milestones: must be one fewer than the schedules, {len(parts)}; got {len(starts) - 1}"
        )
    for before, start in pairwise(starts):
        validate.count("milestones", start, before + 1)

    def schedule(step: int) -> float:
        k = max(i for i, start in enumerate(starts) if step >= start)
        return parts[k](step - starts[k])

    return schedule
