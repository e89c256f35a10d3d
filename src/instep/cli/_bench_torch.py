"""The contestants on torch's tensors: its own optimizers, and DeepSpeed's Adam for CPUs."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from ._bench_cases import Arrays, Case
from ._bench_contestants import Contestant
from ._bench_sizes import Size


class TorchDefault(Contestant):
    """``torch.optim`` as it is, after ``clip_grad_norm_`` where the case clips.

    Clipping scales torch's gradients in place: they are its own then, and are filled anew before
    each sample. Within a sample they have the norm that they are clipped to, which makes no
    difference to the time: torch multiplies by the factor whatever it is.
    """

    name = "torch_default"
    label = "torch"
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        torch = import_module("torch")
        _take_a_root_alone()
        super().__init__(case, [], grads)
        self._clip = torch.nn.utils.clip_grad_norm_
        self._tensors = [torch.from_numpy(p).clone().requires_grad_() for p in start]
        self._shared = [torch.from_numpy(g) for g in grads]
        for tensor, g in zip(self._tensors, self._shared, strict=True):
            tensor.grad = g if case.max_norm is None else g.clone()
        self._optimizer = self._made(self._tensors)
        self.params = [tensor.detach().numpy() for tensor in self._tensors]

    def _made(self, tensors: list[Any]) -> Any:
        cls = getattr(import_module("torch.optim"), self.case.optimizer)
        return cls(tensors, **self.case.hyper, **self.options)

    def refresh(self) -> None:
        """Take over the gradients as they are now."""
        if self.case.max_norm is None:
            return
        for tensor, g in zip(self._tensors, self._shared, strict=True):
            tensor.grad.copy_(g)

    def step(self) -> None:
        """Take one step."""
        if self.case.max_norm is not None:
            self._clip(self._tensors, self.case.max_norm)
        self._optimizer.step()

    @classmethod
    def use_threads(cls, n: int) -> None:
        """Let torch use so many threads."""
        import_module("torch").set_num_threads(n)


class TorchForeach(TorchDefault):
    """With ``foreach=True``: operations on lists of tensors."""

    name = "torch_foreach"
    label = "torch foreach"
    options: ClassVar[dict[str, Any]] = {"foreach": True}


class TorchFused(TorchDefault):
    """With ``fused=True``: one kernel, where torch has it."""

    name = "torch_fused"
    label = "torch fused"
    options: ClassVar[dict[str, Any]] = {"fused": True}


class DeepSpeed(TorchDefault):
    """``DeepSpeedCPUAdam``, which updates torch's tensors one by one; it uses torch's threads."""

    name = "deepspeed"
    label = "DeepSpeed"

    @classmethod
    def refusal(cls, case: Case, size: Size, dtype: str, threads: int) -> str | None:
        """Return why it cannot take part: it is Adam, clips nothing and has float32 only."""
        del size, threads
        if case.optimizer not in {"Adam", "AdamW"} or case.max_norm is not None:
            return f"its CPUAdam is no {case.title}"
        if dtype != "float32":
            return f"its states are float32; this is {dtype}"
        return None

    def _made(self, tensors: list[Any]) -> Any:
        _ask_the_processor_once()
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else it warns that it finds no other
        decoupled = self.case.optimizer == "AdamW"
        return import_module("deepspeed.ops.adam").DeepSpeedCPUAdam(
            tensors, adamw_mode=decoupled, **self.case.hyper
        )


@cache
def _take_a_root_alone() -> None:
    """Let torch's mathematics library choose its kernels while one thread asks.

    Where several threads take its first square root together, some get a kernel with half the
    digits, that once: https://github.com/pytorch/pytorch/issues/188792.
    """
    torch = import_module("torch")
    for dtype in (torch.float32, torch.float64):
        torch.ones(1, dtype=dtype).sqrt()


@cache
def _ask_the_processor_once() -> None:
    """Remember what cpuinfo says: DeepSpeed asks it for every optimizer, which takes a second."""
    cpuinfo: Any = import_module("cpuinfo")
    cpuinfo.get_cpu_info = cache(cpuinfo.get_cpu_info)
