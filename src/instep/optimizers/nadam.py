"""NAdam and RAdam: Adam with another way of taking momentum."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import sqrt
from threading import Lock
from typing import Any, ClassVar, Unpack

import numpy as np

from .._groups import Hyperparameter, at_least_0
from .._options import Options, Params, Schedulable, SchedulablePair
from .._plans import Scalars, Scaled, Slots
from ..optimizer import Optimizer

__all__ = ["NAdam", "RAdam"]

RECTIFIED = 1

_growing = Lock()


def nadam(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, v = slots
    beta1, one_minus_beta1, beta2, one_minus_beta2, step_g, step_m, root, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    v[...] = beta2 * v + one_minus_beta2 * g * g
    p[...] = p - (step_g * g + step_m * m) / (np.sqrt(v) * root + eps)


@lru_cache(maxsize=16)
def _shares(psi: float) -> list[float]:
    """Return a list to be grown: the products of ``1 - 0.96**(i * psi) / 2`` for i from 1."""
    del psi
    return []


def _share(psi: float, t: int) -> float:
    """Return the product for i from 1 to t, which soon does not change any more."""
    with _growing:
        known = _shares(psi)
        while len(known) < t and (not known or known[-1] > 0):
            factor = 1 - 0.5 * 0.96 ** ((len(known) + 1) * psi)
            if factor == 1:
                break
            known.append(factor * known[-1] if known else factor)
        return known[min(t, len(known)) - 1] if known else 1.0


def nadam_momenta(beta1: float, psi: float, t: int) -> tuple[float, float, float]:
    """Return ``mu_t``, ``mu_(t+1)`` and the product of ``mu_1`` to ``mu_t``."""
    mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * psi)) for k in (t, t + 1))
    return mu, mu_next, beta1**t * _share(psi, t)


class NAdam(Optimizer, rule=nadam, slots=("exp_avg", "exp_avg_sq")):
    r"""NAdam: Adam with Nesterov momentum.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \mu_t &= \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad P_t = \mu_1 \cdots \mu_t \\
        p &\leftarrow p - \gamma \frac{(1 - \mu_t) g / (1 - P_t)
            + \mu_{t+1} m / (1 - P_{t+1})}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The product takes the present :math:`\beta_1` and :math:`\psi` for all steps so far.

    State: ``exp_avg`` (m), ``exp_avg_sq`` (v).
    Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.NAdam([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(6)
    array([ 0.894355, -1.894355])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "momentum_decay": Hyperparameter(at_least_0, r"Decay :math:`\psi` of the momentum."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 2e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 0.0,
        momentum_decay: Schedulable = 4e-3,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        hyper |= {"momentum_decay": momentum_decay}
        hyper |= {"decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        for t in steps:
            mu, mu_next, product = nadam_momenta(beta1, h["momentum_decay"], t)
            step_g = lr * (1 - mu) / (1 - product)
            step_m = lr * mu_next / (1 - product * mu_next)
            root = 1 / sqrt(1 - beta2**t)
            yield 0, (beta1, 1 - beta1, beta2, 1 - beta2, step_g, step_m, root, eps)


def radam(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, v = slots
    beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    v[...] = beta2 * v + one_minus_beta2 * g * g
    step = step_size * m
    p[...] = p - (step / (np.sqrt(v) + eps) if variant & RECTIFIED else step)


class RAdam(Optimizer, rule=radam, slots=("exp_avg", "exp_avg_sq")):
    r"""RAdam: Adam that starts as plain momentum, until its second moment can be relied on.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \quad
            v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        r_\infty &= \frac{2}{1 - \beta_2} - 1, \quad
            r = r_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t} \\
        p &\leftarrow p - \frac{\gamma m}{1 - \beta_1^t} \cdot \left\{\begin{array}{ll}
            \sqrt{\frac{(r - 4)(r - 2) r_\infty}{(r_\infty - 4)(r_\infty - 2) r}} \cdot
            \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v} + \epsilon} & r > 5 \\
            1 & \text{else}\end{array}\right.

    State: ``exp_avg`` (m), ``exp_avg_sq`` (v).
    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.RAdam([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.8, -1.6])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 0.0,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        hyper |= {"decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        r_inf = 2 / (1 - beta2) - 1
        for t in steps:
            unbias = 1 - beta2**t
            r = r_inf - 2 * t * beta2**t / unbias
            step_size, variant = lr / (1 - beta1**t), 0
            if r > 5:
                rect = (r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r)
                step_size, variant = step_size * sqrt(rect * unbias), RECTIFIED
            yield variant, (beta1, 1 - beta1, beta2, 1 - beta2, step_size, eps)
