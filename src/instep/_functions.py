"""The functions of `instep.functional` and `instep.reference`: one text, two backends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from . import _validate as validate
from ._backends import make_plan, plain_for
from ._buffers import Buffers
from ._groups import ParamGroup
from ._plans import Plan
from ._structure import Structure
from .optimizer import Optimizer
from .transforms import ClipByGlobalNorm, ClipByNorm, ClipByValue, Scale, Transform


class Functions:
    """Everything that works on arrays without an optimizer object, by one backend."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def _plan(self, grads: Any, transforms: Sequence[Transform] = (), *, write: bool) -> Plan:
        structure = Structure("grads", grads)
        members = zip(structure.names, structure.flatten("grads", grads), strict=True)
        present = [(name, g) for name, g in members if g is not None]
        names, arrays = [name for name, _ in present], [g for _, g in present]
        plain = plain_for(self._backend)
        buffers = Buffers(names, arrays, prefix="grads", writeable=write, plain=plain)
        buffers.seal(once=True)
        return make_plan(self._backend, "assign", None, buffers, transforms)

    def clip_by_value_(self, grads: Any, limit: float) -> None:
        """Limit every element in place: ``g = min(max(g, -limit), limit)``. NaN stays NaN.

        Parameters
        ----------
        grads : ndarray, or list, tuple or dict of them
            float32 or float64, any strides; entries that are None are passed over.
        limit : float
            At least 0.

        Raises
        ------
        TypeError, ValueError
            If an argument breaks its rule; then nothing is changed.

        Examples
        --------
        >>> import numpy as np
        >>> from instep import functional
        >>> g = np.array([0.5, -3.0])
        >>> functional.clip_by_value_(g, 1.0)
        >>> g
        array([ 0.5, -1. ])
        """
        self._plan(grads, [ClipByValue(limit)], write=True).rewrite()

    def clip_by_norm_(self, grads: Any, max_norm: float) -> None:
        """Limit the norm of each array in place: ``g *= min(1, max_norm / (norm(g) + 1e-6))``.

        Parameters
        ----------
        grads : ndarray, or list, tuple or dict of them
            float32 or float64, any strides; entries that are None are passed over.
        max_norm : float
            At least 0.

        Raises
        ------
        TypeError, ValueError
            If an argument breaks its rule; then nothing is changed.

        Examples
        --------
        >>> import numpy as np
        >>> from instep import functional
        >>> grads = [np.array([30.0, 40.0]), np.array([0.1])]
        >>> functional.clip_by_norm_(grads, 1.0)
        >>> grads[0].round(6), grads[1]
        (array([0.6, 0.8]), array([0.1]))
        """
        self._plan(grads, [ClipByNorm(max_norm)], write=True).rewrite()

    def clip_by_global_norm_(self, grads: Any, max_norm: float) -> float:
        """Limit the norm of all arrays together, in place; return the norm before.

        ``g *= min(1, max_norm / (norm + 1e-6))``, torch's ``clip_grad_norm_``.

        Parameters
        ----------
        grads : ndarray, or list, tuple or dict of them
            float32 or float64, any strides; entries that are None are passed over.
        max_norm : float
            At least 0.

        Returns
        -------
        float
            The norm before clipping, summed in double precision.

        Raises
        ------
        TypeError, ValueError
            If an argument breaks its rule; then nothing is changed.

        Examples
        --------
        >>> import numpy as np
        >>> from instep import functional
        >>> grads = {"w": np.array([30.0]), "b": np.array([40.0])}
        >>> functional.clip_by_global_norm_(grads, 1.0)
        50.0
        >>> grads["w"].round(6)
        array([0.6])
        """
        norm = self._plan(grads, [ClipByGlobalNorm(max_norm)], write=True).rewrite()
        assert norm is not None
        return norm

    def global_norm(self, grads: Any) -> float:
        """Return the Euclidean norm of all arrays together, summed in double precision.

        The true norm also where the sum of squares would overflow or underflow.

        Parameters
        ----------
        grads : ndarray, or list, tuple or dict of them
            float32 or float64, any strides, only read; None is passed over.

        Raises
        ------
        TypeError, ValueError
            If an array breaks its rule.

        Examples
        --------
        >>> import numpy as np
        >>> from instep import functional
        >>> functional.global_norm([np.array([3e200]), np.array([4e200])])
        4.9999999999999995e+200
        """
        return self._plan(grads, write=False).global_norm()

    def all_finite(self, grads: Any) -> bool:
        """Return whether no element of any array is infinite or NaN.

        Parameters
        ----------
        grads : ndarray, or list, tuple or dict of them
            float32 or float64, any strides, only read; None is passed over.

        Raises
        ------
        TypeError, ValueError
            If an array breaks its rule.

        Examples
        --------
        >>> import numpy as np
        >>> from instep import functional
        >>> functional.all_finite([np.ones(3), np.array([np.inf])])
        False
        """
        return self._plan(grads, write=False).all_finite()

    def step_function(self, cls: type[Optimizer]) -> Callable[..., None]:
        """Return the optimizer's rule as a function on arrays: ``adam_`` for ``Adam``."""
        signature = step_signature(cls)
        bind = binder(signature)

        def function(*args: Any, **kwargs: Any) -> None:
            try:
                given = bind(args, kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            self._step(cls, given)

        function.__name__ = function.__qualname__ = f"{cls.__name__.lower()}_"
        function.__signature__ = signature  # type: ignore[attr-defined]
        module = "functional" if self._backend == "native" else "reference"
        function.__doc__ = _document(cls, function, module)
        return function

    def _step(self, cls: type[Optimizer], rest: dict[str, Any]) -> None:
        param, grad = rest.pop("param"), rest.pop("grad")
        slots = {name: rest.pop(name) for name in cls._slot_names}
        t = validate.count("step", rest.pop("step"), 1)
        maximize = validate.flag("maximize", rest.pop("maximize"))
        h = ParamGroup(None, rest, cls._rules(rest)).at(t - 1)
        used = cls._used_slots(h)
        for name in used:
            if slots[name] is None:
                raise TypeError(f"{name}: must be an array, which these hyperparameters need")
        for name, slot in slots.items():
            if slot is not None and not isinstance(slot, np.ndarray):
                got = validate.shown(slot)
                raise TypeError(f"{name}: must be an array (hyperparameters go by name); got {got}")
        row = tuple(slots[name] if name in used else None for name in cls._slot_names)
        plain = plain_for(self._backend)
        buffers = Buffers([""], [param], prefix="param", grads="grad", plain=plain)
        buffers.seal([row], cls._slot_names, once=True)
        transforms = [Scale(-1.0)] if maximize else []
        plan = make_plan(
            self._backend, cls._rule, cls._numpy, buffers, transforms, measure=cls._measure
        )
        plan.make_ready([cls._rows(h, range(t, t + 1))], None)
        plan.take([grad])
        plan.finish()


for _name, _function in vars(Functions).items():
    if inspect.isfunction(_function):
        _function.__qualname__ = _name  # as Python's own messages call it


def binder(
    signature: inspect.Signature,
) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Return a function that binds arguments by name, defaults included, in a tenth of the time."""
    parameters = signature.parameters.values()
    names = signature.parameters.keys()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        by_place = dict(zip(positional, args, strict=False))
        given = {**defaults, **by_place, **kwargs}
        fits = len(by_place) == len(args) and by_place.keys().isdisjoint(kwargs)
        if not fits or given.keys() != names:
            signature.bind(*args, **kwargs)  # knows what to say
        return given

    return bind


def step_signature(cls: type[Optimizer]) -> inspect.Signature:
    """Return ``(param, grad, <slots>, *, step, <hyperparameters>, maximize=False)``."""
    of_class = list(inspect.signature(cls.__init__).parameters.values())[2:-1]
    hyper = [p.replace(kind=p.KEYWORD_ONLY) for p in of_class]
    needed = cls._used_slots({p.name: p.default for p in hyper})
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    arrays = [inspect.Parameter(name, positional) for name in ("param", "grad", *needed)]
    optional = [
        inspect.Parameter(name, positional, default=None)
        for name in cls._slot_names
        if name not in needed
    ]
    step = inspect.Parameter("step", keyword)
    maximize = inspect.Parameter("maximize", keyword, default=False)
    return inspect.Signature([*arrays, *optional, step, *hyper, maximize])


def _document(cls: type[Optimizer], function: Callable[..., None], module: str) -> str:
    names = ", ".join(f"``{name}``" for name in cls._slot_names)
    defaults = {
        p.name: p.default
        for p in inspect.signature(function).parameters.values()
        if p.default is not p.empty
    }
    starts = "".join(
        f", but for ``{name}``: {value:g} with the default hyperparameters"
        for name, value in cls._start(defaults).items()
    )
    written = f"``param`` and the slots ({names}) are" if names else "``param`` is"
    text = (
        f"{written} updated, ``grad`` is only read: arrays of one shape and dtype (float32 or "
        f"float64), any strides. ``step`` is the number of this step, from 1. "
        + (f"Before the first the slots are zeros{starts}. " if names else "")
        + "Hyperparameters, their defaults, the equation and the errors are those of the class. "
        "``maximize`` negates the gradient."
    )
    return (
        f"Take one step of :class:`instep.{cls.__name__}` in place.\n\n{fill(text, 90)}\n\n"
        f"{_example(cls, function, defaults, module)}"
    )


def _example(
    cls: type[Optimizer], function: Callable[..., None], defaults: dict[str, Any], module: str
) -> str:
    """Return a first step on two numbers as a doctest, with the result that it has."""
    h = {**defaults, "lr": 0.1}
    start = {name: cls._start(h).get(name, 0.0) for name in cls._used_slots(h)}
    w = np.array([1.0, -2.0])
    function(w, 2 * w, *(np.full(2, value) for value in start.values()), step=1, lr=0.1)
    slots = [
        f">>> {name} = " + (f"np.full(2, {value!r})" if value else "np.zeros(2)")
        for name, value in start.items()
    ]
    arguments = ", ".join(["w", "2 * w", *start])
    return "\n".join(
        [
            "Examples",
            "--------",
            ">>> import numpy as np",
            f">>> from instep import {module}",
            ">>> w = np.array([1.0, -2.0])",
            *slots,
            f">>> {module}.{function.__name__}({arguments}, step=1, lr=0.1)",
            ">>> w.round(6).tolist()",
            f"{w.round(6).tolist()}",
            "",
        ]
    )
