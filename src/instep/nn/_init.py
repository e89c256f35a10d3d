"""How weights start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
