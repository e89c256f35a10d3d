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

from ._activations import LeakyReLU, ReLU, Sigmoid, Tanh
from ._containers import Residual, Sequential
from ._init import he, xavier
from ._layer import Layer
from ._linear import Linear
from ._losses import MSE, Loss, SoftmaxCrossEntropy
from ._regularizers import BatchNorm, Dropout

__all__ = [
    "MSE",
    "BatchNorm",
    "Dropout",
    "Layer",
    "LeakyReLU",
    "Linear",
    "Loss",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Tanh",
    "he",
    "xavier",
]
