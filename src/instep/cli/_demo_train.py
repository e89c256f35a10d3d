"""A run of the demo: one order of batches, one recipe, one backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

import instep
from instep import nn
from instep.data import Dataset

from ._demo_recipes import Backend, Recipe

BATCH = 64


@dataclass
class Trained:
    """What a run did and how long its updates took."""

    params: dict[str, np.ndarray]
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    """For each step the norm of all gradients together, before anything is done to them."""
    first_norms: list[float] = field(default_factory=list)
    """The same of the first layer's."""
    seconds: list[float] = field(default_factory=list)
    accuracy: float | None = None
    """None for a run that diverged."""

    @property
    def failed(self) -> bool:
        """Whether the run diverged or did not learn to tell half of the test images."""
        return self.accuracy is None or self.accuracy < 0.5

    @property
    def update_us(self) -> float:
        """The median time of an update in microseconds."""
        return 1e6 * float(np.median(self.seconds))


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
    net = recipe.network.build(data.x_train.shape[1], data.classes, seed)
    loss = nn.SoftmaxCrossEntropy()
    opt = recipe.optimizer(net.params, backend)
    first = [g for name, g in net.grads.items() if name.startswith("linear0.")]
    run = Trained(net.params)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges leaves float32
        for _, batch in zip(range(steps), batches(len(data.x_train), seed), strict=False):
            value = loss.forward(net.forward(data.x_train[batch]), data.y_train[batch])
            run.losses.append(value)
            if not np.isfinite(value):
                return run
            net.backward(loss.backward())
            run.norms.append(instep.functional.global_norm(net.grads))
            run.first_norms.append(instep.functional.global_norm(first))
            start = perf_counter()
            opt.step(net.grads)
            run.seconds.append(perf_counter() - start)
            advance()
        run.accuracy = accuracy(net.eval(), data)
    return run


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
