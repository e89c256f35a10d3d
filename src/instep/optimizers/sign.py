"""Lion, SignSGD and Rprop: the sign of the gradient decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Unpack

import numpy as np

from .. import _validate as validate
from .._groups import Hyperparameter, moment
from .._options import Options, Params, Schedulable, SchedulablePair
from .._plans import Scalars, Scaled, Slots
from ..optimizer import Optimizer

__all__ = ["Lion", "Rprop", "SignSGD"]


def lion(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sign.h."""
    (m,) = slots
    lr, beta1, one_minus_beta1, beta2, one_minus_beta2 = s
    p[...] = p - lr * np.sign(beta1 * m + one_minus_beta1 * g)
    m[...] = beta2 * m + one_minus_beta2 * g


class Lion(Optimizer, rule=lion, slots=("exp_avg",), decay="decoupled"):
    r"""Lion: steps of one size, by the sign of an interpolated momentum.

    .. math::
        p &\leftarrow p (1 - \gamma \lambda) \\
        p &\leftarrow p - \gamma \operatorname{sign}(\beta_1 m + (1 - \beta_1) g) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    State: ``exp_avg`` (m).
    Source: Chen et al., "Symbolic discovery of optimization algorithms", 2023.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Lion([w], lr=0.25)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.75, -1.75])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-4,
        betas: SchedulablePair = (0.9, 0.99),
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay}, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        beta1, beta2 = h["betas"]
        return [(0, (h["lr"], beta1, 1 - beta1, beta2, 1 - beta2))] * len(steps)


def signsgd(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sign.h."""
    (m,) = slots
    lr, mu, one_minus_mu = s
    if variant:
        m[...] = g = mu * m + one_minus_mu * g
    p[...] = p - lr * np.sign(g)


class SignSGD(Optimizer, rule=signsgd, slots=("momentum_buffer",), decay="decoupled"):
    r"""signSGD: steps of one size, by the sign of the gradient or (Signum) of its momentum.

    .. math::
        m &\leftarrow \mu m + (1 - \mu) g \\
        p &\leftarrow p (1 - \gamma \lambda) - \gamma \operatorname{sign}(m)

    State: ``momentum_buffer`` (m, with momentum).
    Source: Bernstein et al., "signSGD: Compressed optimisation for non-convex problems", 2018.

    >>> w = np.array([1.0, -2.0])
    >>> report = instep.SignSGD([w], lr=0.25).step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.75, -1.75])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "momentum": Hyperparameter(moment, r"Momentum :math:`\mu`, in [0, 1); 0: plain signSGD."),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        momentum: Schedulable = 0.9,
        weight_decay: Schedulable = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hyper = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        scalars = h["lr"], h["momentum"], 1 - h["momentum"]
        return [(int(h["momentum"] != 0), scalars)] * len(steps)


def rprop(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sign.h."""
    prev, step_size = slots
    eta_minus, eta_plus, step_min, step_max = s
    one, zero = p.dtype.type(1), p.dtype.type(0)
    turn = np.sign(g * prev)
    scale = np.where(turn > 0, eta_plus, np.where(turn < 0, eta_minus, turn + one))
    scaled = step_size * scale
    low = scaled < step_min
    step_size[...] = np.where(low, step_min, np.where(scaled > step_max, step_max, scaled))
    prev[...] = np.where(turn < 0, zero, g)
    p[...] = p - np.sign(prev) * step_size


class Rprop(Optimizer, rule=rprop, slots=("prev", "step_size")):
    r"""Rprop: a step for each element, longer while the gradient keeps its sign; for full batches.

    .. math::
        s &\leftarrow \operatorname{clamp}(s \cdot (\eta_+ \text{ if } g g' > 0, \;
            \eta_- \text{ if } g g' < 0, \; 1 \text{ else})) \\
        g &\leftarrow 0 \text{ if } g g' < 0 \\
        p &\leftarrow p - \operatorname{sign}(g) s, \quad g' \leftarrow g

    State: ``prev`` (g'), ``step_size`` (s, starting at ``lr``).
    Source: Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning: the
        RPROP algorithm", 1993.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Rprop([w], lr=0.25)
    >>> for _ in range(2):
    ...     report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.45, -1.45])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "etas": Hyperparameter(
            validate.pair(validate.number(above=0, below=1), validate.number(above=1)),
            r"Factors :math:`\eta_-` in (0, 1) and :math:`\eta_+` > 1.",
        ),
        "step_sizes": Hyperparameter(
            validate.pair(validate.number(low=0), validate.number(low=0)),
            "The smallest and the largest step.",
        ),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-2,
        etas: SchedulablePair = (0.5, 1.2),
        step_sizes: SchedulablePair = (1e-6, 50.0),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes}, options)

    @classmethod
    def _check_together(cls, h: dict[str, Any]) -> None:
        low, high = h["step_sizes"] if not callable(h["step_sizes"]) else (0, 0)
        if low > high:
            raise ValueError(f"step_sizes: must be in order, smallest first; got {(low, high)}")

    @staticmethod
    def _start(h: dict[str, Any]) -> dict[str, float]:
        return {"step_size": h["lr"]}

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        return [(0, (*h["etas"], *h["step_sizes"]))] * len(steps)
