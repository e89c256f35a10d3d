"""The parts of an optimizer's docstring that follow from its signature and its tables."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import fill, indent
from typing import Any

from ._groups import Hyperparameter
from ._options import OPTIONS

PARAMS = """params : ndarray, list, tuple, dict or list of groups
    Arrays of float32 or float64 with any strides, updated in place; they must stay the same
    objects. Lists and dicts are one level deep. Groups are dicts with the arrays as ``"params"``
    and hyperparameters of their own."""

RAISES = """Raises
------
TypeError, ValueError
    If an argument breaks its rule; the message names argument, rule and value."""

REFERENCES = """References
----------"""

EXAMPLES = """Examples
--------
>>> import numpy as np, instep"""


def parameters(hyper: Mapping[str, tuple[Any, str]]) -> str:
    """Return the section Parameters: these, by default and meaning, and the shared options."""
    return "\n".join(["Parameters", "----------", PARAMS, *_described(hyper), *_shared()])


def _described(arguments: Mapping[str, tuple[Any, str]]) -> Iterator[str]:
    for name, (default, meaning) in arguments.items():
        text = fill(meaning, 90, break_on_hyphens=False)
        given = "no default" if default is inspect.Parameter.empty else f"default {default!r}"
        yield f"{name} : {given}\n{indent(text, '    ')}"


@cache
def _shared() -> list[str]:
    options = {name: (option.default, option.meaning) for name, option in OPTIONS.items()}
    return list(_described(options))


def completed(cls: type, table: Mapping[str, Hyperparameter]) -> str:
    """Return the class's docstring with all sections that numpydoc knows.

    Those on parameters and errors are added, ``Source:`` becomes the references, and the lines
    behind it the example. A class that names no source is no optimizer yet.
    """
    doc = cls.__doc__ or ""
    if "    Source: " not in doc:
        return doc
    text, _, rest = doc.partition("    Source: ")
    source, _, example = rest.partition("\n\n")
    own = list(inspect.signature(cls).parameters.values())[1:-1]
    hyper = {p.name: (p.default, table[p.name].meaning) for p in own}
    references = fill(" ".join(source.split()), 96)
    sections = [parameters(hyper), RAISES, f"{REFERENCES}\n{references}", EXAMPLES]
    added = indent("\n\n".join(sections), "    ")
    return f"{text.rstrip()}\n\n{added}\n{example}"
