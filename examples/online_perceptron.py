"""A perceptron of eleven numbers that learns from one sample at a time.

Ten features of breast tumours (Wolberg et al. 1995, with scikit-learn) and a bias; the logistic
loss; an update after every sample, with learning rates that fall in a line, exponentially, or when
the loss stops falling, and once with the mean of eight samples accumulated. Where parameters are so
small, what an update costs is the call. Run `python examples/online_perceptron.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

import instep
from common import show, with_both

EPOCHS, LR, SAMPLES = 10, 0.1, 400
TOTAL = EPOCHS * SAMPLES


@dataclass
class Run:
    """How the learning rate falls, and of how many samples an update takes the mean."""

    name: str
    lr: Callable[[], Any]
    accumulate: int = 1


RUNS = [
    Run("constant", lambda: LR),
    Run("linear decay", lambda: instep.schedules.linear(LR, 0.0, TOTAL)),
    Run("exponential decay", lambda: instep.schedules.exponential(LR, gamma=0.999)),
    Run("adaptive decay", lambda: instep.schedules.ReduceOnPlateau(LR, patience=0, threshold=0.03)),
    Run("linear, mean of 8", lambda: instep.schedules.linear(8 * LR, 0.0, TOTAL // 8), 8),
]


@dataclass
class Outcome:
    """What came of a run."""

    losses: list[float]
    accuracy: float
    microseconds: float
    params: list[np.ndarray]


def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ten features, each with mean 0 and deviation 1, and labels 0 or 1, in two parts."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order, :10], y[order].astype(np.float64)
    x = (x - x[:SAMPLES].mean(axis=0)) / x[:SAMPLES].std(axis=0)
    return x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:]


def train(run: Run, backend: str) -> Outcome:
    """Learn from one sample after the other."""
    x, y, x_test, y_test = samples()
    w, b, lr = np.zeros(10), np.zeros(1), run.lr()
    opt = instep.SGD([w, b], lr=lr, backend=backend)
    losses, spent, updates = [], 0.0, 0
    for _ in range(EPOCHS):
        total = 0.0
        for k in range(SAMPLES):
            p = 1 / (1 + np.exp(-(x[k] @ w + b[0])))
            total -= np.log(p if y[k] else 1 - p)
            grads = [(p - y[k]) * x[k], np.array([p - y[k]])]
            start = perf_counter()
            if run.accumulate > 1:
                opt.accumulate(grads)
                if (k + 1) % run.accumulate == 0:
                    opt.step()
            else:
                opt.step(grads)
            spent += perf_counter() - start
            updates += 1
        losses.append(total / SAMPLES)
        if isinstance(lr, instep.schedules.ReduceOnPlateau):
            lr.step(losses[-1])
    right = ((x_test @ w + b[0]) > 0) == (y_test > 0.5)
    return Outcome(losses, float(right.mean()), 1e6 * spent / updates, [w, b])


def main() -> dict[str, Outcome]:
    """Learn in all ways, print a table."""
    found = with_both(RUNS, train, "tumours")
    runs = {run.name: outcome for run, outcome in zip(RUNS, found, strict=True)}
    best = max(runs, key=lambda name: runs[name].accuracy)
    show(
        f"Perceptron of 11 parameters, one sample at a time, {EPOCHS} epochs of {SAMPLES}",
        ["learning rate", "first loss", "last loss", "test accuracy", "µs a sample"],
        [
            [
                name,
                f"{r.losses[0]:.4f}",
                f"{r.losses[-1]:.4f}",
                f"{r.accuracy:.1%}",
                f"{r.microseconds:.1f}",
            ]
            for name, r in runs.items()
        ],
        f"Result: {best} finds {runs[best].accuracy:.1%} of {569 - SAMPLES} others.",
    )
    return runs


if __name__ == "__main__":
    main()
