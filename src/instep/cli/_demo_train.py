"""The runs of the demo: one network, one order of batches, several ways to update it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise
from time import perf_counter
from typing import Any, Literal

import numpy as np

import instep
from instep import nn
from instep.data import Dataset
from instep.transforms import Transform

BATCH = 64
HIDDEN_LAYERS = 6
WIDTH = 128
SLOPE = 0.2  # of the leaky ReLU: an explosion cannot end in units that are switched off for good
WARM_UP = 50

CLIP = instep.ClipByGlobalNorm(0.5)

Backend = Literal["native", "reference"]


@dataclass(frozen=True)
class Recipe:
    """A row of the table: an optimizer and what it does to gradients."""

    name: str
    make: Callable[..., instep.Optimizer]
    peak_lr: float
    clip: Transform | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def clipping(self) -> str:
        """What it does to the gradient, in a few letters: a word and the first argument."""
        if self.clip is None:
            return "no clip"
        word = WORDS[type(self.clip)]
        of_note = [f for f in fields(self.clip) if f.name != "eps"]  # type: ignore[arg-type]
        return f"{word} {getattr(self.clip, of_note[0].name):g}" if of_note else word

    def optimizer(self, params: Any, steps: int, backend: Backend) -> instep.Optimizer:
        """Return the optimizer for a run of so many steps."""
        transforms = [self.clip] if self.clip else []
        lr = schedule(self.peak_lr, steps)
        return self.make(params, lr=lr, transforms=transforms, backend=backend, **self.options)


WORDS: dict[type[Transform], str] = {
    instep.ClipByValue: "value",
    instep.ClipByNorm: "norm",
    instep.ClipByGlobalNorm: "global",
    instep.ClipByRowNorm: "row",
    instep.AdaptiveClip: "adaptive",
    instep.Centralize: "centralize",
    instep.Standardize: "standardize",
    instep.AddNoise: "noise",
    instep.Scale: "scale",
}

NESTEROV = {"momentum": 0.9, "nesterov": True}
PLAIN = Recipe("SGD", instep.SGD, 1.0)
CLIPPED = Recipe("SGD", instep.SGD, 1.0, CLIP)
RECIPES = (
    PLAIN,
    Recipe("SGD", instep.SGD, 1.0, instep.ClipByValue(0.003)),
    Recipe("SGD", instep.SGD, 1.0, instep.ClipByNorm(0.1)),
    CLIPPED,
    Recipe("Nesterov", instep.SGD, 0.1, CLIP, NESTEROV),
    Recipe("Adam", instep.Adam, 1e-3),
    Recipe("AdamW", instep.AdamW, 1e-3, instep.ClipByGlobalNorm(1.0)),
)
EVERY = (
    *RECIPES,
    Recipe("SGD", instep.SGD, 1.0, instep.ClipByRowNorm(0.03)),
    Recipe("SGD", instep.SGD, 1.0, instep.AdaptiveClip(0.01)),
    Recipe("SGD", instep.SGD, 0.1, instep.Centralize()),
    Recipe("SGD", instep.SGD, 0.01, instep.Standardize()),
    Recipe("SGD", instep.SGD, 0.1, instep.AddNoise(1e-4)),
    Recipe("SGD", instep.SGD, 10.0, instep.Scale(0.01)),
    Recipe("Adagrad", instep.Adagrad, 0.01),
    Recipe("Adadelta", instep.Adadelta, 1.0),
    Recipe("RMSprop", instep.RMSprop, 1e-3),
    Recipe("Adamax", instep.Adamax, 1e-2),
    Recipe("NAdam", instep.NAdam, 1e-3),
    Recipe("RAdam", instep.RAdam, 3e-3),
    Recipe("ASGD", instep.ASGD, 0.1),
    Recipe("Rprop", instep.Rprop, 1e-3),
    Recipe("Lion", instep.Lion, 3e-4),
    Recipe("SignSGD", instep.SignSGD, 3e-4),
    Recipe("LAMB", instep.LAMB, 1e-2),
    Recipe("LARS", instep.LARS, 1.0),
    Recipe("Yogi", instep.Yogi, 1e-2),
    Recipe("AdaBelief", instep.AdaBelief, 1e-3),
)
"""Each optimizer and each transform."""


@dataclass
class Trained:
    """What a run did and how long its updates took."""

    layers: list[str]
    params: dict[str, np.ndarray]
    losses: list[float] = field(default_factory=list)
    norms: list[list[float]] = field(default_factory=list)
    """For each step the norm of each layer's gradient, before clipping."""
    seconds: list[float] = field(default_factory=list)
    accuracy: float | None = None
    """None for a run that diverged."""

    @property
    def step_norms(self) -> np.ndarray:
        """The norm of all gradients of each step."""
        norms: np.ndarray = np.hypot.reduce(np.array(self.norms), axis=1)
        return norms

    @property
    def largest_norm(self) -> float:
        """The largest norm of all gradients; NaN counts for nothing."""
        return float(np.fmax.reduce(self.step_norms))

    @property
    def update_us(self) -> float:
        """The median time of an update in microseconds."""
        return 1e6 * float(np.median(self.seconds))


def schedule(peak: float, steps: int) -> Callable[[int], float]:
    """Return a learning rate that rises in a line to its peak, and falls in a line to 0."""
    rise = warm_up(steps)
    fall = max(steps - rise, 1)
    return lambda t: peak * min((t + 1) / rise, (steps - t) / fall)


def warm_up(steps: int) -> int:
    """Return for how many of the steps the learning rate rises."""
    return min(WARM_UP, -(-steps // 4))


def network(pixels: int, classes: int, seed: int) -> nn.Sequential:
    """Return the network, deep enough for gradients to explode; one seed gives one start."""
    rng = np.random.default_rng([seed, 0])
    sizes = [pixels] + [WIDTH] * HIDDEN_LAYERS
    hidden: list[nn.Layer] = []
    for n_in, n_out in pairwise(sizes):
        hidden += [nn.Linear(n_in, n_out, rng), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, classes, rng, init=nn.xavier))


def batches(count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield indices of batches without end, every epoch in a new order."""
    rng = np.random.default_rng([seed, 1])
    size = min(BATCH, count)
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def train(
    recipe: Recipe,
    data: Dataset,
    steps: int,
    seed: int,
    backend: Backend,
    advance: Callable[[], None],
) -> Trained:
    """Train until the steps are done or the loss is not finite; only updates are timed."""
    net = network(data.x_train.shape[1], data.classes, seed)
    loss = nn.SoftmaxCrossEntropy()
    opt = recipe.optimizer(net.params, steps, backend)
    layers = list(dict.fromkeys(name.split(".")[0] for name in net.params))
    run = Trained(layers, net.params)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges leaves float32
        for _, batch in zip(range(steps), batches(len(data.x_train), seed), strict=False):
            value = loss.forward(net.forward(data.x_train[batch]), data.y_train[batch])
            run.losses.append(value)
            if not np.isfinite(value):
                return run
            net.backward(loss.backward())
            run.norms.append([layer_norm(net.grads, layer) for layer in layers])
            start = perf_counter()
            opt.step(net.grads)
            run.seconds.append(perf_counter() - start)
            advance()
        run.accuracy = accuracy(net, data)
    return run


def layer_norm(grads: dict[str, np.ndarray], layer: str) -> float:
    """Return the norm of a layer's gradients."""
    own = [g for name, g in grads.items() if name.startswith(f"{layer}.")]
    return instep.functional.global_norm(own)


def accuracy(net: nn.Layer, data: Dataset) -> float | None:
    """Return the share of test images classified rightly; None if the outputs are not finite."""
    logits = net.forward(data.x_test)
    if not np.isfinite(logits).all():
        return None
    return float((logits.argmax(axis=1) == data.y_test).mean())


def same_bits(a: Trained, b: Trained) -> bool:
    """Whether two runs ended at the same step with the same weights, a NaN equalling a NaN."""
    pairs = [(p, b.params[name]) for name, p in a.params.items()]
    return len(a.losses) == len(b.losses) and all(
        bool(((p.view(np.uint32) == q.view(np.uint32)) | (np.isnan(p) & np.isnan(q))).all())
        for p, q in pairs
    )
