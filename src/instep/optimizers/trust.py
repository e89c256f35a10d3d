"""LAMB and LARS: a rate for each tensor, from the norms of parameter and update."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, ClassVar, Unpack

import numpy as np

from .. import _validate as validate
from .._groups import Hyperparameter, at_least_0
from .._options import Options, Params, Schedulable, SchedulablePair
from .._plans import Scalars, Scaled, Slots
from ..optimizer import Optimizer
from .sgd import FIRST, MOMENTUM, NESTEROV, SGD

__all__ = ["LAMB", "LARS"]


def lamb_direction(p: np.ndarray, slots: Slots, s: Scalars) -> np.ndarray:
    """Return the step before it is scaled by the trust ratio."""
    m, v = slots
    unbias1, root, eps, weight_decay = s[5:9]
    u: np.ndarray = unbias1 * m / (np.sqrt(v) * root + eps) + weight_decay * p
    return u


def lamb_measure(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars) -> np.ndarray:
    """Update the moments and return the direction; the oracle of cpp/rules/trust.h."""
    m, v = slots
    _, beta1, one_minus_beta1, beta2, one_minus_beta2, *_ = s
    m[...] = beta1 * m + one_minus_beta1 * g
    v[...] = beta2 * v + one_minus_beta2 * g * g
    return lamb_direction(p, slots, s)


def lamb(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter, the trust ratio being the last scalar."""
    lr, trust = s[0], s[-1]
    p[...] = p - lr * trust * lamb_direction(p, slots, s)


class LAMB(
    Optimizer, rule=lamb, measure=lamb_measure, slots=("exp_avg", "exp_avg_sq"), decay="rule"
):
    r"""LAMB: Adam with a learning rate for each tensor, for large batches.

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \quad
            v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        u &= \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} + \lambda p \\
        p &\leftarrow p - \gamma \frac{\|p\|}{\|u\|} u

    The ratio is 1 where a norm is 0. Norms are of whole tensors.

    State: ``exp_avg`` (m), ``exp_avg_sq`` (v).
    Source: You et al., "Large batch optimization for deep learning: Training BERT in 76 minutes",
        2020.

    >>> w = np.array([3.0, -4.0])
    >>> opt = instep.LAMB([w], lr=0.1, weight_decay=0.0)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(6)
    array([ 2.646447, -3.646447])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-6,
        weight_decay: Schedulable = 1e-2,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        beta1, beta2 = h["betas"]
        lr, eps, weight_decay = h["lr"], h["eps"], h["weight_decay"]
        for t in steps:
            unbias1, root = 1 / (1 - beta1**t), 1 / sqrt(1 - beta2**t)
            moments = (beta1, 1 - beta1, beta2, 1 - beta2)
            yield 0, (lr, *moments, unbias1, root, eps, weight_decay)


def lars_measure(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars) -> np.ndarray:
    """Return the gradient, whose norm LARS compares with the parameter's."""
    return g


def lars(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter, the trust ratio being the last scalar; cpp/rules/trust.h."""
    (buf,) = slots
    lr, mu, weight_decay, trust = s
    g = trust * (g + weight_decay * p)
    if variant & MOMENTUM:
        buf[...] = g if variant & FIRST else mu * buf + g
        g = g + mu * buf if variant & NESTEROV else buf
    p[...] = p - lr * g


class LARS(Optimizer, rule=lars, measure=lars_measure, slots=("momentum_buffer",), decay="rule"):
    r"""LARS: SGD with a learning rate for each tensor, for large batches.

    .. math::
        \tau &= \frac{\eta \|p\|}{\|g\| + \lambda \|p\| + \epsilon} \\
        g &\leftarrow \tau (g + \lambda p)

    and then :class:`SGD` with momentum on g, without decay. The ratio :math:`\tau` is 1 where a
    norm is 0. Norms are of whole tensors.

    State: ``momentum_buffer`` (with momentum).
    Source: You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017.

    >>> w = np.array([3.0, -4.0])
    >>> opt = instep.LARS([w], lr=0.1, trust_coefficient=0.5)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 2.85, -3.8 ])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "trust_coefficient": Hyperparameter(at_least_0, r"Factor :math:`\eta` of the ratio."),
        "nesterov": Hyperparameter(validate.flag, "Nesterov's look-ahead; needs momentum."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable,
        momentum: Schedulable = 0.9,
        weight_decay: Schedulable = 0.0,
        trust_coefficient: Schedulable = 1e-3,
        eps: Schedulable = 1e-8,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        hyper |= {"trust_coefficient": trust_coefficient, "eps": eps, "nesterov": nesterov}
        super().__init__(params, hyper, options)

    @classmethod
    def _check_together(cls, h: dict[str, Any]) -> None:
        SGD._check_together({**h, "dampening": 0})

    @staticmethod
    def _trust(h: dict[str, Any]) -> tuple[float, float, float]:
        return h["trust_coefficient"], h["weight_decay"], h["eps"]

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        of_sgd = SGD._scalars({**h, "dampening": 0}, steps)
        decay = h["weight_decay"]
        return [(variant, (lr, momentum, decay)) for variant, (lr, momentum, _) in of_sgd]
