"""Full-batch gradient descent on a network that explodes without batch normalization.

Eight layers whose weights start too large: gradients grow from layer to layer. Batch
normalization (Ioffe and Szegedy 2015) takes the scale out of every layer; standardizing each
gradient takes it out of every update. Run `python examples/batchnorm_bgd.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import instep
from common import images, show, with_both
from instep import nn

DEPTH, WIDTH, GAIN, STEPS = 8, 48, 2.0, 150


@dataclass
class Run:
    """A remedy."""

    name: str
    lr: float
    normalize: bool = False
    transforms: list[Any] = field(default_factory=list)


RUNS = [
    Run("plain", 0.5),
    Run("batch normalization", 0.5, normalize=True),
    Run("standardized gradients", 5e-3, transforms=[instep.Standardize()]),
    Run("clipped by norm", 0.2, transforms=[instep.ClipByGlobalNorm(1.0)]),
]


@dataclass
class Outcome:
    """What came of a run."""

    losses: list[float]
    first_layer: list[float]
    accuracy: float
    params: list[np.ndarray]


def too_large(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Draw He's weights times a gain, under which signals and gradients grow."""
    return GAIN * nn.he(rng, n_in, n_out)


def network(inputs: int, classes: int, *, normalize: bool) -> nn.Sequential:
    """Return the network; with batch normalization before each ReLU or without."""
    rng = np.random.default_rng(0)
    layers: list[nn.Layer] = []
    for k in range(DEPTH):
        layers.append(nn.Linear(inputs if k == 0 else WIDTH, WIDTH, rng, too_large))
        # All samples are one batch: its moments are those to use later.
        layers += [nn.BatchNorm(WIDTH, momentum=1.0)] if normalize else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(WIDTH, classes, rng, nn.xavier))


def train(run: Run, backend: str) -> Outcome:
    """Descend along the gradient of all samples."""
    data, loss = images(None), nn.SoftmaxCrossEntropy()
    net = network(data.x_train.shape[1], data.classes, normalize=run.normalize)
    opt = instep.SGD(net.params, lr=run.lr, transforms=run.transforms, backend=backend)
    losses, first = [], []
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            losses.append(loss.forward(net.forward(data.x_train), data.y_train))
            net.backward(loss.backward())
            first.append(float(np.linalg.norm(net.grads["linear0.weight"])))
            opt.step(net.grads)
        net.forward(data.x_train)  # the moments of the last weights
        right = net.eval().forward(data.x_test).argmax(axis=1) == data.y_test
    return Outcome(losses, first, float(right.mean()), list(net.params.values()))


def main() -> dict[str, Outcome]:
    """Train in all ways, print a table."""
    runs = {r.name: o for r, o in zip(RUNS, with_both(RUNS, train, "digits"), strict=True)}
    best = max(runs, key=lambda name: runs[name].accuracy)
    show(
        f"Digits, {DEPTH} x {WIDTH}, weights {GAIN} times He's, {STEPS} full batches",
        ["run", "first layer's gradient at first", "last loss", "test accuracy"],
        [
            [name, f"{r.first_layer[0]:.1e}", f"{r.losses[-1]:.4f}", f"{r.accuracy:.1%}"]
            for name, r in runs.items()
        ],
        f"Result: {best}: {runs[best].accuracy:.1%} of the test images rightly.",
    )
    return runs


if __name__ == "__main__":
    main()
