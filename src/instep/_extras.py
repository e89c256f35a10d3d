"""Packages that only some things need."""

from __future__ import annotations

import importlib
from types import ModuleType

EXTRA = {
    "matplotlib": "matplotlib",
    "rich": "rich",
    "sklearn": "scikit-learn",
    "threadpoolctl": "threadpoolctl",
    "typer": "typer",
}
"""The modules that come with ``instep[demo]``, and the packages that have them."""


def extra(module: str, what: str) -> ModuleType:
    """Import a module; where it is not installed, say what needs it and how to install it."""
    package = module.split(".", maxsplit=1)[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        told = f'{what} needs {EXTRA[package]}; run: pip install "instep[demo]"'
        raise ModuleNotFoundError(told, name=package) from None
