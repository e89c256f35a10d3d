"""Stochastic gradient descent and its variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from ..optimizer import Optimizer, Options, Params, Schedulable

MOMENTUM, NESTEROV, FIRST = 1, 2, 4


def sgd(p: np.ndarray, g: np.ndarray, slots: Sequence[Any], s: Sequence[Any], variant: int) -> None:
    """Update one parameter; the oracle of cpp/rules/sgd.h."""
    (buf,) = slots
    lr, mu, one_minus_dampening = s
    if variant & MOMENTUM:
        buf[...] = g if variant & FIRST else mu * buf + one_minus_dampening * g
        g = g + mu * buf if variant & NESTEROV else buf
    p[...] = p - lr * g


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum, dampening and Nesterov's look-ahead.

    .. math::
        g &\leftarrow g + \lambda p \\
        b_1 &= g, \quad b_t = \mu b_{t-1} + (1 - \tau) g \\
        g &\leftarrow g + \mu b_t \text{ if nesterov, else } b_t \\
        p &\leftarrow p - \gamma g

    Without momentum there is no state. The learning rate stays outside the buffer, as in torch.

    Parameters
    ----------
    params : ndarray, list, tuple, dict or list of groups
        Arrays of float32 or float64, updated in place.
    lr : float
        Learning rate :math:`\gamma`, at least 0.
    momentum : float
        Momentum :math:`\mu`, at least 0.
    dampening : float
        Dampening :math:`\tau` of the momentum; not applied to a parameter's first gradient.
    weight_decay : float
        L2 decay :math:`\lambda`, at least 0.
    nesterov : bool
        Nesterov momentum; needs momentum and no dampening.
    **options
        See :class:`instep.Optimizer`.

    State: ``momentum_buffer`` (with momentum).

    Raises
    ------
    TypeError, ValueError
        If an argument breaks its rule; the message names both.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
    learning", 2013.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.array([1.0, -2.0])
    >>> opt = instep.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     report = opt.step([2 * w])  # the gradient of sum(w ** 2)
    >>> w
    array([ 0.46, -0.92])
    """

    _rule: ClassVar[str] = "sgd"
    _numpy = staticmethod(sgd)
    _slot_names: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

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
    def _used_slots(h: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if h["momentum"] != 0 else ()

    @staticmethod
    def _scalars(h: dict[str, Any], t: int) -> tuple[int, tuple[float, ...]]:
        if h["momentum"] == 0:
            return 0, (h["lr"], 0.0, 1.0)
        variant = MOMENTUM + NESTEROV * h["nesterov"] + FIRST * (t == 1)
        return variant, (h["lr"], h["momentum"], 1 - h["dampening"])
