"""The affine map."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as validate
from ._init import Initializer, he
from ._layer import Layer


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
        If a number is no integer >= 1, or dtype neither float32 nor float64; by ``forward`` if x
        has not the shape (batch, n_in).

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
        weight = init(rng, n_in, n_out).astype(validate.floating("dtype", dtype))
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
