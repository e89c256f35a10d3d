"""The base of all optimizers: structure, groups, state, and the step itself."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np

from . import _plans as plans
from . import _validate as validate
from . import transforms as tf
from ._buffers import Buffers
from ._docs import completed
from ._groups import NEEDED_WITH, SHARED, Hyperparameter, ParamGroup, Rules
from ._options import OPTIONS, Options, Params, Schedulable, StepReport
from ._state import State, aligned_zeros, read_state, write_state
from ._structure import Groups


class Optimizer(ABC):
    """What all optimizers have in common.

    Parameters
    ----------
    params : ndarray, list, tuple, dict or list of groups
        Arrays of float32 or float64 with any strides, updated in place. Groups are dicts with the
        arrays as ``"params"`` and hyperparameters of their own.
    transforms : sequence of transforms
        Applied to the gradients in flight, in this order; see :mod:`instep.transforms`.
    maximize : bool
        Ascend: negate the gradient after the transforms.
    nonfinite : "propagate", "skip" or "raise"
        What to do when a gradient, as passed, has an infinity or a NaN: go on as torch does, leave
        everything as it was and say so in the report, or raise :class:`FloatingPointError`.
    zero_grads : bool
        Set the gradients to zero once they are used.
    backend : "native" or "reference"
        The C++ kernels, or the same bits from NumPy.

    Every hyperparameter but the flags may be a function of the number of steps taken so far.
    """

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

    def __init__(self, params: Params, hyper: dict[str, Any], options: Options) -> None:
        chosen = self._chosen(options)
        # Reentrant: a signal handler that saves the state may come in the middle of a step.
        self._lock = threading.RLock()
        self._nonfinite: str = chosen["nonfinite"]
        self._groups, self._structure = self._grouped(params, hyper)
        leaves = self._structure.flatten("params", self.params)
        self._buffers = Buffers(self._structure.names, leaves)
        owners = [g for g, n in enumerate(self._structure.sizes) for _ in range(n)]
        self._owners = owners
        self._state = [
            self._allocated(p, self._groups[g]) for p, g in zip(leaves, owners, strict=True)
        ]
        slots = [tuple(s.get(name) for name in self._slot_names) for s in self._state]
        self._plan = plans.make_plan(
            chosen["backend"],
            self._rule,
            type(self)._numpy,
            self._buffers.seal(slots, self._slot_names),
            [*chosen["transforms"], *([tf.Scale(-1.0)] if chosen["maximize"] else [])],
            measure=type(self)._measure,
            check_finite=self._nonfinite != "propagate",
            zero_grads=chosen["zero_grads"],
        )
        self._regroup()

    # What a subclass says about its rule.

    @staticmethod
    @abstractmethod
    def _scalars(h: dict[str, Any], t: int) -> tuple[int, tuple[float, ...]]:
        """Return the variant and the scalars of the rule for a parameter's step ``t`` (from 1)."""

    @classmethod
    def _used_slots(cls, h: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the slots that these hyperparameters need."""
        needs = {name: NEEDED_WITH.get(name) for name in cls._slot_names}
        return tuple(name for name, option in needs.items() if option is None or h[option])

    @staticmethod
    def _trust(h: dict[str, Any]) -> tuple[float, float, float]:
        """Return factor, decay and eps of the ratio of norms (rules of two passes only)."""
        del h
        return 1.0, 0.0, 0.0

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
    def _row(cls, h: dict[str, Any], t: int) -> plans.Row:
        """Return all that the rule needs to know for a parameter's step ``t``."""
        variant, scalars = cls._scalars(h, t)
        decay = h.get("weight_decay", 0.0)
        if cls._decay == "rule":
            return plans.Row(variant, plans.NO_DECAY, 0.0, scalars, cls._trust(h))
        if decay == 0:
            return plans.Row(variant, plans.NO_DECAY, 0.0, scalars)
        if cls._decay == "decoupled" or h.get("decoupled_weight_decay", False):
            return plans.Row(variant, plans.DECOUPLED_DECAY, 1 - h["lr"] * decay, scalars)
        return plans.Row(variant, plans.L2_DECAY, decay, scalars)

    # Construction.

    def _chosen(self, options: Options) -> dict[str, Any]:
        for name in options:
            if name not in OPTIONS:
                raise TypeError(f"{name}: {type(self).__name__} has no such argument")
        given = {name: options.get(name, default) for name, (_, default) in OPTIONS.items()}
        return {name: OPTIONS[name][0](name, value) for name, value in given.items()}

    def _allocated(self, param: np.ndarray, group: ParamGroup) -> State:
        slots = {name: aligned_zeros(param) for name in group.slots}
        if type(self)._start is not Optimizer._start:
            for name, value in self._start(group.at(0)).items():
                slots[name][...] = value
        return slots

    @classmethod
    def _grouped(cls, params: Any, hyper: dict[str, Any]) -> tuple[list[ParamGroup], Groups]:
        if not isinstance(params, (np.ndarray, Mapping, str)) and hasattr(params, "__iter__"):
            params = list(params)
        grouped = isinstance(params, list) and any(isinstance(p, Mapping) for p in params)
        specs = params if grouped else [{"params": params}]
        groups = []
        for i, spec in enumerate(specs):
            if not isinstance(spec, Mapping) or "params" not in spec:
                got = validate.shown(spec)
                raise TypeError(f"params[{i}]: must be a dict with the key 'params'; got {got}")
            own = {name: value for name, value in spec.items() if name != "params"}
            groups.append(ParamGroup(spec["params"], hyper | own, cls._rules(hyper)))
        structure = Groups("params", [g["params"] for g in groups], grouped=grouped)
        if not structure.names:
            raise ValueError("params: must have at least one array; got none")
        return groups, structure

    # What a user reads and sets.

    @property
    def params(self) -> Any:
        """The parameters, as they were passed (a list of them where there are groups)."""
        trees = [g["params"] for g in self._groups]
        return trees if self._structure.grouped else trees[0]

    @property
    def param_groups(self) -> list[ParamGroup]:
        """The groups: dict-like, with hyperparameters to read and set."""
        return self._groups

    @property
    def state(self) -> Any:
        """For each parameter its slots by name, in the structure of the parameters.

        The arrays are the optimizer's own: writing to them changes the next step.
        """
        return self._structure.rebuild([MappingProxyType(slots) for slots in self._state])

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._plan.steps

    @property
    def lr(self) -> float:
        """The learning rate of the next step (of the first group); setting it sets all groups'."""
        return float(self._groups[0].at(self.steps)["lr"])

    @lr.setter
    def lr(self, value: Schedulable) -> None:
        merged = [group.merged({"lr": value}) for group in self._groups]
        for group, values in zip(self._groups, merged, strict=True):
            group.replace(values)

    # The step.

    def step(self, grads: Any) -> StepReport:
        """Update all parameters in place.

        Parameters
        ----------
        grads : same structure as the parameters
            A gradient for each parameter: same shape and dtype, any strides, not written (but for
            ``zero_grads``). None leaves its parameter, state and step count alone.

        Returns
        -------
        StepReport

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit; the message names it, the rule and what was received.
        FloatingPointError
            If a gradient is not finite, with ``nonfinite="raise"``.

        A step that raises or is skipped has changed nothing.
        """
        with self._lock:
            leaves = self._structure.flatten("grads", grads)
            plan = self._plan
            if plan.regroup:
                self._regroup()
            now = [group.at(plan.steps) for group in self._groups]
            rows = [self._row(now[g], plan.count(i) + 1) for g, i in self._cohorts]
            finite, norm, factor = plan.step(leaves, rows)
            if not finite and self._nonfinite == "raise":
                self._raise_nonfinite(leaves)
            return StepReport(plan.steps, now[0]["lr"], norm, factor, not finite)

    def _regroup(self) -> None:
        """Find the cohorts: parameters of one group with one step count, which share a row."""
        cohorts: dict[tuple[int, int], int] = {}
        self._cohorts: list[tuple[int, int]] = []
        row_of = []
        for i, (group, count) in enumerate(zip(self._owners, self._plan.counts, strict=True)):
            if (group, count) not in cohorts:
                cohorts[group, count] = len(self._cohorts)
                self._cohorts.append((group, i))
            row_of.append(cohorts[group, count])
        self._plan.assign_rows(row_of)

    def _raise_nonfinite(self, leaves: Sequence[np.ndarray | None]) -> None:
        for name, g in zip(self._structure.names, leaves, strict=True):
            bad = np.argwhere(~np.isfinite(g if g is not None else 0.0))
            if len(bad):
                at = tuple(bad[0].tolist())
                got = f"{g[at]} at index {at}, {len(bad)} such in all"  # type: ignore[index]
                raise FloatingPointError(f"grads{name}: must be finite; got {got}")

    # Saving.

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: a copy would update arrays of its own."""
        name = type(self).__name__
        raise TypeError(f"{name} cannot be copied or pickled; use state_dict() and a new {name}")

    def state_dict(self) -> dict[str, Any]:
        """Return all that a later run needs to go on, in torch's form; arrays are copies.

        Schedules are functions and not part of it: construct the optimizer with them again.
        """
        with self._lock:
            first = np.cumsum([0, *self._structure.sizes]).tolist()
            groups = [
                {name: v for name, v in group.items() if name != "params" and not callable(v)}
                | {"params": list(range(first[k], first[k + 1]))}
                for k, group in enumerate(self._groups)
            ]
            state = write_state(self._plan.counts, self._state)
            return {"state": state, "param_groups": groups, "steps": self.steps}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, if it fits; else change nothing.

        Raises
        ------
        TypeError, ValueError
            If keys, shapes, dtypes or hyperparameters do not fit this optimizer.
        """
        with self._lock:
            keys = {"state", "param_groups", "steps"}
            if not isinstance(state_dict, Mapping) or set(state_dict) != keys:
                got = validate.shown(state_dict)
                raise ValueError(f"state_dict: must have the keys {sorted(keys)}; got {got}")
            groups = self._read_groups(state_dict["param_groups"])
            counts = read_state(state_dict["state"], self._state)
            steps = validate.count("state_dict['steps']", state_dict["steps"], 0)
            for group, values in zip(self._groups, groups, strict=True):
                group.replace(values)
            for i, slots in enumerate(self._state):
                for name, slot in slots.items():
                    slot[...] = state_dict["state"][i][name]
            self._plan.steps = steps
            self._plan.counts = counts
            self._regroup()

    def _read_groups(self, given: Any) -> list[dict[str, Any]]:
        fits = isinstance(given, (list, tuple)) and len(given) == len(self._groups)
        if not fits or not all(isinstance(values, Mapping) for values in given):
            raise ValueError(
                f"state_dict['param_groups']: must be {len(self._groups)} dicts; "
                f"got {validate.shown(given)}"
            )
        return [
            group.merged({name: v for name, v in dict(values).items() if name != "params"})
            for group, values in zip(self._groups, given, strict=True)
        ]
