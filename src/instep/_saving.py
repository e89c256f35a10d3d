"""An optimizer into a dict and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

from . import _plans as plans
from ._state import Archive
from ._structure import Groups


class Saved(ABC):
    """What optimizers have for saving."""

    _plan: plans.Plan
    _structure: Groups
    _archive: Archive

    @abstractmethod
    def _regroup(self) -> plans.Due:
        """Find parameters that share a row anew."""

    @abstractmethod
    def zero_grad(self) -> None:
        """Forget what was accumulated."""

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: a copy would update arrays of its own."""
        name = type(self).__name__
        raise TypeError(f"{name} cannot be copied or pickled; use state_dict() and a new {name}")

    def state_dict(self) -> dict[str, Any]:
        """Return all that a later run needs to go on, in torch's form; arrays are copies.

        Schedules, also those of transforms, are functions and not part of it, but for the state of
        those that have one (:class:`instep.schedules.ReduceOnPlateau`); nor are the parameters, the
        arguments of transforms, and options as ``maximize``: construct the optimizer with them
        again.

        Returns
        -------
        dict
            ``"optimizer"`` (the class), ``"names"`` (of the parameters), ``"state"``,
            ``"param_groups"``, ``"transforms"`` and ``"steps"``.

        Raises
        ------
        ValueError
            If the list or dict of parameters no longer holds the arrays that it had at first.

        Examples
        --------
        >>> import numpy as np, instep
        >>> opt = instep.SGD({"w": np.ones(2)}, momentum=0.9)
        >>> report = opt.step({"w": np.ones(2)})
        >>> saved = opt.state_dict()
        >>> saved["names"], saved["state"]
        (["['w']"], {0: {'step': 1, 'momentum_buffer': array([1., 1.])}})
        """
        with self._plan:
            self._structure.check_held()
            return self._archive.write(self._plan)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, if it fits; else change nothing.

        Parameters are matched by name: keys of a dict may come in another order, members of a list
        are named by their place. A hyperparameter that is a schedule here stays one.

        Parameters
        ----------
        state_dict : dict
            From an optimizer of the same class, with parameters of the same names and shapes.

        Raises
        ------
        TypeError, ValueError
            If class, names, shapes, dtypes or hyperparameters do not fit this optimizer, or if a
            hyperparameter was a schedule and is none here.

        Examples
        --------
        >>> import numpy as np, instep
        >>> opt = instep.SGD({"v": np.ones(1), "w": np.ones(2)}, momentum=0.9)
        >>> later = instep.SGD({"w": np.ones(2), "v": np.ones(1)}, momentum=0.9)
        >>> report = opt.step({"v": np.zeros(1), "w": np.ones(2)})
        >>> later.load_state_dict(opt.state_dict())
        >>> later.state["w"]["momentum_buffer"]
        array([1., 1.])
        """
        with self._plan:
            self._structure.check_held()
            self._archive.load(self._plan, state_dict)
            self._regroup()
            self.zero_grad()
