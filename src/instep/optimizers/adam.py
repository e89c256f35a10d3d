"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, ClassVar, Literal, Unpack

import numpy as np

from .. import _validate as validate
from .._groups import Hyperparameter
from .._options import Options, Params, Schedulable, SchedulablePair
from .._plans import Scalars, Scaled, Slots
from .._reductions import maximum
from ..optimizer import Optimizer

__all__ = ["Adam", "AdamW"]

AMSGRAD = 1


def adam(p: np.ndarray, g: np.ndarray, slots: Slots, s: Scalars, variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/adam.h."""
    m, v, v_max = slots
    beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root, eps = s
    m[...] = beta1 * m + one_minus_beta1 * g
    v[...] = beta2 * v + one_minus_beta2 * g * g
    if variant & AMSGRAD:
        v_max[...] = maximum(v_max, v)
        v = v_max
    p[...] = p - step_size * m / (np.sqrt(v) * root + eps)


class Adam(Optimizer, rule=adam, slots=("exp_avg", "exp_avg_sq", "max_exp_avg_sq")):
    r"""Adam: steps scaled by running moments of the gradient.

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        p &\leftarrow p - \frac{\gamma}{1 - \beta_1^t} \cdot
            \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}

    With ``eps_mode="hat"``, the form of the paper's section 2 that scikit-learn, thinc, Flower and
    Keras use, the last line is

    .. math::
        p \leftarrow p - \gamma \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \cdot
            \frac{m}{\sqrt{v} + \epsilon}

    State: ``exp_avg`` (m), ``exp_avg_sq`` (v), ``max_exp_avg_sq`` (with amsgrad).
    Source: Kingma, Ba, "Adam: A method for stochastic optimization", 2015. Reddi, Kale, Kumar, "On
        the convergence of Adam and beyond", 2018 (amsgrad).

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.Adam([w], lr=0.1)
    >>> report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.9, -1.9])
    """

    _own: ClassVar[dict[str, Hyperparameter]] = {
        "amsgrad": Hyperparameter(validate.flag, "Divide by the largest v so far."),
        "eps_mode": Hyperparameter(
            validate.OneOf("torch", "hat"), "Where eps is added, see above."
        ),
    }

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 0.0,
        amsgrad: bool = False,
        eps_mode: Literal["torch", "hat"] = "torch",
        **options: Unpack[Options],
    ) -> None:
        hyper: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        hyper |= {"amsgrad": amsgrad, "eps_mode": eps_mode}
        super().__init__(params, hyper, options)

    @staticmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[Scaled]:
        (beta1, beta2), lr, eps = h["betas"], h["lr"], h["eps"]
        one_minus_beta1, one_minus_beta2 = 1 - beta1, 1 - beta2
        variant, hat = AMSGRAD if h["amsgrad"] else 0, h["eps_mode"] == "hat"
        for t in steps:
            root = sqrt(1 - beta2**t)
            step_size = lr / (1 - beta1**t)
            if hat:
                step_size, inverse = step_size * root, 1.0
            else:
                inverse = 1 / root
            yield (
                variant,
                (beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse, eps),
            )


class AdamW(Adam, decay="decoupled"):
    r"""Adam with decoupled weight decay: first :math:`p \leftarrow p (1 - \gamma \lambda)`.

    The rest is :class:`Adam` without the decay in the gradient; parameters, state and errors too.

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019.

    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> report = opt.step([2 * w])
    >>> w
    array([ 0.85, -1.8 ])
    """

    def __init__(
        self,
        params: Params,
        lr: Schedulable = 1e-3,
        betas: SchedulablePair = (0.9, 0.999),
        eps: Schedulable = 1e-8,
        weight_decay: Schedulable = 1e-2,
        amsgrad: bool = False,
        eps_mode: Literal["torch", "hat"] = "torch",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, eps_mode=eps_mode, **options
        )
