"""The contestants from numba: the update as a parallel loop, exact and with fastmath."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from ._bench_cases import BETA1, BETA2, EPS, LR, Arrays, Case
from ._bench_contestants import Contestant
from ._bench_sizes import Size


@cache
def _kernels(fastmath: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the update and the sum of squares, compiled when they are first called.

    All scalars have the arrays' dtype, else the loop would compute in float64; the error model of
    NumPy spares it the test for division by zero, without which nothing would be vectorized.
    """
    numba = import_module("numba")
    prange = numba.prange
    compiled = numba.njit(parallel=True, fastmath=fastmath, error_model="numpy")

    def update(
        p: Any, g: Any, m: Any, v: Any, factor: Any, keep: Any, beta1: Any, rest1: Any,
        beta2: Any, rest2: Any, root: Any, eps: Any, rate: Any,
    ) -> None:  # fmt: skip
        for i in prange(p.size):
            x = g[i] * factor
            m_i = beta1 * m[i] + rest1 * x
            v_i = beta2 * v[i] + rest2 * x * x
            p[i] = p[i] * keep - rate * m_i / (np.sqrt(v_i) * root + eps)
            m[i] = m_i
            v[i] = v_i

    def squares(g: Any) -> Any:
        total = 0.0
        for i in prange(g.size):
            total += g[i] * g[i]
        return total

    return compiled(update), compiled(squares)


class Numba(Contestant):
    """A kernel as a careful user writes it, called for each tensor."""

    name = "numba"
    label = "numba"
    fastmath: ClassVar[bool] = False

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        self._update, self._squares = _kernels(self.fastmath)
        self._tensors = [
            (p.reshape(-1), g.reshape(-1), np.zeros(p.size, p.dtype), np.zeros(p.size, p.dtype))
            for p, g in zip(self.params, grads, strict=True)
        ]
        self._t = 0

    def step(self) -> None:
        """Take one step."""
        self._t += 1
        factor = 1.0
        if self.case.max_norm is not None:
            norm = sqrt(sum(self._squares(g) for _, g, _, _ in self._tensors))
            factor = min(1.0, self.case.max_norm / (norm + 1e-6))
        keep, root = 1 - LR * self.case.weight_decay, 1 / sqrt(1 - BETA2**self._t)
        rate = LR / (1 - BETA1**self._t)
        numbers = (factor, keep, BETA1, 1 - BETA1, BETA2, 1 - BETA2, root, EPS, rate)
        scalars = [self.params[0].dtype.type(x) for x in numbers]
        for arrays in self._tensors:
            self._update(*arrays, *scalars)

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        """Return why it cannot take part: the kernel is Adam's."""
        del size, dtype, threads
        adam = case.optimizer in {"Adam", "AdamW"}
        return None if adam else f"there is no kernel here for {case.title}"

    @classmethod
    def use_threads(cls, n: int) -> None:
        """Let numba use so many threads."""
        numba = import_module("numba")
        numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))


class NumbaFast(Numba):
    """The same with ``fastmath=True``: may reorder, fuse and approximate."""

    name = "numba_fastmath"
    label = "numba fastmath"
    fastmath: ClassVar[bool] = True
