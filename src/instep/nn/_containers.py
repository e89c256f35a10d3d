"""Layers of layers."""

from __future__ import annotations

from collections import Counter
from typing import Self

import numpy as np

from ._layer import Layer


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

    def train(self, mode: bool = True) -> Self:
        """Tell all layers."""
        for layer in self.layers:
            layer.train(mode)
        return super().train(mode)

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


class Residual(Sequential):
    """Layers beside which the inputs pass on as they are: ``y = x + layers(x)``.

    The gradient by x is that by y plus what comes back through the layers: layers that make it
    small do not make it vanish.

    Parameters
    ----------
    *layers : Layer
        Their outputs must have the shape of their inputs. Parameters are named as in
        :class:`Sequential`.

    Raises
    ------
    ValueError
        By ``forward``, if the layers change the shape.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> block = nn.Residual(nn.ReLU())
    >>> block.forward(np.array([[-1.0, 2.0]]))
    array([[-1.,  4.]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``x + layers(x)``."""
        y = super().forward(x)
        if y.shape != x.shape:
            raise ValueError(f"layers: must keep the shape {x.shape} of x; got {y.shape}")
        total: np.ndarray = x + y
        return total

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return ``dy`` and what comes back through the layers."""
        dx: np.ndarray = dy + super().backward(dy)
        return dx
