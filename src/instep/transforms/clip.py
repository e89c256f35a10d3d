"""Clipping: by value, and by the norm of rows, tensors or all tensors together."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from .base import Argument, Context, Gradients, Transform, by_row, clip_factor, row_norms, times


@dataclasses.dataclass(frozen=True)
class ClipByValue(Transform):
    """Limit every element: ``g = min(max(g, -limit), limit)``. NaN stays NaN.

    Parameters
    ----------
    limit : float
        At least 0, in the unit of the gradient.

    Raises
    ------
    TypeError, ValueError
        If ``limit`` is not a finite number >= 0.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros(3)
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByValue(0.5)])
    >>> _ = opt.step([np.array([0.1, 7.0, -9.0])])
    >>> w
    array([-0.1, -0.5,  0.5])
    """

    limit: Argument
    _kind: ClassVar[int] = 0

    def _numpy(self, grads: Gradients, context: Context, limit: float) -> Gradients:
        del context
        return [self._clamp(g, g.dtype.type(limit)) for g in grads]

    @staticmethod
    def _clamp(g: np.ndarray, limit: Any) -> np.ndarray:
        return np.where(g < -limit, -limit, np.where(g > limit, limit, g))


@dataclasses.dataclass(frozen=True)
class ClipByNorm(Transform):
    """Limit the Euclidean norm of each tensor: ``g *= min(1, max_norm / (norm(g) + 1e-6))``.

    Parameters
    ----------
    max_norm : float
        At least 0, in the unit of the gradient.

    Raises
    ------
    TypeError, ValueError
        If ``max_norm`` is not a finite number >= 0.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros(2)
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByNorm(1.0)])
    >>> _ = opt.step([np.array([30.0, 40.0])])
    >>> w.round(6)
    array([-0.6, -0.8])
    """

    max_norm: Argument
    _kind: ClassVar[int] = 2

    def _numpy(self, grads: Gradients, context: Context, max_norm: float) -> Gradients:
        factors = [clip_factor(max_norm, norm) for norm in context.norms(grads)]
        return [times(g, factor) for g, factor in zip(grads, factors, strict=True)]


@dataclasses.dataclass(frozen=True)
class ClipByGlobalNorm(Transform):
    """Limit the norm of all tensors together: ``g *= min(1, max_norm / (norm + 1e-6))``.

    The report of the step has the norm before clipping (of the first such transform) as
    ``grad_norm``, and the factor (the product, if there are several) as ``clip_factor``.

    Parameters
    ----------
    max_norm : float
        At least 0, in the unit of the gradient.

    Raises
    ------
    TypeError, ValueError
        If ``max_norm`` is not a finite number >= 0.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w, b = np.zeros(1), np.zeros(1)
    >>> opt = instep.SGD([w, b], lr=1.0, transforms=[instep.ClipByGlobalNorm(1.0)])
    >>> report = opt.step([np.array([30.0]), np.array([40.0])])
    >>> report.grad_norm, round(report.clip_factor, 6)
    (50.0, 0.02)
    """

    max_norm: Argument
    _kind: ClassVar[int] = 3

    def _numpy(self, grads: Gradients, context: Context, max_norm: float) -> Gradients:
        norm = context.norm_of_all(grads)
        factor = clip_factor(max_norm, norm)
        context.add(norm, factor)
        return grads if factor == 1.0 else [times(g, factor) for g in grads]


@dataclasses.dataclass(frozen=True)
class ClipByRowNorm(Transform):
    """Limit the norm of each row: ``g[i] *= min(1, max_norm / (norm(g[i]) + 1e-6))``.

    A row is what one index of the first axis has; an array of one axis or none is one row.

    Parameters
    ----------
    max_norm : float
        At least 0, in the unit of the gradient.

    Raises
    ------
    TypeError, ValueError
        If ``max_norm`` is not a finite number >= 0.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.zeros((2, 2))
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByRowNorm(1.0)])
    >>> _ = opt.step([np.array([[30.0, 40.0], [0.3, 0.4]])])
    >>> w.round(6)
    array([[-0.6, -0.8],
           [-0.3, -0.4]])
    """

    max_norm: Argument
    _kind: ClassVar[int] = 4

    def _numpy(self, grads: Gradients, context: Context, max_norm: float) -> Gradients:
        del context
        factors = [[clip_factor(max_norm, n) for n in row_norms(g)] for g in grads]
        return [g * by_row(g, f) for g, f in zip(grads, factors, strict=True)]


@dataclasses.dataclass(frozen=True)
class AdaptiveClip(Transform):
    """Limit each row's norm in proportion to the parameter's: adaptive gradient clipping (AGC).

    With ``limit = clipping * max(norm(p[i]), eps)``, ``g[i] *= limit / max(norm(g[i]), 1e-6)``
    where ``norm(g[i]) > limit``. Rows are as in :class:`ClipByRowNorm`.

    Parameters
    ----------
    clipping : float
        The largest ratio of gradient norm to parameter norm, at least 0; 0.01 is usual.
    eps : float
        The least parameter norm that counts, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a finite number >= 0.

    References
    ----------
    Brock, De, Smith, Simonyan, "High-performance large-scale image recognition without
    normalization", 2021.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.array([3.0, 4.0])
    >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.AdaptiveClip(0.1)])
    >>> _ = opt.step([np.array([30.0, 40.0])])
    >>> w.round(6)
    array([2.7, 3.6])
    """

    clipping: Argument
    eps: Argument = 1e-3
    _kind: ClassVar[int] = 5

    def _numpy(self, grads: Gradients, context: Context, clipping: float, eps: float) -> Gradients:
        def factor(of_param: float, of_grad: float) -> float:
            limit = clipping * (eps if of_param < eps else of_param)
            return limit / (1e-6 if of_grad < 1e-6 else of_grad) if of_grad > limit else 1.0

        factors = [
            [factor(x, y) for x, y in zip(row_norms(p), row_norms(g), strict=True)]
            for p, g in zip(context.params, grads, strict=True)
        ]
        return [g * by_row(g, f) for g, f in zip(grads, factors, strict=True)]
