"""Adamax, Yogi and AdaBelief: Adam with another second moment."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, Unpack

import numpy as np

from .._options import Options, Params, Schedulable, SchedulablePair
from .._plans import Scalars, Scaled, Slots
from .._reductions import maximum
from ..optimizer import Optimizer

__all__ = ["AdaBelief", "Adamax", "Yogi"]


def adamax(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, u = slots
    beta1, one_minus_beta1, beta2, step_size, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    u[...] = maximum(beta2 * u, np.abs(g) + eps)
    p[...] = p - step_size * m / u


class Adamax(Optimizer, rule=adamax, slots=("exp_avg", "exp_inf")):
    r"""Adamax: Adam with the largest recent gradient in the place of the second moment.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        u &\leftarrow \max(\beta_2 u, |g| + \epsilon) \\
        p &\leftarrow p - \frac{\gamma}{1 - \beta_1^t} \cdot \frac{m}{u}

    State: ``exp_avg`` (m), ``exp_inf`` (u).
    Source: Kingma, Ba, "Adam: A method for stochastic optimization", 2015, section 7.1.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Adamax([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.9, -1.9])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 2e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        return [(0, (beta1, 1 - beta1, beta2, lr / (1 - beta1**t), eps)) for t in steps]


def yogi(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, v = slots
    beta1, one_minus_beta1, one_minus_beta2, step_size, root, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    square = g * g
    v[...] = v - one_minus_beta2 * np.sign(v - square) * square
    p[...] = p - step_size * m / (np.sqrt(v) * root + eps)


class Yogi(Optimizer, rule=yogi, slots=("exp_avg", "exp_avg_sq")):
    r"""Yogi: Adam whose second moment changes slowly, in proportion to the gradient only.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow v - (1 - \beta_2) \operatorname{sign}(v - g^2) g^2 \\
        p &\leftarrow p - \frac{\gamma}{1 - \beta_1^t} \cdot
            \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}

    State: ``exp_avg`` (m), ``exp_avg_sq`` (v, starting at ``initial_accumulator_value``).
    Source: Zaheer, Reddi, Sachan, Kale, Kumar, "Adaptive methods for nonconvex optimization", 2018.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Yogi([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(4)
    array([ 0.9001, -1.9   ])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-2,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-3,
        weight_decay: Schedulable = 0.0,
        initial_accumulator_value: float = 1e-6,
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        hyper |= {"initial_accumulator_value": initial_accumulator_value}
        super().__init__(params, hyper, options)

    @staticmethod
    def _start(h: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg_sq": h["initial_accumulator_value"]}

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        for t in steps:
            root = 1 / sqrt(1 - beta2**t)
            yield 0, (beta1, 1 - beta1, 1 - beta2, lr / (1 - beta1**t), root, eps)


def adabelief(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, v = slots
    beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    surprise = g - m
    v[...] = beta2 * v + one_minus_beta2 * surprise * surprise + eps
    p[...] = p - step_size * m / (np.sqrt(v) * root + eps)


class AdaBelief(Optimizer, rule=adabelief, slots=("exp_avg", "exp_avg_var")):
    r"""AdaBelief: Adam that steps by its belief in the gradient, the inverse of its surprise.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        s &\leftarrow \beta_2 s + (1 - \beta_2) (g - m)^2 + \epsilon \\
        p &\leftarrow p - \frac{\gamma}{1 - \beta_1^t} \cdot
            \frac{m}{\sqrt{s} / \sqrt{1 - \beta_2^t} + \epsilon}

    State: ``exp_avg`` (m), ``exp_avg_var`` (s).
    Source: Zhuang et al., "AdaBelief optimizer: Adapting stepsizes by the belief in observed
        gradients", 2020.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.AdaBelief([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w.round(4)
    array([ 0.8889, -1.8889])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-16,
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        for t in steps:
            step_size, root = lr / (1 - beta1**t), 1 / sqrt(1 - beta2**t)
            yield 0, (beta1, 1 - beta1, beta2, 1 - beta2, step_size, root, eps)
