"""The contestant from JAX: optax, compiled, with donated buffers."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ._bench_cases import BETA1, BETA2, EPS, LR, Arrays, Case
from ._bench_contestants import Contestant
from ._bench_sizes import Size

COMPILABLE = 1000  # tensors: 5 s to compile a step; with 4000 tensors 34 s


class Jax(Contestant):
    """``jax.jit`` of an optax step that gives away its parameters and state: updated in place.

    float64 is switched on for all dtypes. Without it JAX computes ``1 - beta2**t`` in float32, and
    the first updates are off by more than the check allows; what is done to each element is the
    same.
    """

    name = "jax"
    label = "JAX + optax"
    clips_apart = 1e-7  # optax divides by the norm, torch and instep by the norm and 1e-6

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        jax = import_module("jax")
        jax.config.update("jax_enable_x64", True)  # noqa: FBT003
        super().__init__(case, [], grads)
        optimizer = _optimizer(case.optimizer, case.weight_decay, case.max_norm)
        self._held = _copies(start)
        self._state = optimizer.init(self._held)
        self._grads = _copies(grads)
        self._step = _compiled(optimizer)
        self._wait = jax.block_until_ready

    def refresh(self) -> None:
        """Take over the gradients as they are now."""
        self._grads = _copies(self.grads)

    def step(self) -> None:
        """Take one step, and wait for its end."""
        self._held, self._state = self._step(self._held, self._state, self._grads)
        self._wait((self._held, self._state))

    def reached(self) -> Arrays:
        """Return views, which must be gone before the next step can give the buffers away."""
        return [np.asarray(p) for p in self._held]

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        """Return why it cannot take part: its threads are settled when it starts."""
        del dtype
        if case.optimizer not in {"Adam", "AdamW"}:
            return f"not compared for {case.title}"
        if size.tensors > COMPILABLE:
            return f"a step of {size.tensors} tensors takes minutes to compile"
        if threads != (own := _threads()):
            return (
                f"uses {own} threads and cannot change that; for {threads} start with "
                f"NPROC={threads} in the environment"
            )
        return None


def _threads() -> int:
    """Return the size of XLA's pool."""
    return int(os.environ.get("NPROC") or os.cpu_count() or 1)


def _copies(arrays: Arrays) -> list[Any]:
    array = import_module("jax.numpy").array
    return [array(a, copy=True) for a in arrays]


@cache
def _optimizer(name: str, weight_decay: float, max_norm: float | None) -> Any:
    """Return the same object for the same case, so that nothing is compiled twice."""
    optax = import_module("optax")
    hyper = {"b1": BETA1, "b2": BETA2, "eps": EPS}
    chained = [] if max_norm is None else [optax.clip_by_global_norm(max_norm)]
    if name == "AdamW":
        chained.append(optax.adamw(LR, weight_decay=weight_decay, **hyper))
    else:
        chained.append(optax.adam(LR, **hyper))
    return optax.chain(*chained)


@cache
def _compiled(optimizer: Any) -> Any:
    apply = import_module("optax").apply_updates

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return apply(params, updates), state

    return import_module("jax").jit(step, donate_argnums=(0, 1))
