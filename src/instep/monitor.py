"""Watch gradients explode and vanish, at no further pass over them."""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validate as validate
from ._events import KINDS, VANISHING, GradientEvent, GradientWarning, message
from ._history import History, Recent
from .optimizer import Optimizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GradientEvent", "GradientMonitor", "GradientWarning"]

USUAL = 5  # steps after which it is known what is usual
LONGEST = 1_000_000  # steps of a window: memory is 8 bytes for each and tensor
CALM = 10  # steps without a flag after which an episode is over
ROWS, EVENTS = 512, 1000


class GradientMonitor:
    r"""Keep an eye on the gradients of an optimizer.

    Each step leaves, for each tensor, the norm of its gradient :math:`\lVert g \rVert` as passed
    (before transforms; of the mean of what was accumulated), the norm of the parameter as the step
    left it :math:`\lVert p \rVert`, and :math:`\lVert \Delta p \rVert / \lVert p \rVert`. They
    are taken in the pass that the step makes anyway.

    A gradient *explodes* where it is not finite or

    .. math:: \lVert g \rVert > k \cdot \mathrm{median}(\lVert g \rVert \text{ of the last steps})

    and *vanishes* where

    .. math:: \lVert g \rVert < \mathrm{floor} \cdot \lVert g_\text{deepest} \rVert

    with the gradient of the deepest layer, the one next to the loss. An episode begins with the
    first such step of a tensor and ends when ten steps had none. At its begin there is one warning
    (one for all tensors whose episodes begin together), and one call of ``callback`` for each.

    Parameters
    ----------
    opt : Optimizer
        Whose steps to look at; it has one monitor at a time, the last.
    explosion : float
        The factor k, > 1.
    vanishing : float
        The floor, >= 0 and < 1; 0 finds none.
    window : int
        Of how many steps the median is taken, 5 to a million; nothing explodes before the sixth
        step but what is not finite.
    deepest : str, optional
        The name of the deepest layer's tensor; the last one with two axes or more where it is not
        given, or the last of all.
    callback : callable, optional
        Called with each `GradientEvent`.
    warn : bool
        Whether to warn.

    Attributes
    ----------
    names : list of str
        Of the tensors: keys of a dict, ``[0]`` in a list, ``[1]['w']`` in the second group,
        ``params`` for a single array.
    grad_norms, param_norms, update_ratios : ndarray of float64, shape (tensors,)
        Of the last step; NaN for a tensor that took no part, and what was not known of a step that
        was refused or skipped.
    events : list of GradientEvent
        The last thousand.

    Raises
    ------
    TypeError, ValueError
        If an argument breaks its rule.

    Notes
    -----
    Memory is bounded: the window, and 512 rows for the whole run; when these are full neighbours
    become one, the larger value staying.

    Of float32 arrays the squares of 1024 elements are summed in single precision, and such sums in
    double: norms are right to one part in a million. Where single precision cannot hold the squares
    (elements beyond 1e19), or might lose some (all below 1e-12), those of gradients and parameters
    are summed in double instead. Those of updates are not: beyond 1e19 their ratio reads infinite,
    below 1e-19 too small, in the end 0. The squares of float64 elements beyond 1e154 overflow,
    which reads as an explosion.

    A callback that raises, or a warning made an error, does so after the step was taken.

    References
    ----------
    Bengio, Simard, Frasconi, "Learning long-term dependencies with gradient descent is difficult",
    1994; Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Examples
    --------
    >>> import numpy as np, instep
    >>> w = np.ones(3)
    >>> opt = instep.SGD({"w": w}, lr=0.1)
    >>> monitor = instep.GradientMonitor(opt, warn=False)
    >>> for size in [1, 1, 1, 1, 1, 100]:
    ...     report = opt.step({"w": np.full(3, size / 3**0.5)})
    >>> monitor.grad_norms.round(3)
    array([100.])
    >>> event = monitor.events[0]
    >>> event.step, event.kind, event.name, round(event.limit, 3)
    (6, 'exploding', 'w', 10.0)
    """

    def __init__(
        self,
        opt: Optimizer,
        *,
        explosion: float = 10.0,
        vanishing: float = 1e-6,
        window: int = 50,
        deepest: str | None = None,
        callback: Callable[[GradientEvent], object] | None = None,
        warn: bool = True,
    ) -> None:
        if not isinstance(opt, Optimizer):
            raise TypeError(f"opt: must be an optimizer of instep; got {validate.shown(opt)}")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback: must be callable; got {validate.shown(callback)}")
        self.explosion: float = validate.number(above=1)("explosion", explosion)
        self.vanishing: float = validate.number(low=0, below=1)("vanishing", vanishing)
        self.window = validate.count("window", window, USUAL, LONGEST)
        self.callback = callback
        self.warn = validate.flag("warn", warn)
        self.names = [_plain(name) or "params" for name in opt._structure.names]
        self._deepest = self._place_of(deepest, opt._structure.leaves)
        n = len(self.names)
        self._norms = np.full((3, n), np.nan)
        self._recent = Recent(self.window, n)
        self._history = History(ROWS, 3, n)
        self._seen = np.full((3, n), np.nan)  # the same, with ratios instead of updates
        # Of each kind: who has it now, how many steps had it, and how many have passed since.
        self._flagged = np.zeros((2, n), bool)
        self._flags = np.zeros((2, n), np.int64)
        self._calm = np.full((2, n), CALM)
        self._events: deque[GradientEvent] = deque(maxlen=EVENTS)
        self._attach(opt)

    def _place_of(self, deepest: str | None, leaves: list[np.ndarray]) -> int:
        if deepest is None:
            layers = [i for i, p in enumerate(leaves) if p.ndim > 1]
            return layers[-1] if layers else len(leaves) - 1
        if deepest not in self.names:
            known = validate.known(str(deepest), self.names)
            raise ValueError(f"deepest: must be one of {known}; got {deepest!r}")
        return self.names.index(deepest)

    def _attach(self, opt: Optimizer) -> None:
        self._opt: Optimizer | None = opt
        with opt._plan as plan:
            plan.observe(self._norms)
            opt._monitor = self

    def detach(self) -> None:
        """Look no more; what was seen stays."""
        opt, self._opt = self._opt, None
        if opt is None or opt._monitor is not self:
            return
        with opt._plan as plan:
            plan.observe(None)
            opt._monitor = None

    # What a user reads.

    @property
    def grad_norms(self) -> np.ndarray:
        """Norms of the gradients, as they came."""
        norms: np.ndarray = self._norms[0].copy()
        return norms

    @property
    def param_norms(self) -> np.ndarray:
        """Norms of the parameters as the step left them."""
        norms: np.ndarray = self._norms[1].copy()
        return norms

    @property
    def update_ratios(self) -> np.ndarray:
        """Norms of what the step added to the parameters, by the norms of the parameters."""
        ratios: np.ndarray = self._seen[2].copy()
        return ratios

    @property
    def events(self) -> list[GradientEvent]:
        """How episodes began."""
        return list(self._events)

    # After each step.

    def _after_step(self, step: int) -> None:
        norms, params, updates = self._norms
        with np.errstate(all="ignore"):
            absent = norms < 0
            self._norms[:, absent] = np.nan
            self._flagged[0] = self._recent.beyond(norms, self.explosion, USUAL)
            self._flagged[0] |= ~(np.isfinite(norms) | absent)
            np.less(norms, self.vanishing * norms[self._deepest], out=self._flagged[1])
            self._seen[:2] = self._norms[:2]
            np.divide(updates, params, out=self._seen[2])
        begun = self._begun(step) if self._flagged.any() else []
        self._calm += 1
        self._recent.add(norms)
        self._history.add(step, self._seen)
        self._events += begun
        if begun:
            self._tell(begun)

    def _begun(self, step: int) -> list[GradientEvent]:
        fresh = self._flagged & (self._calm >= CALM)
        self._flags += self._flagged
        self._calm[self._flagged] = -1
        return [
            GradientEvent(step, KINDS[k], self.names[i], float(self._norms[0, i]), limit)
            for k in np.flatnonzero(fresh.any(axis=1))
            for i, limit in self._limits(KINDS[k], np.flatnonzero(fresh[k]))
        ]

    def _limits(self, kind: str, tensors: np.ndarray) -> list[tuple[int, float]]:
        """Return what the norms of these tensors would have to be at most, or at least."""
        if kind == VANISHING:
            limits = np.full(len(self.names), self.vanishing * self._norms[0, self._deepest])
        else:
            limits = self.explosion * self._recent.medians()
        return list(zip(tensors.tolist(), limits[tensors].tolist(), strict=True))

    def _tell(self, begun: list[GradientEvent]) -> None:
        for kind in KINDS if self.warn else ():
            some = [e for e in begun if e.kind == kind]
            if some:
                warnings.warn(message(some), GradientWarning, stacklevel=4)
        for event in begun if self.callback else ():
            assert self.callback is not None
            self.callback(event)

    # What a user looks at.

    def table(self) -> str:
        """Return a table with a line for each tensor, 80 columns wide.

        Norms of its gradient: at the last step, the median of the window, the largest of the run.
        Then the norm of the parameter, and the norm of the last update as a share of it. Last, at
        how many steps the gradient exploded and vanished; an event is the first step of an episode.
        A dash stands for a tensor that took no part in the last step.
        """
        from ._monitor_view import table  # noqa: PLC0415 - rich is asked for here only

        return table(self)

    def plot(self, path: Any = None) -> Figure:
        """Draw the norm of each gradient over the steps, with marks where episodes began.

        Parameters
        ----------
        path : path, optional
            Where to write the picture; its ending says in which form.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from ._monitor_view import plot  # noqa: PLC0415 - matplotlib takes a second to import

        figure = plot(self)
        if path is not None:
            figure.savefig(path)
        return figure


def _plain(name: str) -> str:
    """Return the key of a dict as it is: ``w`` for ``['w']``."""
    return name[2:-2] if re.fullmatch(r"\['[^']*'\]", name) else name
