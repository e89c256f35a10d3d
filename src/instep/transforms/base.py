"""What all transforms have in common, and what they are made of."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from .. import _reductions
from .. import _validate as validate

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
    _check: ClassVar[validate.Check] = staticmethod(validate.number(low=0))

    def __post_init__(self) -> None:
        """Check and convert the arguments."""
        for name in self._arguments():
            value = type(self)._check(f"{type(self).__name__}: {name}", getattr(self, name))
            object.__setattr__(self, name, value)

    def _arguments(self) -> list[str]:
        return [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]

    def _native(self) -> tuple[int, float, float]:
        """Return the transform as the native plan takes it: its kind, its argument, its eps."""
        values = [getattr(self, name) for name in self._arguments()]
        first, second = [*values, 0.0, 0.0][:2]
        return self._kind, first, second

    @abstractmethod
    def _numpy(self, grads: Gradients, params: Gradients, clipped: Clipped) -> Gradients:
        """Return the transformed gradients; the oracle of the native kernels."""


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


def clip_factor(max_norm: float, norm: float) -> float:
    """Return ``min(1, max_norm / (norm + 1e-6))``, torch's rule; NaN for a NaN norm."""
    factor = max_norm / (norm + 1e-6)
    return 1.0 if factor > 1.0 else factor


def times(g: np.ndarray, factor: float) -> np.ndarray:
    """Return the gradient times a factor that is rounded to its dtype first."""
    moved: np.ndarray = g * g.dtype.type(factor)
    return moved


def rows(a: np.ndarray) -> np.ndarray:
    """Return an array as rows: one for each index of the first axis; others are one row."""
    return a.reshape(a.shape[0], -1) if a.ndim > 1 and a.size else a.reshape(1, -1)


def by_row(g: np.ndarray, values: list[float]) -> np.ndarray:
    """Return one value for each row, in the dtype of the array, to be broadcast over it."""
    column = np.array(values).astype(g.dtype)
    return column.reshape(-1, *[1] * (g.ndim - 1)) if g.ndim > 1 and g.size else column[0]


def row_norms(a: np.ndarray) -> list[float]:
    """Return the norm of each row."""
    return [_reductions.norm([row]) for row in rows(a)]
