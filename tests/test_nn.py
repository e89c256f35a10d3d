"""Every gradient of the small network against finite differences, and its manners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import instep
from instep import nn

BATCH, N_IN, N_OUT = 5, 4, 3
STEP = 1e-6


def linear(rng: np.random.Generator) -> nn.Linear:
    layer = nn.Linear(N_IN, N_OUT, rng, dtype=np.float64)
    layer.params["bias"][...] = rng.standard_normal(N_OUT)
    return layer


def normalizing(rng: np.random.Generator) -> nn.BatchNorm:
    layer = nn.BatchNorm(N_IN, dtype=np.float64)
    for p in (*layer.params.values(), layer.running_mean):
        p[...] = rng.standard_normal(N_IN)
    return layer


class Again(np.random.Generator):
    """Draws the same numbers each time, so that differences can be taken."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(7))

    def random(self, *args: Any, **kwargs: Any) -> Any:
        return np.random.default_rng(7).random(*args, **kwargs)


LAYERS: dict[str, Callable[[np.random.Generator], nn.Layer]] = {
    "linear": linear,
    "relu": lambda rng: nn.ReLU(),
    "leaky": lambda rng: nn.LeakyReLU(0.2),
    "sigmoid": lambda rng: nn.Sigmoid(),
    "tanh": lambda rng: nn.Tanh(),
    "batch norm": normalizing,
    "batch norm in use": lambda rng: normalizing(rng).eval(),
    "dropout": lambda rng: nn.Dropout(0.4, Again()),
    "dropout in use": lambda rng: nn.Dropout(0.4, rng).eval(),
    "residual": lambda rng: nn.Residual(nn.Linear(N_IN, N_IN, rng, dtype=np.float64), nn.Tanh()),
    "deep": lambda rng: nn.Sequential(
        linear(rng), nn.Tanh(), nn.Sequential(nn.Linear(N_OUT, 6, rng, nn.xavier, np.float64))
    ),
}


def slopes(value: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """Central differences of a number by each element of an array."""
    out = np.empty_like(array)
    for at in np.ndindex(array.shape):
        kept = array[at]
        array[at] = kept + STEP
        above = value()
        array[at] = kept - STEP
        out[at] = (above - value()) / (2 * STEP)
        array[at] = kept
    return out


def inputs(rng: np.random.Generator) -> np.ndarray:
    """Draw numbers that keep clear of 0, where a rectifier has no slope."""
    x = rng.standard_normal((BATCH, N_IN))
    return x + np.copysign(0.1, x)


@pytest.mark.parametrize("kind", LAYERS)
def test_layer_gradients(kind: str) -> None:
    rng = np.random.default_rng(3)
    layer, x = LAYERS[kind](rng), inputs(rng)
    weights = rng.standard_normal(layer.forward(x).shape)

    def value() -> float:
        return float((layer.forward(x) * weights).sum())

    value()
    dx = layer.backward(weights)
    np.testing.assert_allclose(dx, slopes(value, x), rtol=1e-6, atol=1e-8)
    assert layer.params.keys() == layer.grads.keys()
    for name, p in layer.params.items():
        want = slopes(value, p)
        np.testing.assert_allclose(layer.grads[name], want, rtol=1e-6, atol=1e-8, err_msg=name)


def test_cross_entropy_gradient() -> None:
    rng = np.random.default_rng(4)
    loss, y, target = nn.SoftmaxCrossEntropy(), rng.standard_normal((4, 3)), np.array([0, 2, 2, 1])
    loss.forward(y, target)
    want = slopes(lambda: loss.forward(y, target), y)
    loss.forward(y, target)
    np.testing.assert_allclose(loss.backward(), want, rtol=1e-6, atol=1e-9)


def test_mse_gradient() -> None:
    rng = np.random.default_rng(4)
    loss, y, target = nn.MSE(), rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    loss.forward(y, target)
    want = slopes(lambda: loss.forward(y, target), y)
    loss.forward(y, target)
    np.testing.assert_allclose(loss.backward(), want, rtol=1e-6, atol=1e-9)


def test_batch_norm_is_torch_s() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    rng = np.random.default_rng(8)
    ours, theirs = nn.BatchNorm(3, dtype=np.float64), torch.nn.BatchNorm1d(3, dtype=torch.float64)
    for _ in range(4):
        x = rng.standard_normal((6, 3)) * 5 + 2
        want = theirs(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(ours.forward(x), want, rtol=1e-12)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), rtol=1e-12)
    want = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval().forward(x), want, rtol=1e-12)


def test_dropout_keeps_the_mean() -> None:
    layer = nn.Dropout(0.3, np.random.default_rng(9))
    x = np.ones((1000, 100), np.float32)
    y = layer.forward(x)
    assert y.dtype == np.float32
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(layer.backward(x), y)
    assert layer.eval().forward(x) is x


def test_modes_reach_all_layers() -> None:
    rng = np.random.default_rng(0)
    dropout, norm = nn.Dropout(0.5, rng), nn.BatchNorm(2)
    net = nn.Sequential(nn.Residual(norm, dropout), nn.Tanh())
    assert net.eval() is net
    assert not dropout.training
    assert not norm.training
    net.train()
    assert dropout.training
    assert norm.training
    assert list(net.params) == ["residual0.batchnorm0.weight", "residual0.batchnorm0.bias"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_huge_logits(dtype: type) -> None:
    loss = nn.SoftmaxCrossEntropy()
    y = np.array([[1e30, -1e30, 0.0], [-1e4, -1e4, -1e4]], dtype)
    assert loss.forward(y, np.array([0, 1])) == pytest.approx(np.log(3) / 2)
    third = 1 / 6
    want = [[0, 0, 0], [third, third - 0.5, third]]
    np.testing.assert_allclose(loss.backward(), want, rtol=1e-6, atol=1e-9)
    assert loss.forward(y, np.array([1, 1])) == pytest.approx(1e30)


def test_names_shapes_and_dtypes() -> None:
    rng = np.random.default_rng(0)
    inner = nn.Sequential(nn.Linear(3, 3, rng), nn.ReLU())
    net = nn.Sequential(nn.Linear(2, 3, rng), nn.Tanh(), inner, nn.Linear(3, 4, rng))
    shapes = {name: p.shape for name, p in net.params.items()}
    assert shapes == {
        "linear0.weight": (2, 3),
        "linear0.bias": (3,),
        "sequential0.linear0.weight": (3, 3),
        "sequential0.linear0.bias": (3,),
        "linear1.weight": (3, 4),
        "linear1.bias": (4,),
    }
    y = net.forward(np.ones((7, 2), np.float32))
    dx = net.backward(np.ones_like(y))
    for a in (y, dx, *net.params.values(), *net.grads.values()):
        assert a.dtype == np.float32


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_an_optimizer_made_once_trains_the_network(backend: str) -> None:
    rng = np.random.default_rng(1)
    net = nn.Sequential(nn.Linear(2, 16, rng), nn.LeakyReLU(), nn.Linear(16, 3, rng, nn.xavier))
    loss = nn.SoftmaxCrossEntropy()
    opt = instep.Adam(net.params, lr=0.05, backend=backend)
    x = rng.standard_normal((60, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    held = list(net.grads.values())
    first = loss.forward(net.forward(x), y)
    for _ in range(60):
        value = loss.forward(net.forward(x), y)
        net.backward(loss.backward())
        opt.step(net.grads)
    assert first > 1
    assert value < 0.2
    assert all(a is b for a, b in zip(held, net.grads.values(), strict=True))


def test_backward_overwrites() -> None:
    layer, x = linear(np.random.default_rng(5)), np.ones((2, N_IN))
    once = []
    for _ in range(2):
        layer.backward(np.ones_like(layer.forward(x)))
        once.append({name: g.copy() for name, g in layer.grads.items()})
    np.testing.assert_equal(once[0], once[1])


def test_initial_weights() -> None:
    rng = np.random.default_rng(6)
    he, xavier = nn.he(rng, 300, 200), nn.xavier(rng, 300, 200)
    assert he.shape == xavier.shape == (300, 200)
    assert he.std() == pytest.approx(np.sqrt(2 / 300), rel=0.02)
    assert abs(xavier).max() == pytest.approx(np.sqrt(6 / 500), rel=0.01)
    assert xavier.std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)


REFUSED = [
    (lambda: nn.Linear(0, 3, np.random.default_rng(0)), "n_in: must be an integer >= 1; got 0"),
    (
        lambda: nn.Linear(2, 3, np.random.default_rng(0), dtype=np.int32),  # type: ignore[arg-type]
        "dtype: must be float32 or float64; got",
    ),
    (lambda: nn.BatchNorm(2, dtype="half"), "dtype: must be float32 or float64; got str 'half'"),  # type: ignore[arg-type]
    (lambda: nn.BatchNorm(0), "n: must be an integer >= 1; got 0"),
    (lambda: nn.BatchNorm(2, eps=0.0), "eps: must be a finite number, > 0; got 0.0"),
    (lambda: nn.BatchNorm(2, momentum=2.0), "momentum: must be a finite number, >= 0, <= 1; got 2"),
    (
        lambda: nn.BatchNorm(2).forward(np.ones((1, 2))),
        r"x: must have shape \(batch, 2\), at least 2 rows in training; got \(1, 2\)",
    ),
    (
        lambda: nn.BatchNorm(2).eval().forward(np.ones((1, 3))),
        r"x: must have shape \(batch, 2\); got \(1, 3\)",
    ),
    (
        lambda: nn.Dropout(1.0, np.random.default_rng(0)),
        "p: must be a finite number, >= 0, < 1; got 1.0",
    ),
    (
        lambda: nn.Residual(nn.Linear(2, 3, np.random.default_rng(0))).forward(np.ones((1, 2))),
        r"layers: must keep the shape \(1, 2\) of x; got \(1, 3\)",
    ),
    (
        lambda: nn.MSE().forward(np.ones((1, 2)), np.ones(2)),
        r"target: must have the shape of y, \(1, 2\), and an element; got \(2,\)",
    ),
    (lambda: nn.LeakyReLU(-0.1), "slope: must be a finite number, >= 0; got -0.1"),
    (
        lambda: linear(np.random.default_rng(0)).forward(np.ones((2, 5))),
        r"x: must have shape \(batch, 4\); got \(2, 5\)",
    ),
    (
        lambda: nn.SoftmaxCrossEntropy().forward(np.ones((2, 3)), np.array([0, 3])),
        r"target: must be in \[0, 3\); got 0 to 3",
    ),
    (
        lambda: nn.SoftmaxCrossEntropy().forward(np.ones((2, 3)), np.array([-1, 2])),
        r"target: must be in \[0, 3\); got -1 to 2",
    ),
    (
        lambda: nn.SoftmaxCrossEntropy().forward(np.ones((2, 3)), np.array([0.0, 1.0])),
        r"target: must be 2 integers, one for each row of y; got shape \(2,\) of float64",
    ),
    (
        lambda: nn.SoftmaxCrossEntropy().forward(np.ones((2, 3)), np.array([0])),
        r"target: must be 2 integers, one for each row of y; got shape \(1,\)",
    ),
    (
        lambda: nn.SoftmaxCrossEntropy().forward(np.ones((0, 3)), np.array([], int)),
        r"y: must have shape \(batch, classes\), not empty; got \(0, 3\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m[:20] for _, m in REFUSED])
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
