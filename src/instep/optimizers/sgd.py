"""Stochastic gradient descent and its variants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Unpack

import numpy as np

from .. import _validate as validate
from .._groups import Hyperparameter, at_least_0
from .._options import Options, Params, Schedulable
from .._plans import Scalars, Scaled, Slots
from ..optimizer import Optimizer

__all__ = ["ASGD", "SGD"]

MOMENTUM, NESTEROV, FIRST = 1, 2, 4
AVERAGING = 1


def sgd(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sgd.h."""
    (buf,) = slots
    lr, mu, one_minus_dampening = s
    if variant & MOMENTUM:
        buf[...] = g if variant & FIRST else mu * buf + one_minus_dampening * g
        g = g + mu * buf if variant & NESTEROV else buf
    p[...] = p - lr * g


class SGD(Optimizer, rule=sgd, slots=("momentum_buffer",)):
    r"""Stochastic gradient descent, with momentum, dampening and Nesterov's look-ahead.

    .. math::
        g &\leftarrow g + \lambda p \\
        b_1 &= g, \quad b_t = \mu b_{t-1} + (1 - \tau) g \\
        g &\leftarrow g + \mu b_t \text{ if nesterov, else } b_t \\
        p &\leftarrow p - \gamma g

    Without momentum there is no state; Nesterov needs momentum and no dampening. The learning
    rate stays outside the buffer, as in torch.

    State: ``momentum_buffer`` (with momentum).
    Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in
        deep learning", 2013.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.46, -0.92])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "dampening": Hyperparameter(validate.number(), r"Dampening :math:`\tau` of the momentum."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        momentum: Schedulable = 0.0,
        dampening: Schedulable = 0.0,
        weight_decay: Schedulable = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "momentum": momentum, "dampening": dampening}
        hyper |= {"weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, hyper, options)

    @classmethod
    def _check_together(cls, h: dict[str, Any]) -> None:
        if h["nesterov"] and (h["momentum"] == 0 or h["dampening"] != 0):
            raise ValueError(
                "nesterov: needs momentum > 0 and dampening == 0; "
                f"got momentum {h['momentum']} and dampening {h['dampening']}"
            )

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        if h["momentum"] == 0:
            return [(0, (h["lr"], 0.0, 1.0))] * len(steps)
        variant = MOMENTUM + NESTEROV * h["nesterov"]
        scalars = h["lr"], h["momentum"], 1 - h["dampening"]
        return [(variant + FIRST * (t == 1), scalars) for t in steps]


def asgd(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sgd.h."""
    (average,) = slots
    keep, eta, weight = s
    p[...] = p * keep - eta * g
    average[...] = average + weight * (p - average) if variant & AVERAGING else p


class ASGD(Optimizer, rule=asgd, slots=("ax",)):
    r"""Averaged stochastic gradient descent.

    .. math::
        g &\leftarrow g + \lambda p \\
        \eta_t &= \gamma / (1 + \Lambda \gamma (t - 1))^\alpha, \quad
            \mu_t = 1 / \max(1, t - 1 - t_0) \\
        p &\leftarrow p (1 - \Lambda \eta_t) - \eta_t g \\
        a &\leftarrow p \text{ if } \mu_t = 1, \text{ else } a + \mu_t (p - a)

    State: ``ax`` (a, the average).
    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.ASGD([w], lr=0.1, t0=0)
    >>> for _ in range(3):
    ...     report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(4), opt.state[0]["ax"].round(4)
    (array([ 0.512, -1.024]), array([ 0.576, -1.152]))
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "lambd": Hyperparameter(at_least_0, r"Decay :math:`\Lambda`, at least 0."),
        "alpha": Hyperparameter(at_least_0, r"Power :math:`\alpha` of the rate, at least 0."),
        "t0": Hyperparameter(at_least_0, "The step :math:`t_0` at which averaging starts."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-2,
        lambd: Schedulable = 1e-4,
        alpha: Schedulable = 0.75,
        t0: Schedulable = 1e6,
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        lr, lambd, alpha, t0 = h["lr"], h["lambd"], h["alpha"], h["t0"]
        for t in steps:
            try:
                eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
            except OverflowError:  # of the power
                eta = 0.0
            weight = 1 / max(1.0, t - 1 - t0)
            yield AVERAGING * (weight != 1), (1 - lambd * eta, eta, weight)
