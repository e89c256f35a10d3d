"""Adagrad, Adadelta and RMSprop: rates that adapt to each element's gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Unpack

import numpy as np

from .. import _validate as validate
from .._groups import Hyperparameter, at_least_0
from .._options import Options, Params, Schedulable
from .._plans import Scalars, Scaled, Slots
from .._reductions import maximum
from ..optimizer import Optimizer

__all__ = ["Adadelta", "Adagrad", "RMSprop"]

MOMENTUM, CENTERED = 1, 2


def adagrad(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adaptive.h."""
    (total,) = slots
    step_size, eps = s
    total[...] = total + g * g
    p[...] = p - step_size * g / (np.sqrt(total) + eps)


class Adagrad(Optimizer, rule=adagrad, slots=("sum",)):
    r"""Adagrad: each element's rate falls with the sum of its squared gradients.

    .. math::
        g &\leftarrow g + \lambda p \\
        s &\leftarrow s + g^2 \\
        p &\leftarrow p - \frac{\gamma}{1 + (t - 1) \eta} \cdot \frac{g}{\sqrt{s} + \epsilon}

    State: ``sum`` (s).
    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic
        optimization", 2011.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Adagrad([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.9, -1.9])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "lr_decay": Hyperparameter(at_least_0, r"Decay :math:`\eta` of the rate, at least 0."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-2,
        lr_decay: Schedulable = 0.0,
        weight_decay: Schedulable = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: Schedulable = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay}
        hyper |= {"initial_accumulator_value": initial_accumulator_value, "eps": eps}
        super().__init__(params, hyper, options)

    @staticmethod
    def _start(h: dict[str, Any]) -> dict[str, float]:
        return {"sum": h["initial_accumulator_value"]}

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        lr, lr_decay, eps = h["lr"], h["lr_decay"], h["eps"]
        return [(0, (lr / (1 + (t - 1) * lr_decay), eps)) for t in steps]


def adadelta(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adaptive.h."""
    square, acc_delta = slots
    lr, rho, one_minus_rho, eps = s
    square[...] = rho * square + one_minus_rho * g * g
    delta = np.sqrt(acc_delta + eps) / np.sqrt(square + eps) * g
    acc_delta[...] = rho * acc_delta + one_minus_rho * delta * delta
    p[...] = p - lr * delta


class Adadelta(Optimizer, rule=adadelta, slots=("square_avg", "acc_delta")):
    r"""Adadelta: steps in the unit of the parameter, from running averages of squares.

    .. math::
        g &\leftarrow g + \lambda p \\
        s &\leftarrow \rho s + (1 - \rho) g^2 \\
        \Delta &= \frac{\sqrt{a + \epsilon}}{\sqrt{s + \epsilon}} g \\
        a &\leftarrow \rho a + (1 - \rho) \Delta^2 \\
        p &\leftarrow p - \gamma \Delta

    State: ``square_avg`` (s), ``acc_delta`` (a).
    Source: Zeiler, "ADADELTA: An adaptive learning rate method", 2012.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Adadelta([w])
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(6)
    array([ 0.996838, -1.996838])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "rho": Hyperparameter(
            validate.number(low=0, high=1), r"Decay rate :math:`\rho` of the averages, in [0, 1]."
        ),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1.0,
        rho: Schedulable = 0.9,
        eps: Schedulable = 1e-6,
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        return [(0, (h["lr"], h["rho"], 1 - h["rho"], h["eps"]))] * len(steps)


def rmsprop(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adaptive.h."""
    square, buf, g_avg = slots
    lr, alpha, one_minus_alpha, eps, mu = s
    square[...] = alpha * square + one_minus_alpha * g * g
    variance = square
    if variant & CENTERED:
        g_avg[...] = alpha * g_avg + one_minus_alpha * g
        variance = maximum(square - g_avg * g_avg, p.dtype.type(0))
    step = g / (np.sqrt(variance) + eps)
    if variant & MOMENTUM:
        buf[...] = mu * buf + step
        step = buf
    p[...] = p - lr * step


class RMSprop(Optimizer, rule=rmsprop, slots=("square_avg", "momentum_buffer", "grad_avg")):
    r"""RMSprop: gradients divided by their running root mean square.

    .. math::
        g &\leftarrow g + \lambda p \\
        s &\leftarrow \alpha s + (1 - \alpha) g^2 \\
        d &= \sqrt{s} + \epsilon, \text{ or if centered } \bar g \leftarrow \alpha \bar g
            + (1 - \alpha) g, \quad d = \sqrt{\max(s - \bar g^2, 0)} + \epsilon \\
        p &\leftarrow p - \gamma g / d, \text{ or with momentum }
            b \leftarrow \mu b + g / d, \quad p \leftarrow p - \gamma b

    Rounding can make the centered variance negative, where torch gives NaN; here it is 0.

    State: ``square_avg`` (s), ``momentum_buffer`` (b, with momentum), ``grad_avg`` (if centered).
    Source: Tieleman, Hinton, "Lecture 6.5, RMSProp", 2012. Graves, "Generating sequences with
        recurrent neural networks", 2013 (centered).

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.RMSprop([w], lr=0.01)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(6)
    array([ 0.9, -1.9])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "alpha": Hyperparameter(
            validate.number(low=0, high=1),
            r"Decay rate :math:`\alpha` of the averages, in [0, 1].",
        ),
        "centered": Hyperparameter(validate.flag, "Subtract the squared mean of the gradient."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-2,
        alpha: Schedulable = 0.99,
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 0.0,
        momentum: Schedulable = 0.0,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        hyper |= {"momentum": momentum, "centered": centered}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        variant = MOMENTUM * (h["momentum"] != 0) + CENTERED * h["centered"]
        scalars = h["lr"], h["alpha"], 1 - h["alpha"], h["eps"], h["momentum"]
        return [(variant, scalars)] * len(steps)
