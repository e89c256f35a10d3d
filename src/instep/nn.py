"""A small neural network in NumPy, for the demo, the examples and for reading.

A layer has ``params`` and ``grads``, two dicts with the same names, ``forward`` and ``backward``.
Arrays keep their place in memory: an optimizer made once from ``params`` updates the network.

Examples
--------
>>> import numpy as np, instep
>>> from instep import nn
>>> rng = np.random.default_rng(0)
>>> net = nn.Sequential(nn.Linear(2, 8, rng), nn.Tanh(), nn.Linear(8, 2, rng, init=nn.xavier))
>>> loss = nn.SoftmaxCrossEntropy()
>>> opt = instep.Adam(net.params, lr=0.05)
>>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)  # exclusive or
>>> y = np.array([0, 1, 1, 0])
>>> for _ in range(100):
...     value = loss.forward(net.forward(x), y)
...     dx = net.backward(loss.backward())
...     report = opt.step(net.grads)
>>> net.forward(x).argmax(axis=1)
array([0, 1, 1, 0])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _validate as validate

__all__ = [
    "Layer",
    "LeakyReLU",
    "Linear",
    "Loss",
    "ReLU",
    "Sequential",
    "SoftmaxCrossEntropy",
    "Tanh",
    "he",
    "xavier",
]

Arrays = dict[str, np.ndarray]
Initializer = Callable[[np.random.Generator, int, int], np.ndarray]


def he(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    r"""Draw weights from :math:`N(0, 2 / n_{in})`, which keeps the scale of signals through ReLUs.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of randomness.
    n_in, n_out : int
        Numbers of inputs and outputs.

    Returns
    -------
    ndarray of float64, shape (n_in, n_out)

    References
    ----------
    He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> round(float(nn.he(np.random.default_rng(0), 200, 300).std()), 2)
    0.1
    """
    weights: np.ndarray = rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)
    return weights


def xavier(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    r"""Draw weights evenly from :math:`\pm\sqrt{6 / (n_{in} + n_{out})}`; for tanh and outputs.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of randomness.
    n_in, n_out : int
        Numbers of inputs and outputs.

    Returns
    -------
    ndarray of float64, shape (n_in, n_out)

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> bool(abs(nn.xavier(np.random.default_rng(0), 2, 4)).max() <= 1.0)
    True
    """
    bound = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out))


class Layer(ABC):
    """A differentiable function of a batch, with parameters of its own.

    Attributes
    ----------
    params : dict of str to ndarray
        The parameters; empty where there are none. An optimizer updates them in place.
    grads : dict of str to ndarray
        The gradient of each, same name, shape and dtype, overwritten by each ``backward``.
    """

    def __init__(self) -> None:
        self.params: Arrays = {}
        self.grads: Arrays = {}

    @abstractmethod
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, and keep what ``backward`` needs."""

    @abstractmethod
    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Take the loss's gradient by the outputs of the last ``forward``.

        Fill ``grads`` and return the gradient by the inputs.
        """


class Linear(Layer):
    """An affine map: ``y = x @ weight + bias``.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and outputs, at least 1.
    rng : numpy.random.Generator
        The source of the initial weights; biases start at zero.
    init : callable
        :func:`he`, :func:`xavier` or a function like them.
    dtype : dtype
        Of the parameters ``weight``, shape (n_in, n_out), and ``bias``, shape (n_out,).

    Raises
    ------
    TypeError, ValueError
        If a number is no integer >= 1; by ``forward`` if x has not the shape (batch, n_in).

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> layer = nn.Linear(3, 2, np.random.default_rng(0))
    >>> layer.forward(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> {name: p.shape for name, p in layer.params.items()}
    {'weight': (3, 2), 'bias': (2,)}
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        rng: np.random.Generator,
        init: Initializer = he,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        super().__init__()
        n_in, n_out = validate.count("n_in", n_in, 1), validate.count("n_out", n_out, 1)
        weight = init(rng, n_in, n_out).astype(dtype)
        self.params = {"weight": weight, "bias": np.zeros(n_out, dtype)}
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``x @ weight + bias``, shape (batch, n_out)."""
        weight, bias = self.params["weight"], self.params["bias"]
        if x.ndim != 2 or x.shape[1] != len(weight):
            raise ValueError(f"x: must have shape (batch, {len(weight)}); got {x.shape}")
        self._x = x
        y: np.ndarray = x @ weight + bias
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return ``dy @ weight.T``, shape (batch, n_in)."""
        np.matmul(self._x.T, dy, out=self.grads["weight"])
        np.sum(dy, axis=0, out=self.grads["bias"])
        dx: np.ndarray = dy @ self.params["weight"].T
        return dx


class ReLU(Layer):
    """Rectified linear unit: ``y = max(x, 0)``, any shape.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> nn.ReLU().forward(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``max(x, 0)``."""
        self._active = x > 0
        y: np.ndarray = np.maximum(x, 0)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy where x was positive, 0 elsewhere."""
        return np.where(self._active, dy, 0)


class LeakyReLU(Layer):
    """Rectified linear unit that no input switches off: ``y = x if x > 0 else slope * x``.

    Parameters
    ----------
    slope : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If ``slope`` is not a finite number >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> nn.LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]]))
    array([[-0.5,  2. ]])
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope: float = validate.number(low=0)("slope", slope)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x where it is positive, ``slope * x`` elsewhere."""
        self._active = x > 0
        return np.where(self._active, x, self.slope * x)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy where x was positive, ``slope * dy`` elsewhere."""
        return np.where(self._active, dy, self.slope * dy)


class Tanh(Layer):
    """Hyperbolic tangent: ``y = tanh(x)``, any shape.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> nn.Tanh().forward(np.array([[0.0, 100.0]]))
    array([[0., 1.]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``tanh(x)``."""
        y: np.ndarray = np.tanh(x)
        self._y = y
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return ``dy * (1 - tanh(x) ** 2)``."""
        dx: np.ndarray = dy * (1 - self._y * self._y)
        return dx


class Sequential(Layer):
    """Layers one behind the other.

    Parameters
    ----------
    *layers : Layer
        The first takes the inputs. Parameters are named by their layer's kind and a count from 0,
        as ``"linear0.weight"``.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> rng = np.random.default_rng(0)
    >>> net = nn.Sequential(nn.Linear(3, 4, rng), nn.ReLU(), nn.Linear(4, 2, rng))
    >>> list(net.params)
    ['linear0.weight', 'linear0.bias', 'linear1.weight', 'linear1.bias']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = layers
        seen: Counter[str] = Counter()
        for layer in layers:
            kind = type(layer).__name__.lower()
            prefix = f"{kind}{seen[kind]}."
            seen[kind] += 1
            self.params |= {prefix + name: p for name, p in layer.params.items()}
            self.grads |= {prefix + name: g for name, g in layer.grads.items()}

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the last layer's outputs."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return the gradient by the first layer's inputs."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class Loss(ABC):
    """A number that says how far outputs are from their targets, the mean over the batch."""

    @abstractmethod
    def forward(self, y: np.ndarray, target: np.ndarray) -> float:
        """Return the loss, and keep what ``backward`` needs."""

    @abstractmethod
    def backward(self) -> np.ndarray:
        """Return the gradient of the last ``forward`` by ``y``."""


class SoftmaxCrossEntropy(Loss):
    r"""The mean of :math:`-\log \mathrm{softmax}(y)_{target}` over the batch.

    Logarithms are taken of sums of ``exp(y - max(y))``, which cannot overflow.

    Raises
    ------
    ValueError
        By ``forward``, if y is not (batch, classes) or a target is no integer in [0, classes).

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> loss = nn.SoftmaxCrossEntropy()
    >>> loss.forward(np.array([[0.0, 1000.0]]), np.array([0]))
    1000.0
    >>> loss.backward()
    array([[-1.,  1.]])
    """

    def forward(self, y: np.ndarray, target: np.ndarray) -> float:
        """Return the loss of logits y, (batch, classes), for class numbers, (batch,)."""
        self._check(y, target)
        shifted = y - y.max(axis=1, keepdims=True)
        self._log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self._at = np.arange(len(y)), target
        return float(-self._log_p[self._at].mean())

    def backward(self) -> np.ndarray:
        """Return ``(softmax(y) - onehot(target)) / batch``, shape (batch, classes)."""
        dy: np.ndarray = np.exp(self._log_p)
        dy[self._at] -= 1
        dy /= len(dy)
        return dy

    @staticmethod
    def _check(y: np.ndarray, target: np.ndarray) -> None:
        if y.ndim != 2 or y.size == 0:
            raise ValueError(f"y: must have shape (batch, classes), not empty; got {y.shape}")
        if target.shape != y.shape[:1] or target.dtype.kind not in "iu":
            rule = f"must be {len(y)} integers, one for each row of y"
            raise ValueError(f"target: {rule}; got shape {target.shape} of {target.dtype}")
        if target.min() < 0 or target.max() >= y.shape[1]:
            rule = f"must be in [0, {y.shape[1]})"
            raise ValueError(f"target: {rule}; got {target.min()} to {target.max()}")
