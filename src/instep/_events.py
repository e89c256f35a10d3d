"""Gradients that explode or vanish: the event, the warning, and what it says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EXPLODING, VANISHING = KINDS = ("exploding", "vanishing")


class GradientWarning(UserWarning):
    """A gradient explodes or vanishes.

    Examples
    --------
    >>> import warnings, instep
    >>> warnings.simplefilter("ignore", instep.GradientWarning)  # the monitor goes on to look
    """


class GradientEvent(NamedTuple):
    """The begin of an episode: a gradient that was not so before.

    Examples
    --------
    >>> import instep
    >>> instep.GradientEvent(9, "exploding", "w", 50.0, 10.0).name
    'w'
    """

    step: int
    """The number of the step, from 1."""
    kind: str
    """``"exploding"`` or ``"vanishing"``."""
    name: str
    """The tensor's, which is the key of a dict, ``[0]`` in a list or ``[1]['w']`` in a group."""
    norm: float
    """Of its gradient."""
    limit: float
    """What the norm would have to be at most, or at least."""


def message(events: list[GradientEvent]) -> str:
    """Return what a warning says of episodes that begin together."""
    first, more = events[0], len(events) - 3
    told = "; ".join(_told(event) for event in events[:3])
    told += f" and {more} more" if more > 0 else ""
    return f"step {first.step}: gradient {first.kind}: {told}"


def _told(event: GradientEvent) -> str:
    rule = "explodes above" if event.kind == EXPLODING else "vanishes below"
    told = f"{event.name}: norm {event.norm:.3g}"
    return told if np.isnan(event.limit) else f"{told}, {rule} {event.limit:.3g}"
