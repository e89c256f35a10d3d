"""Layers that do something else in training than in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as validate
from ._layer import Layer


class BatchNorm(Layer):
    r"""Every feature to mean 0 and variance 1 over the batch, then scaled and shifted.

    .. math:: y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu` and :math:`\sigma^2` are those of the batch, the variance with the
    batch's size as divisor. In use (after ``eval()``) they are running means, to which each batch
    in training adds ``momentum`` times itself, its variance with one less as divisor, as in torch.

    Parameters
    ----------
    n : int
        The number of features, at least 1.
    eps : float
        Added to the variance, > 0.
    momentum : float
        The weight of a new batch in the running means, in [0, 1].
    dtype : dtype
        Of ``weight`` (:math:`\gamma`, ones) and ``bias`` (:math:`\beta`, zeros), of shape (n,).

    Attributes
    ----------
    running_mean, running_var : ndarray, shape (n,)
        The running means.

    Raises
    ------
    TypeError, ValueError
        If an argument breaks its rule; by ``forward`` if x has not the shape (batch, n), or has one
        row in training, whose variance is 0 whatever it is.

    References
    ----------
    Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> layer = nn.BatchNorm(2, dtype=np.float64)
    >>> y = layer.forward(np.array([[0.0, 10.0], [2.0, 30.0]]))
    >>> y.round(3).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    >>> layer.eval().forward(np.zeros((1, 2))).round(2).tolist()
    [[-0.1, -0.44]]
    """

    def __init__(
        self,
        n: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        super().__init__()
        n = validate.count("n", n, 1)
        self.eps: float = validate.number(above=0)("eps", eps)
        self.momentum: float = validate.number(low=0, high=1)("momentum", momentum)
        validate.floating("dtype", dtype)
        self.params = {"weight": np.ones(n, dtype), "bias": np.zeros(n, dtype)}
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}
        self.running_mean, self.running_var = np.zeros(n, dtype), np.ones(n, dtype)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized features, shape (batch, n)."""
        n = len(self.running_mean)
        least = 2 if self.training else 0
        if x.ndim != 2 or x.shape[1] != n or len(x) < least:
            rows = ", at least 2 rows in training" if self.training else ""
            raise ValueError(f"x: must have shape (batch, {n}){rows}; got {x.shape}")
        mean, var = self._moments(x) if self.training else (self.running_mean, self.running_var)
        self._inverse = 1 / np.sqrt(var + self.eps)
        self._hat = (x - mean) * self._inverse
        y: np.ndarray = self.params["weight"] * self._hat + self.params["bias"]
        return y

    def _moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, var = x.mean(axis=0), x.var(axis=0)
        keep, take = 1 - self.momentum, self.momentum
        self.running_mean[...] = keep * self.running_mean + take * mean
        self.running_var[...] = keep * self.running_var + take * var * (len(x) / (len(x) - 1))
        return mean, var

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return the gradient by x; in training the moments depend on x as well."""
        np.sum(dy * self._hat, axis=0, out=self.grads["weight"])
        np.sum(dy, axis=0, out=self.grads["bias"])
        d_hat = dy * self.params["weight"]
        if self.training:
            along = (d_hat * self._hat).mean(axis=0)
            d_hat = d_hat - d_hat.mean(axis=0) - self._hat * along
        dx: np.ndarray = d_hat * self._inverse
        return dx


class Dropout(Layer):
    r"""In training every element is dropped with probability p, and what is left scaled up.

    .. math:: y = \frac{x \cdot b}{1 - p}, \quad b \sim \mathrm{Bernoulli}(1 - p)

    In use (after ``eval()``) x passes as it is.

    Parameters
    ----------
    p : float
        The probability, in [0, 1).
    rng : numpy.random.Generator
        The source of randomness.

    Raises
    ------
    TypeError, ValueError
        If p is not in [0, 1).

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> layer = nn.Dropout(0.5, np.random.default_rng(0))
    >>> layer.forward(np.ones((1, 6))).tolist()
    [[2.0, 0.0, 0.0, 0.0, 2.0, 2.0]]
    >>> layer.eval().forward(np.ones((1, 3))).tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, p: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.p: float = validate.number(low=0, below=1)("p", p)
        self._rng = rng

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x with elements dropped, or x itself in use."""
        if not self.training:
            return x
        self._scale = ((self._rng.random(x.shape) >= self.p) / (1 - self.p)).astype(x.dtype)
        y: np.ndarray = x * self._scale
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return the gradient of the elements that were left."""
        dx: np.ndarray = dy * self._scale if self.training else dy
        return dx
