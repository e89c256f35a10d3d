"""The tables that all properties iterate over: optimizers, what they refuse, transforms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import instep

Hyper = dict[str, Any]
State = defaultdict[str, float]
Vector = list[float]
Stepper = Callable[[Vector, Vector, int], Vector]
Oracle = Callable[[Hyper], Stepper]


@dataclass(frozen=True)
class Case:
    """An optimizer with options, and what judges it: torch, or an oracle where torch has it not."""

    cls: type[instep.Optimizer]
    hyper: Hyper = field(default_factory=dict)
    oracle: Oracle | None = None
    torch_scalars: type = np.float64  # what torch keeps the step's scalars in

    @property
    def in_torch(self) -> bool:
        return self.oracle is None

    def __str__(self) -> str:
        return "-".join([self.cls.__name__, *(f"{k}={v}" for k, v in self.hyper.items())])


# The oracles: the papers' formulas, element by element in Python.


def sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def norm(x: Vector) -> float:
    return math.sqrt(math.fsum(e * e for e in x))


def each(element: Callable[[Hyper, State, float, float, int], float]) -> Oracle:
    """Make an oracle of ``element(h, s, p, g, t)``, s being the element's state, first all 0."""

    def oracle(h: Hyper) -> Stepper:
        state: dict[int, State] = defaultdict(lambda: defaultdict(float))
        return lambda p, g, t: [
            element(h, state[i], *pair, t) for i, pair in enumerate(zip(p, g, strict=True))
        ]

    return oracle


@each
def lion(h: Hyper, s: State, p: float, g: float, t: int) -> float:
    b1, b2 = h.get("betas") or 2 * [h["momentum"]]  # signSGD is Lion with one beta
    c = b1 * s["m"] + (1 - b1) * g
    s["m"] = b2 * s["m"] + (1 - b2) * g
    return p - h["lr"] * (sign(c) + h["weight_decay"] * p)


def adam_like(second: Callable[[Hyper, float, float, float], float]) -> Oracle:
    """Adam (with L2 decay) with a second moment ``second(h, v, g, m)``, m being up to date."""

    @each
    def adam(h: Hyper, s: State, p: float, g: float, t: int) -> float:
        b1, b2 = h["betas"]
        g += h["weight_decay"] * p
        if t == 1:
            s["v"] = h.get("initial_accumulator_value", 0.0)
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = second(h, s["v"], g, s["m"])
        if h.get("eps_mode") == "hat":
            rate = h["lr"] * math.sqrt(1 - b2**t) / (1 - b1**t)
            return p - rate * s["m"] / (math.sqrt(s["v"]) + h["eps"])
        m_hat, v_hat = s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)
        return p - h["lr"] * m_hat / (math.sqrt(v_hat) + h["eps"])

    return adam


def mean(h: Hyper, v: float, square: float) -> float:
    b2 = h["betas"][1]
    return b2 * v + (1 - b2) * square


adam = adam_like(lambda h, v, g, m: mean(h, v, g * g))
yogi = adam_like(lambda h, v, g, m: v - (1 - h["betas"][1]) * sign(v - g * g) * g * g)
adabelief = adam_like(lambda h, v, g, m: mean(h, v, (g - m) ** 2) + h["eps"])


def lamb(h: Hyper) -> Stepper:
    # Where Adam goes from 0 at rate -1 is the direction, but for the decay.
    direction = adam(h | {"lr": -1.0, "weight_decay": 0.0})

    def step(p: Vector, g: Vector, t: int) -> Vector:
        plain = direction([0.0] * len(p), g, t)
        u = [d + h["weight_decay"] * w for d, w in zip(plain, p, strict=True)]
        trust = norm(p) / norm(u) if norm(p) and norm(u) else 1.0
        return [w - h["lr"] * trust * d for w, d in zip(p, u, strict=True)]

    return step


def lars(h: Hyper) -> Stepper:
    buf: dict[int, float] = {}
    decay, mu = h["weight_decay"], h["momentum"]

    def step(p: Vector, g: Vector, t: int) -> Vector:
        x, y = norm(p), norm(g)
        trust = h["trust_coefficient"] * x / (y + decay * x + h["eps"]) if x and y else 1.0
        out = []
        for i, (w, raw) in enumerate(zip(p, g, strict=True)):
            d = trust * (raw + decay * w)
            buf[i] = mu * buf[i] + d if i in buf else d
            d = d + mu * buf[i] if h["nesterov"] else buf[i]
            out.append(w - h["lr"] * d)
        return out

    return step


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
    Case(instep.Adam, {"eps_mode": "hat", "eps": 1e-3}, oracle=adam),
    Case(instep.Adam, {"betas": (0.0, 0.0), "eps": 0.0}),
    Case(instep.AdamW, {"lr": 0.01}),
    Case(instep.AdamW, {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True}),
    Case(instep.AdamW, {"weight_decay": 0.0, "eps_mode": "hat"}, oracle=adam),
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
    Case(instep.Lion, {"lr": 0.01}, oracle=lion),
    Case(instep.Lion, {"lr": 0.01, "betas": (0.7, 0.8), "weight_decay": 0.1}, oracle=lion),
    Case(instep.SignSGD, {}, oracle=lion),
    Case(instep.SignSGD, {"lr": 0.01, "momentum": 0.0}, oracle=lion),
    Case(instep.SignSGD, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}, oracle=lion),
    Case(instep.LAMB, {"lr": 0.01}, oracle=lamb),
    Case(instep.LAMB, {"lr": 0.1, "betas": (0.7, 0.8), "weight_decay": 0.0}, oracle=lamb),
    Case(instep.LARS, {"lr": 0.1}, oracle=lars),
    Case(instep.LARS, {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.3}, oracle=lars),
    Case(instep.LARS, {"lr": 0.1, "nesterov": True, "trust_coefficient": 0.1}, oracle=lars),
    Case(instep.Yogi, {}, oracle=yogi),
    Case(instep.Yogi, {"betas": (0.7, 0.8), "eps": 1e-8, "weight_decay": 0.1}, oracle=yogi),
    Case(instep.AdaBelief, {}, oracle=adabelief),
    Case(instep.AdaBelief, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}, oracle=adabelief),
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
    (instep.SignSGD, "momentum"): [1.0, 1.1, *RATES],
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
    "noise": [instep.AddNoise(0.01, seed=2**40 + 7)],
    "scheduled": [
        instep.Scale(lambda step: 1.0 + step),
        instep.ClipByGlobalNorm(instep.schedules.linear(1.0, 3.0, 4)),
    ],
    "every": [
        instep.Centralize(),
        instep.AddNoise(0.1, gamma=1.0),
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
