"""Saving and restoring: everything comes back, and what does not fit changes nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

import instep
from arrays import differing
from cases import CASES, Case
from instep.schedules import ReduceOnPlateau, constant

BACKENDS = pytest.mark.parametrize("backend", ["native", "reference"])
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=str)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def stepped(params: Any, **hyper: Any) -> instep.Adam:
    """Return an optimizer after one step with gradients that differ in every parameter."""
    opt = instep.Adam(params, **hyper)
    arrays = list(params.values()) if isinstance(params, dict) else params
    grads = [np.full(a.shape, 2.0 + i) for i, a in enumerate(arrays)]
    opt.step(dict(zip(params, grads, strict=True)) if isinstance(params, dict) else grads)
    return opt


def refused(opt: instep.Optimizer, wrong: Any, message: str) -> None:
    """Check that this cannot be loaded and that trying changes nothing."""
    before = opt.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        opt.load_state_dict(wrong)
    np.testing.assert_equal(opt.state_dict(), before)


@EVERY_CASE
@BACKENDS
def test_state_dict_round_trip(case: Case, backend: str) -> None:
    grads = rng().standard_normal((6, 2, 50))
    p = list(rng().standard_normal((2, 50)))
    opt = case.cls(p, **case.hyper, backend=backend)
    for t in range(3):
        opt.step([grads[t, 0], grads[t, 1] if t else None])
    saved = opt.state_dict()
    q = [a.copy() for a in p]
    twin = case.cls(q, backend="reference", **({**case.hyper, "lr": 0.7}))
    twin.load_state_dict(saved)
    assert twin.lr == opt.lr
    kept = copy.deepcopy(saved)
    for t in range(3, 6):
        opt.step(list(grads[t]))
        twin.step(list(grads[t]))
    for a, b in zip(p, q, strict=True):
        assert not differing(a, b)
    np.testing.assert_equal(saved, kept)  # a snapshot: later steps do not reach it
    assert opt.steps == twin.steps == 6


def test_state_dict_that_does_not_fit_changes_nothing() -> None:
    opt = instep.Adam([np.ones(3), np.ones(2)], amsgrad=False)
    opt.step([np.ones(3), np.ones(2)])
    good = opt.state_dict()

    def broken(**changes: Any) -> list[dict[str, Any]]:
        wrong = copy.deepcopy(good)
        wrong.update(changes)
        return [wrong]

    entry = good["state"][0]
    wrongs: list[Any] = [{}, None, 3]
    wrongs += (
        broken(steps=-1)
        + broken(steps=1.5)
        + broken(steps=2**60)
        + broken(state={})
        + broken(param_groups=[])
    )
    wrongs += broken(state={**good["state"], 1: {"step": 1}})
    wrongs += broken(state={**good["state"], 0: {**entry, "exp_avg": np.ones(4)}})
    wrongs += broken(state={**good["state"], 0: {**entry, "exp_avg": np.ones(3, np.float32)}})
    wrongs += broken(state={**good["state"], 0: {**entry, "exp_avg": [1, 2, 3]}})
    wrongs += broken(param_groups=[{**good["param_groups"][0], "lr": -1.0}])
    wrongs += broken(param_groups=[{**good["param_groups"][0], "amsgrad": True}])
    wrongs += broken(param_groups=[{**good["param_groups"][0], "beta": 1}])
    wrongs += broken(param_groups=[3])
    for wrong in wrongs:
        refused(opt, wrong, r"^state_dict")


def test_form() -> None:
    opt = instep.SGD([{"params": [np.ones(1)]}, {"params": {"w": np.ones(2)}, "lr": constant(0.5)}])
    saved = opt.state_dict()
    assert saved["optimizer"] == "SGD"
    assert saved["names"] == ["[0][0]", "[1]['w']"]
    first, second = saved["param_groups"]
    assert (first["params"], first["schedules"], first["lr"]) == ([0], {}, 1e-3)
    assert (second["params"], second["schedules"]) == ([1], {"lr": None})
    assert "lr" not in second
    assert saved["steps"] == 0
    json.dumps(saved)  # but for arrays, which there are none of


def test_another_class_is_refused() -> None:
    saved = stepped([np.ones(2)]).state_dict()
    opt = instep.AdamW([np.ones(2)])
    refused(opt, saved, r"^state_dict\['optimizer'\]: must be 'AdamW'.*; got 'Adam'$")


def test_the_keys_are_named() -> None:
    opt = stepped([np.ones(2)])
    saved = opt.state_dict()
    del saved["names"]
    saved["lr"] = 1
    message = (
        r"^state_dict: must be a dict with the keys "
        r"\['optimizer', 'names', 'state', 'param_groups', 'transforms', 'steps'\]; "
        r"missing \['names'\], unknown \['lr'\]$"
    )
    refused(opt, saved, message)


def test_parameters_are_matched_by_name() -> None:
    opt = stepped({"a": np.ones(2), "b": np.ones(2), "c": np.ones(3)})
    other = instep.Adam({"c": np.ones(3), "a": np.ones(2), "b": np.ones(2)})
    other.load_state_dict(opt.state_dict())
    for name, slots in opt.state.items():
        np.testing.assert_equal(dict(other.state[name]), dict(slots))
    assert other.state["a"]["exp_avg"][0] != other.state["b"]["exp_avg"][0]


def test_other_names_are_refused() -> None:
    saved = stepped({"a": np.ones(2), "b": np.ones(2)}).state_dict()
    message = (
        r"""^state_dict\['names'\]: must name .*; missing \["\['c'\]"\], unknown \["\['b'\]"\]$"""
    )
    refused(instep.Adam({"a": np.ones(2), "c": np.ones(2)}), saved, message)
    many = instep.Adam({str(i): np.ones(2) for i in range(16)})
    refused(many, saved, r"missing \[(\S+ ){11}\S+\] and 4 more, unknown")
    refused(instep.Adam([np.ones(2), np.ones(2)]), saved, r"missing \['\[0\]', '\[1\]'\]")
    own = stepped({"a": np.ones(2), "b": np.ones(2)})
    refused(
        own, {**saved, "names": 3}, r"^state_dict\['names'\]: must be a list of strings; got int 3"
    )
    twice = {**saved, "names": ["['a']", "['b']", "['a']"]}
    refused(own, twice, r"must be distinct")


def test_schedules_stay() -> None:
    saved = stepped([np.ones(2)], lr=0.5).state_dict()
    opt = instep.Adam([np.ones(2)], lr=lambda t: 0.25 / (1 + t), eps=1.0)
    opt.load_state_dict(saved)
    assert (opt.lr, opt.param_groups[0]["eps"]) == (0.125, 1e-8)
    twin = instep.Adam([np.ones(2)], lr=constant(3.0))
    twin.load_state_dict(opt.state_dict())
    assert twin.lr == 3.0


def test_a_schedule_must_be_passed_again() -> None:
    saved = stepped([np.ones(2)], lr=constant(0.5)).state_dict()
    message = (
        r"^state_dict\['param_groups'\]\[0\]\['schedules'\]: .* got 'lr', which was a function "
        r"when it was saved and is 0.001 here \(pass the function again at construction\)"
    )
    refused(instep.Adam([np.ones(2)]), saved, message)


def plateau(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(1.0, patience=0, factor=0.5, **arguments)


def test_a_plateau_is_restored() -> None:
    lr = plateau()
    opt = stepped([np.ones(2)], lr=lr)
    for metric in (1.0, 2.0, 3.0):
        lr.step(metric)
    saved = copy.deepcopy(opt.state_dict())
    restored = plateau()
    twin = instep.Adam([np.ones(2)], lr=restored)
    twin.load_state_dict(saved)
    assert twin.lr == opt.lr == 0.25
    assert restored.state_dict() == lr.state_dict()
    lr.step(0.5)
    assert saved["param_groups"][0]["schedules"]["lr"] == restored.state_dict()


def test_a_plateau_and_something_else() -> None:
    of_plateau = stepped([np.ones(2)], lr=plateau()).state_dict()
    of_number = stepped([np.ones(2)], lr=0.5).state_dict()
    of_function = stepped([np.ones(2)], lr=constant(0.5)).state_dict()
    place = r"^state_dict\['param_groups'\]\[0\]\['schedules'\]"
    refused(instep.Adam([np.ones(2)]), of_plateau, place + r": .* \(pass the function again")
    none = place + r"\['lr'\]: must be None, as lr is a function without state here; got dict"
    refused(instep.Adam([np.ones(2)], lr=constant(1.0)), of_plateau, none)
    some = place + r"\['lr'\]: must be the state of a ReduceOnPlateau, as lr is here; got None"
    for saved in (of_number, of_function):
        refused(instep.Adam([np.ones(2)], lr=plateau()), saved, some)


def test_all_plateaus_or_none() -> None:
    first, second = plateau(), plateau()
    opt = instep.Adam([np.ones(2)], lr=first, eps=second)
    saved = opt.state_dict()
    saved["param_groups"][0]["schedules"]["lr"]["value"] = 0.125
    saved["param_groups"][0]["schedules"]["eps"]["value"] = "x"
    message = (
        r"\['schedules'\]\['eps'\]: state_dict\['value'\]: must be a finite number; got str 'x'"
    )
    refused(opt, saved, message)
    assert (first(0), second(0)) == (1.0, 1.0)


def test_the_plateau_of_a_transform_is_saved_too() -> None:
    def optimizer() -> tuple[instep.Optimizer, Any]:
        plateau = instep.schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0)
        transforms = [instep.Scale(2.0), instep.ClipByNorm(plateau), instep.AddNoise(lambda _: 0.0)]
        return instep.SGD([np.zeros(2)], transforms=transforms), plateau

    opt, plateau = optimizer()
    for metric in (1.0, 1.0, 1.0):
        plateau.step(metric)
    saved = opt.state_dict()
    assert [list(states) for states in saved["transforms"]] == [[], ["max_norm"], []]
    other, again = optimizer()
    other.load_state_dict(saved)
    assert again(0) == plateau(0) == 0.25
    for wrong, rule in [
        ([], r"\['transforms'\]: must be a list with a dict for each of 3"),
        ([{}, {}, {}], r"\['transforms'\]\[1\]: must be a dict with the keys \['max_norm'\]"),
    ]:
        refused(other, {**saved, "transforms": wrong}, rf"^state_dict{rule}")
    plain = instep.SGD([np.zeros(2)], transforms=[instep.ClipByNorm(1.0)])
    with pytest.raises(ValueError, match=r"^state_dict\['transforms'\]: must be a list"):
        plain.load_state_dict(saved)


def test_a_schedule_that_fails_to_load_leaves_the_others_as_they_were() -> None:
    class Bad:
        def __call__(self, step: int) -> float:
            return 0.0

        def state_dict(self) -> dict[str, Any]:
            return {"x": 1}

        def load_state_dict(self, given: dict[str, Any]) -> None:
            if given["x"] != 1:
                raise KeyError("x")

    plateau = instep.schedules.ReduceOnPlateau(0.1)
    opt = instep.SGD([np.zeros(2)], lr=plateau, weight_decay=Bad())
    saved = opt.state_dict()
    saved["param_groups"][0]["schedules"]["lr"]["value"] = 0.05
    saved["param_groups"][0]["schedules"]["weight_decay"]["x"] = 2
    with pytest.raises(KeyError):
        opt.load_state_dict(saved)
    assert plateau(0) == 0.1
