"""Scaling, centering and standardizing."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from .. import _reductions
from .. import _validate as validate
from .base import Argument, Context, Gradients, Native, Transform, by_row, rows, times


@dataclasses.dataclass(frozen=True)
class Scale(Transform):
    """Multiply every gradient by a constant: ``g = factor * g``.

    Parameters
    ----------
    factor : float
        Finite; ``1 / n`` turns a sum over n samples into their mean.

    Raises
    ------
    TypeError, ValueError
        If ``factor`` is not a finite number.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros(2)
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.Scale(0.25)])
    >>> _ = opt.step([np.array([4.0, 8.0])])
    >>> w
    array([-1., -2.])
    """

    factor: Argument
    _kind: ClassVar[int] = 1
    _check: ClassVar[validate.Check] = staticmethod(validate.number())

    def _numpy(self, grads: Gradients, context: Context, factor: float) -> Gradients:
        del context
        return [times(g, factor) for g in grads]


@dataclasses.dataclass(frozen=True)
class Centralize(Transform):
    """Subtract the mean of each row, of tensors of two axes or more: ``g[i] -= mean(g[i])``.

    References
    ----------
    Yong, Huang, Hua, Zhang, "Gradient centralization: A new optimization technique for deep neural
    networks", 2020.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros((2, 2))
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.Centralize()])
    >>> _ = opt.step([np.array([[1.0, 3.0], [5.0, 5.0]])])
    >>> w
    array([[ 1., -1.],
           [ 0.,  0.]])
    """

    _kind: ClassVar[int] = 6

    def _numpy(self, grads: Gradients, context: Context) -> Gradients:
        del context
        return [self._centered(g) for g in grads]

    @staticmethod
    def _centered(g: np.ndarray) -> np.ndarray:
        if g.ndim < 2 or g.size == 0:
            return g
        means = _reductions.row_means(rows(g))
        moved: np.ndarray = g - by_row(g, means)
        return moved


@dataclasses.dataclass(frozen=True)
class Standardize(Transform):
    """Shift and scale each tensor to mean 0 and deviation 1: ``g = (g - mean) / (std + eps)``.

    The deviation is the population's. A tensor of one element is left alone.

    Parameters
    ----------
    eps : float
        Added to the deviation, at least 0.

    Raises
    ------
    TypeError, ValueError
        If ``eps`` is not a finite number >= 0.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros(2)
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.Standardize()])
    >>> _ = opt.step([np.array([10.0, 30.0])])
    >>> w.round(6)
    array([ 1., -1.])
    """

    eps: Argument = 1e-8
    _kind: ClassVar[int] = 7

    def _native(self, step: int) -> Native:
        return self._kind, 0.0, self._values(step)[0], 0

    def _numpy(self, grads: Gradients, context: Context, eps: float) -> Gradients:
        del context
        return [self._standard(g, eps) for g in grads]

    @staticmethod
    def _standard(g: np.ndarray, eps: float) -> np.ndarray:
        if g.size < 2:
            return g
        shifted = g - g.dtype.type(_reductions.mean(g))
        spread = _reductions.norm([shifted]) / math.sqrt(g.size) + eps
        scaled: np.ndarray = shifted / g.dtype.type(spread)
        return scaled
