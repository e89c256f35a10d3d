"""The base of all optimizers: structure, groups, state, and the step itself."""

from __future__ import annotations

from textwrap import indent
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

import numpy as np

from . import _plans as plans
from . import _validate as validate
from . import transforms as tf
from ._accumulate import Accumulator
from ._backends import make_plan, plain_for
from ._buffers import Buffers
from ._docs import parameters
from ._groups import ParamGroup, make_groups
from ._options import (
    ACCUMULATED,
    OPTIONS,
    Options,
    Params,
    Schedulable,
    StepReport,
    choose,
)
from ._rule import Rule
from ._saving import Saved
from ._state import Archive, State, zero_slots


class Monitor(Protocol):
    """What looks at the norms that a step leaves behind."""

    def _after_step(self, step: int) -> None: ...


class Optimizer(Rule, Saved):
    """What all optimizers have in common.

    Every hyperparameter but the flags may be a function of the number of steps taken so far.
    """

    def __init__(self, params: Params, hyper: dict[str, Any], options: Options) -> None:
        chosen = choose(type(self).__name__, hyper, options)
        self._nonfinite: str = chosen["nonfinite"]
        self._options = {k: v for k, v in chosen.items() if v not in (OPTIONS[k].default, [])}
        self._groups, self._structure = make_groups(params, hyper, self._rules(hyper))
        leaves = self._structure.leaves
        plain = plain_for(chosen["backend"])
        self._buffers = Buffers(self._structure.names, leaves, plain=plain)
        owners = [g for g, n in enumerate(self._structure.sizes) for _ in range(n)]
        self._owners = owners
        self._state = [
            self._allocated(p, self._groups[g]) for p, g in zip(leaves, owners, strict=True)
        ]
        self._transforms = [
            *chosen["transforms"],
            *([tf.Scale(-1.0)] if chosen["maximize"] else []),
        ]
        self._backend: str = chosen["backend"]
        self._zero_grads: bool = chosen["zero_grads"]
        self._accumulator: Accumulator | None = None
        self._monitor: Monitor | None = None
        # The reference asks its transforms at every step by itself.
        native = self._backend == "native"
        self._moving = native and any(t._moving() for t in self._transforms)
        slots = [tuple(s.get(name) for name in self._slot_names) for s in self._state]
        self._plan = make_plan(
            self._backend,
            self._rule,
            type(self)._numpy,
            self._buffers.seal(slots, self._slot_names),
            self._transforms,
            measure=type(self)._measure,
            check_finite=self._nonfinite != "propagate",
            zero_grads=self._zero_grads,
        )
        self._plan.watch(self._structure.watched(), grouped=self._structure.grouped)
        self._usual_step = self._plan.stepper(raising=self._nonfinite == "raise")
        for group in self._groups:
            group.changed = self._plan.forget_rows
        self._archive = Archive(
            type(self).__name__, self._structure, self._groups, chosen["transforms"], self._state
        )
        self._regroup()

    # Construction.

    def _allocated(self, param: np.ndarray, group: ParamGroup) -> State:
        slots = zero_slots(param, group.slots)
        if type(self)._start is not Optimizer._start:
            for name, value in self._start(group.at(0)).items():
                slots[name][...] = value
        return slots

    # What a user reads and sets.

    @property
    def params(self) -> Any:
        """The parameters, as they were passed (a list of them where there are groups)."""
        trees = [g["params"] for g in self._groups]
        return trees if self._structure.grouped else trees[0]

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, dict-like, with hyperparameters to read and set; they stay those passed."""
        return tuple(self._groups)

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

    def step(self, grads: Any = ACCUMULATED) -> StepReport:
        """Update all parameters in place; a step that raises or is skipped has changed nothing.

        Parameters
        ----------
        grads : same structure as the parameters
            A gradient for each parameter: same shape and dtype, any strides, not written (but for
            ``zero_grads``). None leaves its parameter, state and step count alone. With groups a
            list with an entry for each. To be left out after :meth:`accumulate`: then the step
            takes the mean of what was accumulated.

        Returns
        -------
        StepReport

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit, or the list or dict of parameters no longer holds the arrays
            that it had at first; the message names it, the rule and what was received.
        FloatingPointError
            If a gradient is not finite, with ``nonfinite="raise"``.
        """
        report = None if self._accumulator else self._usual_step(grads)
        return report or self._unusual_step(grads)

    def _unusual_step(self, grads: Any) -> StepReport:
        """Take a step that the plan alone cannot."""
        with self._plan as plan:
            accumulated = None
            if self._accumulator or not plan.begin(grads):
                accumulated = self._take(grads)
            sums = accumulated.plan if accumulated else None
            report = plan.finish(sums)
            if not report:
                self._make_ready()
                report = plan.finish(sums)
            assert report
            if self._monitor is not None:
                self._monitor._after_step(report.step + report.skipped)
            if report.skipped and self._nonfinite == "raise":
                self._refuse_nonfinite(grads)
            return report

    def _make_ready(self) -> None:
        """Hand the plan its rows: for the next step, or for several where nothing moves."""
        plan = self._plan
        steps, cohorts, ahead = plan.due() or self._regroup()
        if self._moving:
            plan.retune([t._native(steps + 1) for t in self._transforms])
        if self._moving or any(group.moving for group in self._groups):
            ahead = 1
        now = [group.at(steps) for group in self._groups]
        rows = [self._rows(now[g], range(t, t + ahead)) for g, t in cohorts]
        plan.make_ready(rows, now[0]["lr"])

    def _take(self, grads: Any) -> Accumulator | None:
        """Begin a step where the plan's quick tests do not do; return what was accumulated."""
        self._structure.check_held()
        a = self._accumulator
        if grads is ACCUMULATED:
            if a is None or not a.calls:
                raise TypeError("grads: must be given where nothing was accumulated")
            self._plan.take(a.leaves())
            return a
        if a and a.calls:
            raise ValueError(
                "grads: must be left out after accumulate(), or what was accumulated be "
                f"forgotten with zero_grad(); got {validate.shown(grads)}"
            )
        self._plan.take(self._structure.flatten("grads", grads))
        return None

    def _refuse_nonfinite(self, grads: Any) -> None:
        if grads is ACCUMULATED:
            assert self._accumulator
            self._buffers.refuse_nonfinite(self._accumulator.sums, "the sum of ")
        else:
            self._buffers.refuse_nonfinite(self._structure.flatten("grads", grads))

    def accumulate(self, grads: Any) -> float:
        """Add the gradients of a micro-batch to those before; ``step()`` then takes their mean.

        The mean is that of the calls: each counts once. It is the gradient of the whole batch if
        each micro-batch has as many samples and its gradient is the mean over them; for gradients
        that are sums over samples, add :class:`Scale` with 1 / (samples in a micro-batch).

        The norm is found on the way: a step that clips by norm first does not read the gradients
        once more. The sums have memory of their own, which the first call allocates. A step uses
        them up, also one that finds that they are not finite and is skipped or raises
        FloatingPointError; :meth:`zero_grad` and :meth:`load_state_dict` forget them. They are not
        part of the state.

        Parameters
        ----------
        grads : same structure as the parameters
            As for :meth:`step`; they are read (and with ``zero_grads`` set to zero) at once and may
            be used again. None adds nothing; a parameter that had None in every call is left alone
            by the step.

        Returns
        -------
        float
            The norm of the mean of what has been accumulated so far, before any transform.

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit; then nothing is changed.

        Examples
        --------
        >>> import numpy as np, instep
        >>> w = np.zeros(2)
        >>> opt = instep.SGD([w], lr=1.0, transforms=[instep.ClipByGlobalNorm(1.0)])
        >>> opt.accumulate([np.array([6.0, 0.0])]), opt.accumulate([np.array([0.0, 8.0])])
        (6.0, 5.0)
        >>> report = opt.step()  # with the mean, [3, 4]
        >>> report.grad_norm, w.round(6)
        (5.0, array([-0.6, -0.8]))
        """
        with self._plan:
            self._structure.check_held()
            leaves = self._structure.flatten("grads", grads)
            if self._zero_grads:
                self._buffers.check_zeroable(leaves)
            if self._accumulator is None:
                self._accumulator = Accumulator(
                    self._backend, self._buffers, zero_grads=self._zero_grads
                )
            return self._accumulator.add(leaves)

    def zero_grad(self) -> None:
        """Forget what was accumulated.

        Gradients that you pass to :meth:`step` are yours: they are set to zero only after a step,
        and only with ``zero_grads=True``.
        """
        with self._plan:
            if self._accumulator:
                self._accumulator.plan.forget()

    def _regroup(self) -> plans.Due:
        """Find the cohorts: parameters of one group with one step count, which share a row."""
        cohorts: dict[tuple[int, int], int] = {}
        row_of = [
            cohorts.setdefault(cohort, len(cohorts))
            for cohort in zip(self._owners, self._plan.counts, strict=True)
        ]
        self._plan.assign_rows(row_of, [group for group, _ in cohorts])
        due = self._plan.due()
        assert due is not None
        return due

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse attributes that there are not: ``opt.learning_rate = 0.1`` would do nothing."""
        if not name.startswith("_") and not hasattr(type(self), name):
            self._refuse_attribute(name)
        object.__setattr__(self, name, value)

    def _refuse_attribute(self, name: str) -> NoReturn:
        if name in OPTIONS:
            hint = "; it is chosen at construction"
        else:
            near = validate.nearest(name, [*self._groups[0], "transforms"])
            place = "lr" if near == "lr" else f"param_groups[0][{near!r}]"
            hint = f"; set {place}" if near in self._groups[0] else ""
        raise AttributeError(f"{name}: {type(self).__name__} has no such attribute{hint}")

    def __repr__(self) -> str:
        """Show each group with its hyperparameters, options that were chosen, and the steps."""
        groups = [
            f"    group {k}: arrays={n}, {group.text()}"
            for k, (n, group) in enumerate(zip(self._structure.sizes, self._groups, strict=True))
        ]
        options = [f"    {name}: {value!r}" for name, value in self._options.items()]
        lines = [*groups, *options, f"    steps: {self.steps}"]
        return "\n".join([f"{type(self).__name__} (", *lines, ")"])


Optimizer.__doc__ = f"{Optimizer.__doc__}\n{indent(parameters({}), '    ')}\n    "
