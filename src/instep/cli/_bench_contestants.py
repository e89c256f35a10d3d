"""Who competes: instep, its reference, and NumPy as people write it. torch is in _bench_torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from math import sqrt
from typing import ClassVar

import numpy as np

import instep
from instep.transforms import Transform

from ._bench_cases import BETA1, BETA2, EPS, LR, MOMENTUM, Arrays, Case
from ._bench_sizes import Size

BLOCK = (
    8192  # elements: five such blocks stay in a level 2 cache while a dozen loops pass over them
)


class Contestant(ABC):
    """An optimizer made for one case, with parameters of its own.

    Parameters
    ----------
    case : Case
        Which optimizer, with which options.
    start : list of ndarray
        The parameters to start from; they are copied.
    grads : list of ndarray
        The gradients of every step; they are only read.
    """

    name: ClassVar[str]
    """As JSON has it."""
    label: ClassVar[str]
    """As people read it."""
    exact: ClassVar[bool] = False
    """Whether it must equal the reference to the last bit."""
    clips_apart: ClassVar[float] = 0.0
    """How far from the reference its clipping alone may take it, for each of the updates."""

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        self.case = case
        self.params: Arrays = [p.copy() for p in start]
        self.grads = grads

    def refresh(self) -> None:
        """Take over the gradients as they are now."""

    @abstractmethod
    def step(self) -> None:
        """Take one step."""

    def reached(self) -> Arrays:
        """Return the parameters as they are now."""
        return self.params

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        """Return why it cannot take part, or None if it can."""
        del case, size, dtype, threads
        return None

    @classmethod
    def use_threads(cls, n: int) -> None:
        """Let its library use so many threads."""


class Native(Contestant):
    """What this package is for."""

    name = "instep"
    label = "instep"
    exact = True
    backend: ClassVar[str] = "native"

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        cls = getattr(instep, case.optimizer)
        options = {"transforms": self.transforms(case), "backend": self.backend}
        self.optimizer = cls(self.params, **case.hyper, **options)

    def transforms(self, case: Case) -> list[Transform]:
        """Return what is done to gradients."""
        return case.transforms

    def step(self) -> None:
        """Take one step."""
        self.optimizer.step(self.grads)

    @classmethod
    def use_threads(cls, n: int) -> None:
        """Let instep use so many threads."""
        instep.set_num_threads(n)


class Reference(Native):
    """The oracle, which is written to be read."""

    name = "reference"
    label = "reference"
    backend = "reference"


class Plain(Native):
    """The same without its transforms: what these cost is the difference."""

    name = "plain"
    label = "without transforms"

    def transforms(self, case: Case) -> list[Transform]:
        """Return nothing."""
        del case
        return []


class _Loop(Contestant):
    """What the two NumPy contestants have in common."""

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        self.slots = [[np.zeros_like(p) for _ in range(case.slots)] for p in self.params]
        self.t = 0
        update = self._sgd if case.optimizer == "SGD" else self._adam
        self.update: Callable[..., None] = update

    @abstractmethod
    def _adam(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None: ...

    @abstractmethod
    def _sgd(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None: ...


class Idiom(_Loop):
    """The formulas typed in as they stand, as in tutorials: each operator makes a new array."""

    name = "numpy_temporaries"
    label = "NumPy"

    def step(self) -> None:
        """Take one step."""
        self.t += 1
        grads = self.grads if self.case.max_norm is None else self._clipped(self.case.max_norm)
        for p, g, slots in zip(self.params, grads, self.slots, strict=True):
            self.update(p, g, slots)

    def _clipped(self, max_norm: float) -> Arrays:
        norm = sqrt(sum(float(np.sum(g**2)) for g in self.grads))
        factor = min(1.0, max_norm / (norm + 1e-6))
        return [g * factor for g in self.grads]

    def _adam(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None:
        m, v = slots
        if self.case.weight_decay:
            p -= LR * self.case.weight_decay * p
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        slots[:] = m, v
        m_hat = m / (1 - BETA1**self.t)
        v_hat = v / (1 - BETA2**self.t)
        p -= LR * m_hat / (np.sqrt(v_hat) + EPS)

    def _sgd(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None:
        slots[0] = MOMENTUM * slots[0] + g
        p -= LR * slots[0]


def _flat(p: np.ndarray, g: np.ndarray, slots: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
    return p.reshape(-1), g.reshape(-1), [s.reshape(-1) for s in slots]


class Tuned(_Loop):
    """NumPy at its best: in place, no temporaries, few passes, in blocks that stay in the cache."""

    name = "numpy_out"
    label = "NumPy out="

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        self.scratch, self.clipped = np.empty((2, BLOCK), start[0].dtype)
        self.blocks = [
            (p[at : at + BLOCK], g[at : at + BLOCK], [s[at : at + BLOCK] for s in slots])
            for p, g, slots in map(_flat, self.params, self.grads, self.slots)
            for at in range(0, p.size, BLOCK)
        ]

    def step(self) -> None:
        """Take one step."""
        self.t += 1
        if self.case.max_norm is None:
            for p, g, slots in self.blocks:
                self.update(p, g, slots)
            return
        norm = sqrt(sum(float(np.dot(g, g)) for _, g, _ in self.blocks))
        factor = min(1.0, self.case.max_norm / (norm + 1e-6))
        for p, g, slots in self.blocks:
            self.update(p, np.multiply(g, factor, out=self.clipped[: g.size]), slots)

    def _adam(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None:
        m, v = slots
        s = self.scratch[: p.size]
        root = sqrt(1 - BETA2**self.t)
        if self.case.weight_decay:
            p *= 1 - LR * self.case.weight_decay
        m *= BETA1
        np.multiply(g, 1 - BETA1, out=s)
        m += s
        v *= BETA2
        np.multiply(g, g, out=s)
        s *= 1 - BETA2
        v += s
        np.sqrt(v, out=s)
        s += EPS * root
        np.divide(m, s, out=s)
        s *= LR * root / (1 - BETA1**self.t)
        p -= s

    def _sgd(self, p: np.ndarray, g: np.ndarray, slots: Arrays) -> None:
        (buf,) = slots
        s = self.scratch[: p.size]
        buf *= MOMENTUM
        buf += g
        np.multiply(buf, LR, out=s)
        p -= s


def contestants() -> list[type[Contestant]]:
    """Return who can compete here, instep first."""
    found: list[type[Contestant]] = [Native, Reference, Idiom, Tuned]
    if find_spec("torch") is not None:
        from ._bench_torch import TorchFused  # noqa: PLC0415 - an optional package

        found.append(TorchFused)
    return found
