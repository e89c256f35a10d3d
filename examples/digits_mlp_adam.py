"""A 784-128-64-10 network on handwritten digits with Adam, and five other optimizers beside it.

It has 64 inputs for scikit-learn's digits of 8 x 8 pixels; `--data DIR` takes images of 28 x 28 in
MNIST's files. The gradient of each layer is printed as it updates. Run
`python examples/digits_mlp_adam.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import instep
from common import batches, images, show, with_both
from instep import nn
from instep.data import Dataset

STEPS, BATCH = 400, 64
RUNS: dict[str, Callable[..., instep.Optimizer]] = {
    "Adam": lambda p, **o: instep.Adam(p, lr=1e-3, **o),
    "momentum": lambda p, **o: instep.SGD(p, lr=0.1, momentum=0.9, **o),
    "Nesterov": lambda p, **o: instep.SGD(p, lr=0.1, momentum=0.9, nesterov=True, **o),
    "Adagrad": lambda p, **o: instep.Adagrad(p, lr=0.03, **o),
    "Adadelta": lambda p, **o: instep.Adadelta(p, lr=1.0, **o),
    "RMSprop": lambda p, **o: instep.RMSprop(p, lr=1e-3, **o),
}


@dataclass
class Outcome:
    """What came of a run."""

    losses: list[float]
    layers: list[np.ndarray]
    accuracy: float
    params: list[np.ndarray]


def network(inputs: int, classes: int) -> nn.Sequential:
    """Return the network, always with the same weights."""
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(inputs, 128, rng), nn.ReLU(), nn.Linear(128, 64, rng), nn.ReLU(),
        nn.Linear(64, classes, rng, init=nn.xavier),
    )  # fmt: skip


def train(
    name: str,
    backend: str,
    data: Dataset,
    tell: Callable[[int, float, np.ndarray], None] = lambda *_: None,
) -> Outcome:
    """Train; `tell(step, loss, norms)` hears of the gradient of each layer."""
    net, loss = network(data.x_train.shape[1], data.classes), nn.SoftmaxCrossEntropy()
    opt = RUNS[name](net.params, backend=backend)
    monitor = instep.GradientMonitor(opt, warn=False)
    weights = [i for i, key in enumerate(monitor.names) if "weight" in key]
    losses, layers = [], []
    for step, batch in zip(range(STEPS), batches(len(data.x_train), BATCH, seed=1), strict=False):
        losses.append(loss.forward(net.forward(data.x_train[batch]), data.y_train[batch]))
        net.backward(loss.backward())
        opt.step(net.grads)
        layers.append(monitor.grad_norms[weights])
        tell(step, losses[-1], layers[-1])
    right = net.forward(data.x_test).argmax(axis=1) == data.y_test
    return Outcome(losses, layers, float(right.mean()), list(net.params.values()))


def main(directory: Path | None = None) -> dict[str, Outcome]:
    """Print the layers of one run, then train all and print a table."""
    data, console = images(directory), Console()

    def tell(step: int, loss: float, norms: np.ndarray) -> None:
        if step % 50 == 0:
            shown = "  ".join(f"{norm:.4f}" for norm in norms)
            console.print(f"step {step:3}: loss {loss:.4f}, gradients {shown}", highlight=False)

    console.print("Adam: norms of the gradients of the three weight matrices")
    train("Adam", "native", data, tell)

    def run(name: str, backend: str) -> Any:
        return train(name, backend, data)

    runs = dict(zip(RUNS, with_both(list(RUNS), run, "digits"), strict=True))
    best = max(runs, key=lambda name: runs[name].accuracy)
    sizes = f"{data.x_train.shape[1]}-128-64-{data.classes}"
    show(
        f"{sizes}, cross-entropy, {STEPS} batches of {BATCH}",
        ["optimizer", "loss after 100", "last loss", "test accuracy"],
        [
            [
                name,
                f"{np.mean(r.losses[90:110]):.4f}",
                f"{np.mean(r.losses[-20:]):.4f}",
                f"{r.accuracy:.1%}",
            ]
            for name, r in runs.items()
        ],
        f"Result: {best} classifies {runs[best].accuracy:.1%} of the test images rightly.",
    )
    return runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="images in MNIST's files")
    main(parser.parse_args().data)
