"""What is compared: optimizers, sizes, and data that every contestant starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..transforms import ClipByGlobalNorm, Transform

LR = 1e-3
BETA1, BETA2 = 0.9, 0.999
EPS = 1e-8
MOMENTUM = 0.9
CHUNK = 1 << 20  # elements: what is made or compared at a time, so that large arrays fit

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """An optimizer with its options."""

    name: str
    title: str
    optimizer: str
    """The class, which has the same name in instep and in torch."""
    slots: int
    """How many arrays of state a parameter has."""
    weight_decay: float = 0.0
    """Decoupled."""
    max_norm: float | None = None
    """Where to clip the norm of all gradients together."""
    transform: Transform | None = None
    """What else is done to gradients."""
    defaults: bool = False
    """Whether hyperparameters are left as they are (lr is given where there is no default)."""
    again: int = 0
    """How many arrays a rule reads in a pass before the update: those whose norms it needs."""

    @property
    def hyper(self) -> dict[str, Any]:
        """The constructor's arguments, the same for instep and torch."""
        if self.defaults:
            return {"lr": 0.1} if self.optimizer == "LARS" else {}
        if self.optimizer == "SGD":
            return {"lr": LR, "momentum": MOMENTUM}
        betas = (BETA1, BETA2)
        return {"lr": LR, "betas": betas, "eps": EPS, "weight_decay": self.weight_decay}

    @property
    def transforms(self) -> list[Transform]:
        """What instep's optimizer does to gradients."""
        clip = [] if self.max_norm is None else [ClipByGlobalNorm(self.max_norm)]
        return [*clip, *([self.transform] if self.transform else [])]

    @property
    def reads(self) -> int:
        """How many arrays must be read before the first update can be made.

        A global norm must be known before, so clipping reads the gradient once more.
        """
        return self.again + (self.max_norm is not None)

    def bytes_per_element(self, itemsize: int) -> int:
        """Return what a step must move: parameter and slots both ways, the gradient in."""
        return itemsize * (2 * (1 + self.slots) + 1 + self.reads)


CASES = (
    Case("adam", "Adam", "Adam", slots=2),
    Case(
        "adamw-clip",
        "AdamW, clipping by global norm",
        "AdamW",
        slots=2,
        weight_decay=0.1,
        max_norm=1.0,
    ),
    Case("sgd-momentum", "SGD with momentum", "SGD", slots=1),
)


class Size(NamedTuple):
    """So many arrays of so many elements."""

    label: str
    tensors: int
    length: int
    rows: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each array."""
        return (self.length,) if self.rows == 1 else (self.rows, self.length // self.rows)

    @property
    def elements(self) -> int:
        """How many elements there are in all."""
        return self.tensors * self.length


SIZES = (
    Size("10", 1, 10),
    Size("1e3", 1, 1_000),
    Size("1e4", 1, 10_000),
    Size("1e5", 1, 100_000),
    Size("1e6", 1, 1_000_000),
    Size("1.6e7", 1, 16_000_000),
    Size("6.4e7", 1, 64_000_000),
    Size("1000 x 64", 1000, 64),
)


class Problem:
    """A case at a size, with parameters and gradients to start from.

    Magnitudes are chosen for the check. Parameters below 1/50 make the rounding of a parameter
    small beside its update. Gradients between 1/2 and 3/2 in magnitude keep eps from weighing in,
    and with it the error of float32 norms, which in some contestants is 0.2 percent at 6.4e7.
    """

    def __init__(self, case: Case, size: Size, dtype: str) -> None:
        self.case = case
        self.size = size
        self.dtype = np.dtype(dtype)
        rng = np.random.default_rng(size.elements)
        self.start: Arrays = [np.empty(size.length, self.dtype) for _ in range(size.tensors)]
        self.grads: Arrays = [np.empty(size.length, self.dtype) for _ in range(size.tensors)]
        for p, g in zip(self.start, self.grads, strict=True):
            _fill(rng, p, g)
        self.start = [p.reshape(size.shape) for p in self.start]
        self.grads = [g.reshape(size.shape) for g in self.grads]

    def __str__(self) -> str:
        """Name case and size, for messages."""
        return f"{self.case.title}, {self.size.label} elements, {self.dtype}"

    @property
    def bytes_per_step(self) -> int:
        """What a step must move."""
        return self.size.elements * self.case.bytes_per_element(self.dtype.itemsize)


def _fill(rng: np.random.Generator, p: np.ndarray, g: np.ndarray) -> None:
    for first in range(0, p.size, CHUNK):
        part = slice(first, first + CHUNK)
        n = p[part].size
        p[part] = rng.uniform(-0.02, 0.02, n)
        g[part] = rng.uniform(0.5, 1.5, n) * rng.choice((-1.0, 1.0), n)


def memory_needed(case: Case, size: Size, dtype: str) -> int:
    """Return about how many bytes all contestants together hold at once."""
    own = 6 * (1 + case.slots)  # parameter and slots of five contestants and the limit
    shared = 3  # where all start, the gradients, and torch's copy of them
    temporaries = 8  # of the reference, which sums a norm in double precision
    return size.elements * np.dtype(dtype).itemsize * (own + shared + temporaries)
