"""The tables that all properties iterate over: optimizers, what they refuse, transforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import instep


@dataclass(frozen=True)
class Case:
    """An optimizer with options, and whether torch has it."""

    cls: type[instep.Optimizer]
    hyper: dict[str, Any] = field(default_factory=dict)
    in_torch: bool = True
    torch_scalars: type = np.float64  # what torch keeps the step's scalars in

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
    Case(instep.Adam, {"eps_mode": "hat", "eps": 1e-3}, in_torch=False),
    Case(instep.Adam, {"betas": (0.0, 0.0), "eps": 0.0}),
    Case(instep.AdamW, {"lr": 0.01}),
    Case(instep.AdamW, {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True}),
    Case(instep.AdamW, {"weight_decay": 0.0, "eps_mode": "hat"}, in_torch=False),
    Case(instep.Adagrad, {}),
    Case(instep.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    Case(instep.Adagrad, {"initial_accumulator_value": 0.5, "eps": 1e-3}),
    Case(instep.Adadelta, {}),
    Case(instep.Adadelta, {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}),
    Case(instep.RMSprop, {}),
    Case(instep.RMSprop, {"lr": 0.1, "alpha": 0.7, "eps": 1e-3, "weight_decay": 0.1}),
    Case(instep.RMSprop, {"centered": True, "eps": 0.1}),
    Case(instep.RMSprop, {"momentum": 0.9}),
    Case(instep.RMSprop, {"momentum": 0.9, "centered": True, "eps": 0.1, "weight_decay": 0.1}),
    Case(instep.Adamax, {}),
    Case(instep.Adamax, {"lr": 0.1, "betas": (0.7, 0.8), "eps": 1e-2, "weight_decay": 0.1}),
    Case(instep.NAdam, {}, torch_scalars=np.float32),
    Case(
        instep.NAdam,
        {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1},
        torch_scalars=np.float32,
    ),
    Case(
        instep.NAdam,
        {"betas": (0.7, 0.8), "weight_decay": 0.1, "decoupled_weight_decay": True},
        torch_scalars=np.float32,
    ),
    Case(instep.RAdam, {}),
    Case(instep.RAdam, {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    Case(instep.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case(instep.ASGD, {}, torch_scalars=np.float32),
    Case(
        instep.ASGD,
        {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 2, "weight_decay": 0.1},
        torch_scalars=np.float32,
    ),
    Case(instep.Rprop, {}),
    Case(instep.Rprop, {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (0.01, 0.2)}),
    Case(instep.Lion, {"lr": 0.01}, in_torch=False),
    Case(instep.Lion, {"lr": 0.01, "betas": (0.7, 0.8), "weight_decay": 0.1}, in_torch=False),
    Case(instep.LAMB, {"lr": 0.01}, in_torch=False),
    Case(instep.LAMB, {"lr": 0.1, "betas": (0.7, 0.8), "weight_decay": 0.0}, in_torch=False),
    Case(instep.LARS, {"lr": 0.1}, in_torch=False),
    Case(instep.LARS, {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.3}, in_torch=False),
    Case(instep.LARS, {"lr": 0.1, "nesterov": True, "trust_coefficient": 0.1}, in_torch=False),
    Case(instep.Yogi, {}, in_torch=False),
    Case(instep.Yogi, {"betas": (0.7, 0.8), "eps": 1e-8, "weight_decay": 0.1}, in_torch=False),
    Case(instep.AdaBelief, {}, in_torch=False),
    Case(instep.AdaBelief, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}, in_torch=False),
]

RATES = [-0.1, np.nan, np.inf, "x"]
SHARES = [-0.1, 1.1, np.nan, None]
FLAGS = [1, None]

BAD: dict[str | tuple[type[instep.Optimizer], str], list[Any]] = {
    "lr": [-1.0, np.nan, np.inf, "0.1", None, True, [0.1]],
    "weight_decay": RATES,
    "betas": [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (np.nan, 0.9), (0.9,), 0.9, "ab", None],
    "eps": [-1e-8, np.nan, np.inf],
    "momentum": RATES,
    "dampening": [np.nan, np.inf, None],
    "nesterov": FLAGS,
    (instep.SGD, "nesterov"): [True, *FLAGS],  # True alone: no momentum
    "amsgrad": FLAGS,
    "eps_mode": ["paper", None, lambda step: "hat"],
    "lr_decay": RATES,
    "initial_accumulator_value": RATES,
    "rho": SHARES,
    "alpha": SHARES,
    (instep.ASGD, "alpha"): RATES,
    "centered": FLAGS,
    "momentum_decay": RATES,
    "decoupled_weight_decay": FLAGS,
    "lambd": RATES,
    "t0": RATES,
    "etas": [(0.0, 1.2), (1.0, 1.2), (0.5, 1.0), (0.5, np.nan), 0.5],
    "step_sizes": [(-1.0, 1.0), (1e-6, np.inf), 1.0, (1.0, 0.5)],
    "trust_coefficient": RATES,
}
"""What a hyperparameter refuses, by its name, or by class and name where a class differs."""

TRANSFORMS = {
    "none": [],
    "value": [instep.ClipByValue(0.5)],
    "norm": [instep.ClipByNorm(1.5)],
    "global": [instep.ClipByGlobalNorm(2.0)],
    "scale": [instep.Scale(0.37)],
    "row": [instep.ClipByRowNorm(1.5)],
    "adaptive": [instep.AdaptiveClip(0.5)],
    "centralize": [instep.Centralize()],
    "standardize": [instep.Standardize()],
    "every": [
        instep.Centralize(),
        instep.ClipByRowNorm(3.0),
        instep.Standardize(1e-3),
        instep.AdaptiveClip(0.3),
        instep.ClipByGlobalNorm(2.0),
    ],
    "global-twice": [instep.ClipByGlobalNorm(3.0), instep.Scale(7.0), instep.ClipByGlobalNorm(5.0)],
    "all": [
        instep.Scale(3.0),
        instep.ClipByNorm(4.0),
        instep.ClipByValue(0.8),
        instep.ClipByGlobalNorm(2.0),
    ],
}

COMPOSED = ("all", "every")
THOROUGH = [str(case) for case in (CASES[0], CASES[4], Case(instep.AdamW, {"lr": 0.01}))]


def pairs(*, values: str = "plain") -> list[tuple[Case, str]]:
    """Cases with transforms: some with each transform, all with those that compose the others.

    Rules and transforms meet only in the gradient block that one hands to the other; so hostile
    values go through all rules, and through all transforms, but not through all of both.
    """
    composed = ("none", *COMPOSED) if values == "plain" else ("none",)
    return [
        (case, name)
        for case in CASES
        for name in TRANSFORMS
        if name in composed or str(case) in THOROUGH
    ]
