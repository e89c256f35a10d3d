"""Every example in a docstring runs, and everything public has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import instep

MODULES = [
    m.name for m in pkgutil.walk_packages(instep.__path__, "instep.") if "_core" not in m.name
]


@pytest.mark.parametrize("name", ["instep", *MODULES])
def test_examples(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize(
    "name", sorted(set(instep.__all__) - {"functional", "reference", "schedules"})
)
def test_public_things_have_an_example(name: str) -> None:
    thing = getattr(instep, name)
    assert inspect.getdoc(thing)
    if name not in ("Optimizer", "StepReport"):
        assert ">>> " in thing.__doc__, f"{name} has no example"


@pytest.mark.parametrize("name", instep.optimizers.__all__)
def test_optimizers_have_every_section(name: str) -> None:
    text = inspect.getdoc(getattr(instep, name)) or ""
    order = ("Parameters\n---", "Raises\n---", "References\n---", "Examples\n---", ">>> import")
    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("module", [instep.functional, instep.reference])
def test_functions_have_docstrings_and_one_signature(module: object) -> None:
    assert instep.functional.__all__ == instep.reference.__all__
    for name in instep.functional.__all__:
        assert inspect.getdoc(getattr(module, name))
        native = inspect.signature(getattr(instep.functional, name))
        assert native == inspect.signature(getattr(instep.reference, name)), name
    adam = str(inspect.signature(instep.functional.adam_))
    assert adam.startswith("(param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq=None, *, step, lr")
