"""Functions of each element."""

from __future__ import annotations

import numpy as np

from .. import _validate as validate
from ._layer import Layer


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


class Sigmoid(Layer):
    """Logistic function: ``y = 1 / (1 + exp(-x))``, any shape.

    Its slope is at most 1/4: in a deep network the gradient vanishes on its way to the first layer.

    Examples
    --------
    >>> import numpy as np
    >>> from instep import nn
    >>> nn.Sigmoid().forward(np.array([[0.0, -1000.0]]))
    array([[0.5, 0. ]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``1 / (1 + exp(-x))``."""
        y: np.ndarray = 0.5 + 0.5 * np.tanh(0.5 * x)  # equal to it, and cannot overflow
        self._y = y
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return ``dy * y * (1 - y)``."""
        dx: np.ndarray = dy * self._y * (1 - self._y)
        return dx


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
