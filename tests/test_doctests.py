"""Every example in a docstring runs, and everything public has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import types

import numpy as np
import pytest

import instep
from instep._options import OPTIONS

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
    assert "inspect" not in text  # what a signature has for no default
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


@pytest.mark.parametrize("module", [instep.functional, instep.reference], ids=["native", "numpy"])
@pytest.mark.parametrize("name", instep.functional.__all__)
def test_examples_of_functions(name: str, module: types.ModuleType) -> None:
    """These are made when they are asked for, where doctest's own search does not find them."""
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(module, name), name, module=False)
    assert test.examples[-1].want.strip(), "shows no result"
    assert doctest.DocTestRunner().run(test).failed == 0
    native = inspect.getdoc(getattr(instep.functional, name))
    assert native == inspect.getdoc(getattr(module, name)).replace("reference", "functional")


def test_results_of_functions_are_those_of_the_optimizers() -> None:
    for name in instep.optimizers.__all__:
        function = getattr(instep.functional, f"{name.lower()}_")
        w = np.array([1.0, -2.0])
        getattr(instep, name)([w], lr=0.1).step([2 * w])
        assert f"\n{w.round(6).tolist()}\n" in function.__doc__
        assert all(slot in function.__doc__ for slot in getattr(instep, name)._slot_names)
    assert "\n[0.9, -1.9]\n" in instep.functional.adam_.__doc__
    assert "zeros, but for ``step_size``: 0.01 with" in " ".join(
        instep.functional.rprop_.__doc__.split()
    )


def test_shared_options_are_explained() -> None:
    for name in ("Optimizer", *instep.optimizers.__all__):
        for option in OPTIONS:
            assert f"\n    {option} : default " in getattr(instep, name).__doc__
    for field in instep.StepReport._fields:
        assert f"\n    {field} : " in instep.StepReport.__doc__
