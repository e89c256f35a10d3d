"""The parts of an optimizer's docstring that follow from its signature and its tables."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from ._groups import Hyperparameter

PLACE = "    References\n    ----------\n"

PARAMS = """params : ndarray, list, tuple, dict or list of groups
    Arrays of float32 or float64, updated in place."""

OPTIONS = """**options
    transforms, maximize, nonfinite, zero_grads, backend: see :class:`instep.Optimizer`."""

RAISES = """Raises
------
TypeError, ValueError
    If an argument breaks its rule; the message names argument, rule and value."""


def completed(cls: type, table: Mapping[str, Hyperparameter]) -> str:
    """Return the class's docstring with the sections Parameters and Raises before References."""
    doc = cls.__doc__ or ""
    lines = ["Parameters", "----------", PARAMS]
    for p in list(inspect.signature(cls).parameters.values())[1:-1]:
        lines += [f"{p.name} : default {p.default!r}", f"    {table[p.name].meaning}"]
    text = "\n".join([*lines, OPTIONS, "", RAISES])
    indented = "\n".join(f"    {line}" if line else "" for line in text.split("\n"))
    return doc.replace(PLACE, f"{indented}\n\n{PLACE}", 1)
