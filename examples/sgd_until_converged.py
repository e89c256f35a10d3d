"""A linear classifier of digits, trained until it has converged, by a loop and by SciPy's minimize.

The loop stops where the gradient's norm is small, where the loss no longer changes, or after so
many steps. `scipy.optimize.minimize` does the same with instep's steps as its method. Run
`python examples/sgd_until_converged.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

import instep
from common import images, show, with_both
from instep import nn
from instep.integrations.scipy import minimizer

LR, MOMENTUM, DECAY = 0.5, 0.9, 1e-3
NORM, CHANGE, STEPS = 1e-4, 1e-9, 2000
DATA = images(None)
X, Y = DATA.x_train.astype(np.float64), DATA.y_train
SHAPE = (X.shape[1] + 1, DATA.classes)  # a row for the biases


@dataclass
class Outcome:
    """Where a run ended, and why."""

    loss: float
    norm: float
    steps: int
    why: str
    accuracy: float
    params: list[np.ndarray]


def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
    """Return cross-entropy with a ridge, and its gradient, for all weights in one vector."""
    w, loss = flat.reshape(SHAPE), nn.SoftmaxCrossEntropy()
    value = loss.forward(X @ w[:-1] + w[-1], Y) + 0.5 * DECAY * float((w * w).sum())
    dy = loss.backward()
    return value, (np.vstack([X.T @ dy, dy.sum(axis=0)]) + DECAY * w).ravel()


def accuracy(flat: np.ndarray) -> float:
    """Return the share of test images classified rightly."""
    w = flat.reshape(SHAPE)
    right = (DATA.x_test @ w[:-1] + w[-1]).argmax(axis=1) == DATA.y_test
    return float(right.mean())


def by_hand(backend: str) -> Outcome:
    """Descend until one of the three conditions holds."""
    w = np.zeros(SHAPE[0] * SHAPE[1])
    opt = instep.SGD([w], lr=LR, momentum=MOMENTUM, nesterov=True, backend=backend)
    value, gradient = objective(w)
    why = "steps"
    while opt.steps < STEPS:
        norm = instep.functional.global_norm([gradient])
        if norm <= NORM:
            why = "gradient"
            break
        opt.step([gradient])
        before, (value, gradient) = value, objective(w)
        if abs(before - value) <= CHANGE * value:
            why = "loss"
            break
    norm = instep.functional.global_norm([gradient])
    return Outcome(value, norm, opt.steps, why, accuracy(w), [w])


def by_scipy(backend: str) -> Outcome:
    """Let SciPy's minimize take Adam's steps."""
    method = minimizer(
        instep.Adam, lr=instep.schedules.exponential(0.1, gamma=0.99), backend=backend
    )
    options = {"maxiter": STEPS, "gtol": NORM / 10, "ftol": CHANGE / 10}
    start = np.zeros(SHAPE[0] * SHAPE[1])
    result = minimize(objective, start, jac=True, method=method, options=options)
    norm = instep.functional.global_norm([result.jac])
    return Outcome(
        result.fun,
        norm,
        result.nit,
        "loss" if result.success else "steps",
        accuracy(result.x),
        [result.x],
    )


RUNS: dict[str, Any] = {"SGD, Nesterov, by hand": by_hand, "minimize, Adam": by_scipy}


def main() -> dict[str, Outcome]:
    """Run both, and SciPy's own L-BFGS to compare with; print a table."""
    found = with_both(list(RUNS), lambda name, backend: RUNS[name](backend), "digits")
    runs = dict(zip(RUNS, found, strict=True))
    own = minimize(objective, np.zeros(SHAPE[0] * SHAPE[1]), jac=True, method="L-BFGS-B")
    rows = [
        [name, str(r.steps), f"{r.loss:.6f}", f"{r.norm:.1e}", f"{r.accuracy:.1%}", r.why]
        for name, r in runs.items()
    ]
    rows.append(
        ["minimize, L-BFGS-B", str(own.nit), f"{own.fun:.6f}", f"{np.linalg.norm(own.jac):.1e}",
         f"{accuracy(own.x):.1%}", "SciPy's own"]
    )  # fmt: skip
    worst = max(r.loss for r in runs.values()) - own.fun
    show(
        "Digits, 64-10, cross-entropy with a ridge, all samples at once",
        ["run", "steps", "loss", "gradient", "test accuracy", "stopped by"],
        rows,
        f"Result: losses are at most {worst:.1e} above L-BFGS-B's.",
    )
    return runs


if __name__ == "__main__":
    main()
