"""SGD with annealed gradient noise on handwritten digits, with and without clipping.

Neelakantan et al. (2015) add normal noise of variance eta / (1 + t)^0.55 to every gradient: it
shakes a deep network out of a poor start. The gradient is the mean over the samples of a batch, and
the learning rate decays. Run `python examples/gradient_noise_sgd.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import instep
from common import batches, images, show, with_both
from instep import nn

STEPS, BATCH, LR = 500, 64, 0.5
SIZES = [64, *[64] * 6, 10]
NOISE = instep.AddNoise(eta=1e-4, gamma=0.55, seed=0)
CLIP = instep.ClipByGlobalNorm(1.0)
RUNS: dict[str, list[Any]] = {
    "SGD": [],
    "SGD, noise": [NOISE],
    "SGD, clipped": [CLIP],
    "SGD, clipped, noise": [CLIP, NOISE],
}


@dataclass
class Outcome:
    """What came of a run."""

    losses: list[float]
    norms: list[float]
    accuracy: float
    params: list[np.ndarray]


def network(seed: int = 0) -> nn.Sequential:
    """Return a network deep enough for its gradients to explode."""
    rng = np.random.default_rng(seed)
    layers: list[nn.Layer] = []
    for n_in, n_out in pairwise(SIZES):
        layers += [nn.Linear(n_in, n_out, rng), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(name: str, backend: str) -> Outcome:
    """Train one network; a run that explodes goes on to the end, as it would in a program."""
    data, net, loss = images(None), network(), nn.SoftmaxCrossEntropy()
    lr = instep.schedules.polynomial(LR, total_steps=STEPS)
    opt = instep.SGD(net.params, lr=lr, transforms=RUNS[name], backend=backend)
    losses, norms = [], []
    with np.errstate(all="ignore"):
        for _, batch in zip(range(STEPS), batches(len(data.x_train), BATCH, seed=1), strict=False):
            losses.append(loss.forward(net.forward(data.x_train[batch]), data.y_train[batch]))
            net.backward(loss.backward())  # the mean over the samples of the batch
            norms.append(instep.functional.global_norm(list(net.grads.values())))
            opt.step(net.grads)
        right = net.forward(data.x_test).argmax(axis=1) == data.y_test
    return Outcome(losses, norms, float(right.mean()), list(net.params.values()))


def main() -> dict[str, Outcome]:
    """Train all, print a table."""
    runs = dict(zip(RUNS, with_both(list(RUNS), train, "digits"), strict=True))
    rows = [
        [name, f"{np.fmax.reduce(r.norms):.1e}", f"{r.losses[-1]:.4f}", f"{r.accuracy:.1%}"]
        for name, r in runs.items()
    ]
    best = max(runs, key=lambda name: runs[name].accuracy)
    show(
        f"Digits, {len(SIZES) - 1} layers, SGD from lr {LR}, {STEPS} batches of {BATCH}",
        ["run", "largest norm", "last loss", "test accuracy"],
        rows,
        f"Result: {best} classifies {runs[best].accuracy:.1%} of the test images rightly.",
    )
    return runs


if __name__ == "__main__":
    main()
