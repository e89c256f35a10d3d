"""The one table: optimizers with their options, and transforms. All properties iterate over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import instep


@dataclass(frozen=True)
class Case:
    """An optimizer with options, and what torch calls the same (None: torch has it not)."""

    cls: type[instep.Optimizer]
    hyper: dict[str, Any] = field(default_factory=dict)
    torch: str | None = "same"

    def __str__(self) -> str:
        return "-".join([self.cls.__name__, *(f"{k}={v}" for k, v in self.hyper.items())])


CASES = [
    Case(instep.SGD, {"lr": 0.1}),
    Case(instep.SGD, {"lr": 0.1, "weight_decay": 0.3}),
    Case(instep.SGD, {"lr": 0.1, "momentum": 0.9}),
    Case(instep.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.25, "weight_decay": 0.3}),
    Case(instep.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    Case(instep.SGD, {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.01}),
    Case(instep.Adam, {}),
    Case(instep.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
    Case(instep.Adam, {"amsgrad": True}),
    Case(instep.Adam, {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1}),
    Case(instep.Adam, {"eps_mode": "hat", "eps": 1e-3}, torch=None),
    Case(instep.Adam, {"betas": (0.0, 0.0), "eps": 0.0}),
    Case(instep.AdamW, {"lr": 0.01}),
    Case(instep.AdamW, {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True}),
    Case(instep.AdamW, {"weight_decay": 0.0, "eps_mode": "hat"}, torch=None),
]

TRANSFORMS = {
    "none": [],
    "value": [instep.ClipByValue(0.5)],
    "norm": [instep.ClipByNorm(1.5)],
    "global": [instep.ClipByGlobalNorm(2.0)],
    "scale": [instep.Scale(0.37)],
    "global-twice": [instep.ClipByGlobalNorm(3.0), instep.Scale(7.0), instep.ClipByGlobalNorm(5.0)],
    "all": [
        instep.Scale(3.0),
        instep.ClipByNorm(4.0),
        instep.ClipByValue(0.8),
        instep.ClipByGlobalNorm(2.0),
    ],
}
