"""The parts of an optimizer's docstring that follow from its signature and its tables."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping

from ._groups import Hyperparameter

PARAMS = """params : ndarray, list, tuple, dict or list of groups
    Arrays of float32 or float64, updated in place."""

OPTIONS = """**options
    transforms, maximize, nonfinite, zero_grads, backend: see :class:`instep.Optimizer`."""

RAISES = """Raises
------
TypeError, ValueError
    If an argument breaks its rule; the message names argument, rule and value."""


REFERENCES = """References
----------"""

EXAMPLES = """Examples
--------
>>> import numpy as np, instep"""


def completed(cls: type, table: Mapping[str, Hyperparameter]) -> str:
    """Return the class's docstring with all sections that numpydoc knows.

    Those on parameters and errors are added, ``Source:`` becomes the references, and the lines
    behind it the example.
    """
    doc = cls.__doc__ or ""
    text, _, rest = doc.partition("    Source: ")
    source, _, example = rest.partition("\n\n")
    lines = ["Parameters", "----------", PARAMS]
    for p in list(inspect.signature(cls).parameters.values())[1:-1]:
        lines += [f"{p.name} : default {p.default!r}", f"    {table[p.name].meaning}"]
    references = textwrap.fill(" ".join(source.split()), 96)
    lines += [OPTIONS, "", RAISES, "", REFERENCES, references, "", EXAMPLES]
    added = textwrap.indent("\n".join(lines), "    ")
    return f"{text.rstrip()}\n\n{added}\n{example}" if source else doc
