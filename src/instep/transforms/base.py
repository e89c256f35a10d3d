"""What all transforms have in common, and what they are made of."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _reductions
from .. import _validate as validate

Gradients = list[np.ndarray]
Native = tuple[int, float, float, int]
Argument = float | Callable[[int], float]


@dataclasses.dataclass
class Context:
    """What a transform may know besides the gradients; what clipping by global norm has found."""

    step: int = 1
    params: Gradients = dataclasses.field(default_factory=list)
    numbers: Sequence[int] = ()  # the place of each tensor among all parameters
    first: Gradients | None = None  # the gradients before all transforms, being means:
    sums: Gradients = dataclasses.field(default_factory=list)
    mean: float = 1.0
    norm: float | None = None  # before the first clip
    factor: float | None = None  # the product of all

    def norms(self, grads: Gradients) -> list[float]:
        """Return the norm of each gradient."""
        return [self.norm_of_all(grads, [i]) for i in range(len(grads))]

    def norm_of_all(self, grads: Gradients, chosen: Sequence[int] | None = None) -> float:
        """Return the norm of some gradients together, of means that of the sums times 1/n."""
        of_sums = grads is self.first
        source = self.sums if of_sums else grads
        norm = _reductions.norm([source[i] for i in chosen] if chosen is not None else source)
        return norm * self.mean if of_sums else norm

    def add(self, norm: float, factor: float) -> None:
        """Take note of one more clip."""
        self.norm = norm if self.norm is None else self.norm
        self.factor = factor * (1.0 if self.factor is None else self.factor)


class Transform(ABC):
    """A function of all gradients of a step; subclasses hold its arguments.

    An argument may be a function of the number of steps taken so far, as hyperparameters may.
    """

    _kind: ClassVar[int]  # as cpp/pipeline.h numbers them
    _ordered: ClassVar[bool] = False  # whether elements are taken in C order, as by the plan's walk
    _check: ClassVar[validate.Check] = staticmethod(validate.number(low=0))

    def __post_init__(self) -> None:
        """Check and convert the arguments."""
        for name in self._arguments():
            value = getattr(self, name)
            check = validate.schedule if callable(value) else type(self)._check
            object.__setattr__(self, name, check(self._shown(name), value))

    def _arguments(self) -> list[str]:
        return [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]

    def _shown(self, name: str) -> str:
        return f"{type(self).__name__}: {name}"

    def _values(self, step: int) -> list[Any]:
        """Return the arguments for a step (from 1), schedules evaluated and checked."""
        return [self._value(name, getattr(self, name), step) for name in self._arguments()]

    def _value(self, name: str, value: Any, step: int) -> Any:
        if not callable(value):
            return value
        return validate.asked(self._shown(name), value, step - 1, type(self)._check)

    def schedules(self) -> dict[str, Callable[[int], float]]:
        """Return those of the arguments that are functions of the steps taken."""
        pairs = ((name, getattr(self, name)) for name in self._arguments())
        return {name: value for name, value in pairs if callable(value)}

    def _moving(self) -> bool:
        """Whether anything changes from step to step."""
        return bool(self.schedules())

    def _native(self, step: int) -> Native:
        """Return the transform as the native plan takes it: kind, argument, eps, seed."""
        first, second = [*self._values(step), 0.0, 0.0][:2]
        return self._kind, first, second, 0

    def apply(self, grads: Gradients, context: Context) -> Gradients:
        """Return the transformed gradients, by NumPy."""
        return self._numpy(grads, context, *self._values(context.step))

    @abstractmethod
    def _numpy(self, grads: Gradients, context: Context, *values: Any, **none: Any) -> Gradients:
        """Return the transformed gradients; the oracle of the native kernels."""


def check(name: str, transforms: object) -> list[Transform]:
    """Accept a list or tuple of transforms."""
    if not isinstance(transforms, (list, tuple)):
        got = validate.shown(transforms)
        hint = f"; write {name}=[...]" if isinstance(transforms, Transform) else ""
        raise TypeError(f"{name}: must be a list or tuple of transforms; got {got}{hint}")
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
    return _reductions.row_norms(rows(a))
