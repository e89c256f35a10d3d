"""The rows of the demo: two ways for training to fail, and what can be done about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

import instep
from instep import nn
from instep.transforms import Transform

HIDDEN_LAYERS = 6
WIDTH = 128
SLOPE = 0.2  # of the leaky ReLU: an explosion cannot end in units that are switched off for good
EXPLODES, VANISHES = 0.5, 0.1
"""The learning rates of SGD in the two stories."""
HALVED_AT = 10
CURED = 0.92
"""The accuracy that a cure reaches with each of the seeds 0 to 9, if it states no other."""

Backend = Literal["native", "reference"]


@dataclass(frozen=True)
class Network:
    """What is between the linear layers of the network, which are the same in all runs."""

    activation: Callable[[], nn.Layer]
    batch_norm: bool = False
    residual: bool = False

    def build(self, pixels: int, classes: int, seed: int) -> nn.Sequential:
        """Return the network; one seed gives the same weights to each kind."""
        rng = np.random.default_rng([seed, 0])
        sizes = [pixels] + [WIDTH] * HIDDEN_LAYERS
        hidden: list[nn.Layer] = []
        for n_in, n_out in pairwise(sizes):
            block = [nn.Linear(n_in, n_out, rng), *self._after_linear(n_out)]
            # Pixels cannot be added to units: the first layer stays as it is.
            hidden += [nn.Residual(*block)] if self.residual and hidden else block
        return nn.Sequential(*hidden, nn.Linear(WIDTH, classes, rng, init=nn.xavier))

    def _after_linear(self, n: int) -> list[nn.Layer]:
        return [nn.BatchNorm(n), self.activation()] if self.batch_norm else [self.activation()]


LEAKY = Network(lambda: nn.LeakyReLU(SLOPE))
SIGMOID = Network(nn.Sigmoid)


@dataclass(frozen=True, eq=False)  # a key by its identity
class Recipe:
    """A row of the table: a network and how it is trained."""

    name: str
    lr: float
    make: Callable[..., instep.Optimizer] = instep.SGD
    transform: Transform | None = None
    options: dict[str, Any] = field(default_factory=dict)
    decays: bool = False
    network: Network = LEAKY
    reaches: float | None = CURED
    """The accuracy that the demo reaches on the digits; None for what cannot help."""

    def optimizer(self, params: Any, backend: Backend) -> instep.Optimizer:
        """Return the optimizer."""
        lr = decayed(self.lr) if self.decays else self.lr
        transforms = [self.transform] if self.transform else []
        return self.make(params, lr=lr, transforms=transforms, backend=backend, **self.options)


@dataclass(frozen=True, eq=False)
class Group:
    """Rows that belong together, and why they do what they do; others are shown with --all."""

    head: str
    why: str
    recipes: tuple[Recipe, ...]
    others: tuple[Recipe, ...] = ()


def decayed(lr: float) -> Callable[[int], float]:
    """Return a learning rate that falls as 1 / t, half of it after HALVED_AT steps."""
    return lambda t: lr / (1 + t / HALVED_AT)


WORDS: dict[type[Transform], str] = {
    instep.ClipByValue: "value clip",
    instep.ClipByNorm: "norm clip",
    instep.ClipByGlobalNorm: "global clip",
    instep.ClipByRowNorm: "row clip",
    instep.AdaptiveClip: "AGC",
    instep.Centralize: "centralize",
    instep.Standardize: "standardize",
    instep.AddNoise: "noise",
    instep.Scale: "scale",
}


def treated(sick: Recipe, transform: Transform, **changes: Any) -> Recipe:
    """Return a recipe that does something to the gradient of another; its name says what."""
    of_note = [f.name for f in fields(transform) if f.name != "eps"]  # type: ignore[arg-type]
    first = [f"{getattr(transform, name):g}" for name in of_note[:1]]
    name = " ".join([WORDS[type(transform)], *first])
    return replace(sick, name=name, transform=transform, **{"reaches": CURED, **changes})


PLAIN = Recipe("plain SGD", EXPLODES, reaches=None)
SLOWER = replace(PLAIN, name="lower lr", lr=EXPLODES / 5, reaches=CURED)
DECAYED = replace(PLAIN, name="lr decay", decays=True, reaches=CURED)
NESTEROV = Recipe("Nesterov 0.9", 0.03, options={"momentum": 0.9, "nesterov": True})
CLIPPED = treated(PLAIN, instep.ClipByGlobalNorm(0.5))
ADAM = Recipe("Adam", 1e-3, instep.Adam)

STUCK = Recipe("plain SGD", VANISHES, network=SIGMOID, reaches=None)
STUCK_NOISE = treated(STUCK, instep.AddNoise(1.0), reaches=0.75)
STUCK_ADAM = Recipe("Adam", 3e-3, instep.Adam, network=SIGMOID, reaches=0.6)
RESIDUAL = replace(STUCK, name="residual", network=replace(SIGMOID, residual=True), reaches=0.75)
BATCH_NORM = replace(
    STUCK, name="batch norm", network=replace(SIGMOID, batch_norm=True), reaches=CURED
)
LEAKY_RELU = replace(STUCK, name="Leaky ReLU", network=LEAKY, reaches=CURED)

GROUPS = (
    Group(
        f"Exploding gradients: SGD with a learning rate of {EXPLODES:g}, and other step sizes",
        "A step too long ends where the gradient is larger, and so is the next step.",
        (PLAIN, SLOWER, DECAYED, NESTEROV),
        (Recipe("ASGD", EXPLODES / 5, instep.ASGD),),
    ),
    Group(
        "The same SGD with clipped or changed gradients",
        "Clipping and standardizing bound every step; centralizing and noise do not.",
        (
            treated(PLAIN, instep.ClipByValue(0.003)),
            treated(PLAIN, instep.ClipByNorm(0.1)),
            CLIPPED,
            treated(PLAIN, instep.AdaptiveClip(0.01)),
            treated(PLAIN, instep.Standardize(), lr=2e-3),
            treated(PLAIN, instep.Centralize(), reaches=None),
            treated(PLAIN, instep.AddNoise(1e-4), reaches=None),
        ),
        (treated(PLAIN, instep.ClipByRowNorm(0.03)), treated(PLAIN, instep.Scale(0.2))),
    ),
    Group(
        "Adaptive optimizers in its place",
        "They divide a gradient by the size of those before: its scale hardly matters.",
        (
            Recipe("Adagrad", 0.01, instep.Adagrad),
            Recipe("Adadelta", 1.0, instep.Adadelta),
            Recipe("RMSprop", 1e-3, instep.RMSprop),
            ADAM,
            Recipe("AdamW", 1e-3, instep.AdamW),
            Recipe("Adamax", 2e-3, instep.Adamax),
            Recipe("NAdam", 1e-3, instep.NAdam),
            Recipe("RAdam", 1e-3, instep.RAdam),
            Recipe("Yogi", 3e-3, instep.Yogi),
            Recipe("AdaBelief", 1e-3, instep.AdaBelief),
            Recipe("LAMB", 3e-3, instep.LAMB),
            Recipe("LARS", 1.0, instep.LARS),
            Recipe("Rprop", 1e-3, instep.Rprop),
        ),
        (Recipe("Lion", 3e-4, instep.Lion), Recipe("SignSGD", 3e-4, instep.SignSGD)),
    ),
    Group(
        f"Vanishing gradients: a network of sigmoids, SGD with a learning rate of {VANISHES:g}",
        "A sigmoid's slope is at most 1/4: each layer passes on less of the gradient.",
        (
            STUCK,
            treated(STUCK, instep.ClipByGlobalNorm(0.5), reaches=None),
            treated(STUCK, instep.Standardize(), lr=2e-3, reaches=0.3),
            STUCK_NOISE,
            STUCK_ADAM,
            RESIDUAL,
            BATCH_NORM,
            LEAKY_RELU,
        ),
    ),
)
EVERY = tuple(replace(g, recipes=g.recipes + g.others, others=()) for g in GROUPS)
"""With every optimizer and every transform."""


def recipes(groups: tuple[Group, ...]) -> list[Recipe]:
    """Return all recipes of some groups."""
    return [recipe for group in groups for recipe in group.recipes]
