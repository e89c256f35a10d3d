"""What all layers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np

Arrays = dict[str, np.ndarray]


class Layer(ABC):
    """A differentiable function of a batch, with parameters of its own.

    Attributes
    ----------
    params : dict of str to ndarray
        The parameters; empty where there are none. An optimizer updates them in place.
    grads : dict of str to ndarray
        The gradient of each, same name, shape and dtype, overwritten by each ``backward``.
    training : bool
        True at first; set it by :meth:`train` and :meth:`eval`. Most layers do the same always.
    """

    def __init__(self) -> None:
        self.params: Arrays = {}
        self.grads: Arrays = {}
        self.training = True

    def train(self, mode: bool = True) -> Self:
        """Do from now on what is done in training; return the layer."""
        self.training = mode
        return self

    def eval(self) -> Self:
        """Do from now on what is done in use; return the layer."""
        return self.train(mode=False)

    @abstractmethod
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, and keep what ``backward`` needs."""

    @abstractmethod
    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Take the loss's gradient by the outputs of the last ``forward``.

        Fill ``grads`` and return the gradient by the inputs.
        """
