"""Losses."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


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


class MSE(Loss):
    r"""The mean of :math:`(y - target)^2` over all elements.

    Raises
    ------
    ValueError
        By ``forward``, if y and target differ in shape or have no element.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> loss = nn.MSE()
    >>> loss.forward(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    2.5
    >>> loss.backward()
    array([[1., 2.]])
    """

    def forward(self, y: np.ndarray, target: np.ndarray) -> float:
        """Return the loss of outputs y for targets of the same shape."""
        if y.shape != target.shape or y.size == 0:
            rule = f"must have the shape of y, {y.shape}, and an element"
            raise ValueError(f"target: {rule}; got {target.shape}")
        self._error = y - target
        return float((self._error * self._error).mean())

    def backward(self) -> np.ndarray:
        """Return ``2 * (y - target) / size``."""
        dy: np.ndarray = self._error * self._error.dtype.type(2 / self._error.size)
        return dy
