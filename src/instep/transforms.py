"""Transforms of the gradients in flight, between the caller's arrays and the update.

They run in the order given, on the gradient as the caller passed it, and never write it.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from . import _reductions
from . import _validate as validate

Gradients = list[np.ndarray]


@dataclasses.dataclass
class Clipped:
    """What clipping by global norm found: norm before the first clip, product of the factors."""

    norm: float | None = None
    factor: float | None = None

    def add(self, norm: float, factor: float) -> None:
        """Take note of one more clip."""
        self.norm = norm if self.norm is None else self.norm
        self.factor = factor * (1.0 if self.factor is None else self.factor)


class Transform(ABC):
    """A function of all gradients of a step; subclasses hold one number each."""

    _kind: ClassVar[int]  # as cpp/pipeline.h numbers them
    _check: ClassVar[validate.Check]

    def __post_init__(self) -> None:
        """Check and convert the argument."""
        name = self._argument()
        value = type(self)._check(f"{type(self).__name__}: {name}", getattr(self, name))
        object.__setattr__(self, name, value)

    def _argument(self) -> str:
        return next(iter(self.__dataclass_fields__))  # type: ignore[attr-defined, no-any-return]

    def _native(self) -> tuple[int, float]:
        """Return the transform as the native plan takes it."""
        return self._kind, getattr(self, self._argument())

    @abstractmethod
    def _numpy(self, grads: Gradients, clipped: Clipped) -> Gradients:
        """Return the transformed gradients; the oracle of the native kernels."""


def clip_factor(max_norm: float, norm: float) -> float:
    """Return ``min(1, max_norm / (norm + 1e-6))``, torch's rule; NaN for a NaN norm."""
    factor = max_norm / (norm + 1e-6)
    return 1.0 if factor > 1.0 else factor


def _times(g: np.ndarray, factor: float) -> np.ndarray:
    moved: np.ndarray = g * g.dtype.type(factor)
    return moved


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

    limit: float
    _kind: ClassVar[int] = 0
    _check: ClassVar[validate.Check] = staticmethod(validate.number(low=0))

    def _numpy(self, grads: Gradients, clipped: Clipped) -> Gradients:
        del clipped
        return [self._clamp(g, g.dtype.type(self.limit)) for g in grads]

    @staticmethod
    def _clamp(g: np.ndarray, limit: Any) -> np.ndarray:
        return np.where(g < -limit, -limit, np.where(g > limit, limit, g))


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

    factor: float
    _kind: ClassVar[int] = 1
    _check: ClassVar[validate.Check] = staticmethod(validate.number())

    def _numpy(self, grads: Gradients, clipped: Clipped) -> Gradients:
        del clipped
        return [_times(g, self.factor) for g in grads]


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

    max_norm: float
    _kind: ClassVar[int] = 2
    _check: ClassVar[validate.Check] = staticmethod(validate.number(low=0))

    def _numpy(self, grads: Gradients, clipped: Clipped) -> Gradients:
        del clipped
        factors = [clip_factor(self.max_norm, _reductions.norm([g])) for g in grads]
        return [_times(g, factor) for g, factor in zip(grads, factors, strict=True)]


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

    max_norm: float
    _kind: ClassVar[int] = 3
    _check: ClassVar[validate.Check] = staticmethod(validate.number(low=0))

    def _numpy(self, grads: Gradients, clipped: Clipped) -> Gradients:
        norm = _reductions.norm(grads)
        factor = clip_factor(self.max_norm, norm)
        clipped.add(norm, factor)
        return grads if factor == 1.0 else [_times(g, factor) for g in grads]


def check(name: str, transforms: object) -> list[Transform]:
    """Accept a list or tuple of transforms."""
    if not isinstance(transforms, (list, tuple)):
        got = validate.shown(transforms)
        raise TypeError(f"{name}: must be a list or tuple of transforms; got {got}")
    for i, t in enumerate(transforms):
        if not isinstance(t, Transform):
            raise TypeError(
                f"{name}[{i}]: must be a transform, say instep.ClipByGlobalNorm(1.0); "
                f"got {validate.shown(t)}"
            )
    return list(transforms)
