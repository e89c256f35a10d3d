"""What an optimizer's class says about its rule: names, slots, and the scalars of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from . import _plans as plans
from ._docs import completed
from ._groups import NEEDED_WITH, SHARED, Hyperparameter, Rules
from ._plans import DECOUPLED_DECAY, L2_DECAY, NO_DECAY, NO_TRUST


class Rule(ABC):
    """The base of :class:`instep.Optimizer`: what differs from one optimizer to the other."""

    _rule: ClassVar[str]
    _numpy: ClassVar[Callable[..., None]]
    _measure: ClassVar[plans.Measure | None] = None
    _slot_names: ClassVar[tuple[str, ...]] = ()
    _decay: ClassVar[Literal["l2", "decoupled", "rule"]] = "l2"
    _own: ClassVar[dict[str, Hyperparameter]] = {}

    def __init_subclass__(
        cls,
        *,
        rule: plans.NumpyRule | None = None,
        measure: plans.Measure | None = None,
        slots: tuple[str, ...] | None = None,
        decay: Literal["l2", "decoupled", "rule"] | None = None,
    ) -> None:
        """Take over what the class line says (the rule has one name in NumPy and C++); document."""
        if rule:
            cls._rule, cls._numpy = rule.__name__, rule
        cls._measure = measure or cls._measure
        cls._slot_names = cls._slot_names if slots is None else slots
        cls._decay = decay or cls._decay
        cls.__doc__ = completed(cls, SHARED | cls._own)

    @staticmethod
    @abstractmethod
    def _scalars(h: dict[str, Any], steps: range) -> Iterable[plans.Scaled]:
        """Say the variant and the scalars of the rule for each of a parameter's steps (from 1).

        Many are asked for at once: of a step on a small array they are a good part of the time.
        """

    @classmethod
    def _used_slots(cls, h: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the slots that these hyperparameters need."""
        needs = {name: NEEDED_WITH.get(name) for name in cls._slot_names}
        return tuple(name for name, option in needs.items() if option is None or h[option])

    @staticmethod
    def _trust(h: dict[str, Any]) -> tuple[float, float, float]:
        """Return factor, decay and eps of the ratio of norms (rules of two passes only)."""
        del h
        return NO_TRUST

    @staticmethod
    def _start(h: dict[str, Any]) -> dict[str, float]:
        """Return the first values of slots that do not start at 0."""
        del h
        return {}

    @classmethod
    def _check_together(cls, h: dict[str, Any]) -> None:
        """Refuse hyperparameters that contradict one another."""

    @classmethod
    def _rules(cls, names: Iterable[str]) -> Rules:
        table = SHARED | cls._own
        checks = {name: table[name].check for name in names}
        return Rules(checks, cls._check_together, cls._used_slots)

    @classmethod
    def _rows(cls, h: dict[str, Any], steps: range) -> plans.Rows:
        """Return all that the rule needs to know for these of a parameter's steps."""
        return (list(cls._scalars(h, steps)), *cls._decay_of(h), cls._trust(h))

    @classmethod
    def _decay_of(cls, h: dict[str, Any]) -> tuple[int, float]:
        decay = h.get("weight_decay", 0) if cls._decay != "rule" else 0
        if not decay:
            return NO_DECAY, 0.0
        if cls._decay == "decoupled" or h.get("decoupled_weight_decay", False):
            return DECOUPLED_DECAY, 1 - h["lr"] * decay
        return L2_DECAY, decay
