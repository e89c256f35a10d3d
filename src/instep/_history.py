"""What was measured at each step, in bounded memory."""

from __future__ import annotations

import numpy as np


class Recent:
    """The last values of each tensor, of which the running median is asked."""

    def __init__(self, window: int, tensors: int) -> None:
        self._values = np.full((window, tensors), np.nan)
        self._known = np.zeros(tensors, np.int64)  # how many of each are finite
        self._next = 0

    def add(self, values: np.ndarray) -> None:
        """Remember these; values that are not finite say nothing of what is usual."""
        row, finite = self._values[self._next], np.isfinite(values)
        self._known -= np.isfinite(row)
        self._known += finite
        row[...] = np.nan
        np.copyto(row, values, where=finite)
        self._next = (self._next + 1) % len(self._values)

    def beyond(self, values: np.ndarray, factor: float, least: int) -> np.ndarray:
        """Return which are more than ``factor`` times the median of at least so many before.

        They are if more than half of those before are less than them by that factor: a count takes
        less time than a median.
        """
        less = np.add.reduce(self._values * factor < values, axis=0)
        above: np.ndarray = (less * 2 > self._known) & (self._known >= least)
        return above

    def medians(self) -> np.ndarray:
        """Return the median of each tensor; NaN where nothing is known."""
        out = np.full(self._values.shape[1], np.nan)
        known = np.isfinite(self._values).any(axis=0)
        out[known] = np.nanmedian(self._values[:, known], axis=0)
        return out


class History:
    """The whole run in so many rows: when they are full, neighbours become one.

    A row has the largest of what it stands for, so that no peak is lost.
    """

    def __init__(self, rows: int, *shape: int) -> None:
        self._values = np.full((rows, *shape), np.nan)
        self._steps = np.zeros(rows, np.int64)
        self._stride = 1
        self._full, self._pending = 0, 0

    def add(self, step: int, values: np.ndarray) -> None:
        """Remember what was measured at a step."""
        if self._pending == 0:
            if self._full == len(self._values):
                self._halve()
            self._steps[self._full] = step
            self._values[self._full] = values
            self._full += 1
        else:
            row = self._values[self._full - 1]
            _largest(row, values, out=row)
        self._pending = (self._pending + 1) % self._stride

    def _halve(self) -> None:
        half = len(self._values) // 2
        even, odd = self._values[: 2 * half : 2], self._values[1 : 2 * half : 2]
        self._values[:half] = _largest(even, odd)
        self._steps[:half] = self._steps[: 2 * half : 2]
        self._full = half
        self._stride *= 2

    @property
    def steps(self) -> np.ndarray:
        """At which steps the rows begin."""
        return self._steps[: self._full]

    @property
    def values(self) -> np.ndarray:
        """The rows."""
        return self._values[: self._full]


def _largest(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the larger of two; NaN only where both are."""
    larger: np.ndarray = np.fmax(a, b, out=out)
    return larger
