"""The contestant from torch: its fused optimizers on tensors of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from ._bench_cases import Arrays, Case
from ._bench_contestants import Contestant


class Torch(Contestant):
    """``torch.optim`` with ``fused=True``, after ``clip_grad_norm_`` where the case clips.

    Clipping scales torch's gradients in place. They then have the norm that they are clipped to,
    which makes no difference to the time: torch multiplies by the factor whatever it is.
    """

    name = "torch_fused"
    label = "torch fused"
    options: ClassVar[dict[str, Any]] = {"fused": True}

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        import torch  # noqa: PLC0415 - an optional package

        super().__init__(case, [], grads)
        self._from_numpy = torch.from_numpy
        self._clip: Any = torch.nn.utils.clip_grad_norm_
        self._tensors = [torch.from_numpy(p).clone().requires_grad_() for p in start]
        for tensor, g in zip(self._tensors, grads, strict=True):
            tensor.grad = torch.from_numpy(g).clone()
        cls = getattr(torch.optim, case.optimizer)
        self._optimizer = cls(self._tensors, **case.hyper, **self.options)
        self.params = [tensor.detach().numpy() for tensor in self._tensors]

    def refresh(self) -> None:
        """Take over the gradients as they are now."""
        for tensor, g in zip(self._tensors, self.grads, strict=True):
            assert tensor.grad is not None
            tensor.grad.copy_(self._from_numpy(g))

    def step(self) -> None:
        """Take one step."""
        if self.case.max_norm is not None:
            self._clip(self._tensors, self.case.max_norm)
        self._optimizer.step()


class TorchDefault(Torch):
    """``torch.optim`` as it is without further arguments: what it chooses by itself."""

    name = "torch_default"
    label = "torch"
    options: ClassVar[dict[str, Any]] = {}
