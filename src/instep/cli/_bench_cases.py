"""What is compared: optimizers, sizes, and data that every contestant starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..transforms import ClipByGlobalNorm, Transform
from ._bench_sizes import Size

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
        self.start: Arrays = [np.empty(shape, self.dtype) for shape in size.shapes]
        self.grads: Arrays = [np.empty(shape, self.dtype) for shape in size.shapes]
        for p, g in zip(self.start, self.grads, strict=True):
            _fill(rng, p.reshape(-1), g.reshape(-1))

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


def memory_needed(case: Case, size: Size, dtype: str, contestants: int) -> int:
    """Return about how many bytes so many contestants, the limit and the check hold at once."""
    shared = 3  # where all start, the gradients, and where the reference ends
    own = (contestants + 1) * (2 + case.slots)  # parameter, slots; some copy the gradient
    temporaries = 4  # of the reference; others have more, but not while it is at work
    return size.elements * np.dtype(dtype).itemsize * (shared + own + temporaries)
