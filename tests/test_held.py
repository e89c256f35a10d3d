"""The caller's list or dict of parameters must go on holding the arrays that were given."""

from __future__ import annotations

import timeit
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import instep

BACKENDS = pytest.mark.parametrize("backend", ["native", "reference"])


def refused(opt: instep.Optimizer, arrays: list[np.ndarray], grads: Any, message: str) -> None:
    """Check that step, saving and loading raise and change nothing."""
    kept = [a.copy() for a in arrays]
    calls: list[Callable[[], Any]] = [
        lambda: opt.step(grads),
        opt.state_dict,
        lambda: opt.load_state_dict({}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    np.testing.assert_equal(arrays, kept)
    assert opt.steps == 1


@BACKENDS
@pytest.mark.parametrize("n", [0, 1, 3])
def test_replaced(n: int, backend: Any) -> None:
    """Arrays of no and of one element are equal to others, so they show whether identity counts."""
    a, b = np.ones(n), np.ones((2, 2))
    cases: Any = (([b, a], 1), ({"b": b, "a": a}, "a"))
    for tree, key in cases:
        opt = instep.SGD(tree, backend=backend)
        grads = {k: v + 1 for k, v in tree.items()} if isinstance(tree, dict) else [b + 1, a + 1]
        opt.step(grads)
        tree[key] = tree[key] - 0.0
        message = (
            rf"^params\[{key!r}\]: must stay the array that the optimizer was given; got another "
            rf"one \(write params\[{key!r}\]\[...\] = value"
        )
        refused(opt, [a, b], grads, message)
        tree[key] = None
        refused(opt, [a, b], grads, message)
        tree[key] = a
        opt.step(grads)
        assert opt.steps == 2


def test_replaced_in_groups() -> None:
    a, b = np.ones(2), np.ones(3)
    first, second = [a], {"b": b}
    opt = instep.SGD([{"params": first}, {"params": second}])
    opt.step([[a + 1], {"b": b + 1}])
    second["b"] = b.copy()
    refused(opt, [a, b], [[a + 1], {"b": b + 1}], r"^params\[1\]\['params'\]\['b'\]: must stay")


def test_added_and_removed() -> None:
    a, b = np.ones(2), np.ones(3)
    grads: Any = [a + 1, b + 1]
    many = [a, b]
    opt = instep.SGD(many)
    opt.step(grads)
    many.append(np.ones(1))
    refused(opt, [a, b], grads, "^params: must keep the 2 entries .*; got 3$")
    del many[1:]
    refused(opt, [a, b], grads, "^params: must keep the 2 entries .*; got 1$")

    named = {"a": a, "b": b}
    grads = {"a": a + 1, "b": b + 1}
    opt = instep.SGD(named)
    opt.step(grads)
    named["c"] = named.pop("b")
    message = r"^params: must keep the keys .*; missing \['b'\], unknown \['c'\]$"
    refused(opt, [a, b], grads, message)


def test_order_of_keys_does_not_matter() -> None:
    params = {"a": np.ones(1), "b": np.ones(2)}
    opt = instep.SGD(params, lr=1.0)
    params["a"] = params.pop("a")
    opt.step({"b": np.ones(2), "a": np.full(1, 2.0)})
    assert params["a"].tolist() == [-1]
    assert params["b"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "make",
    [
        OrderedDict,
        UserDict,
        MappingProxyType,
        lambda d: defaultdict(lambda: np.zeros(1), d),
    ],
    ids=["OrderedDict", "UserDict", "MappingProxyType", "defaultdict"],
)
def test_every_kind_of_mapping(make: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    inside = {"a": np.ones(2), "b": np.ones(1)}
    params = make(inside)
    opt = instep.SGD(params, lr=1.0)
    opt.step(make({"b": np.ones(1), "a": np.ones(2)}))
    assert [a.tolist() for a in params.values()] == [[0, 0], [0]]
    wrong = make({"a": np.ones(2), "c": np.ones(1)})
    with pytest.raises(ValueError, match=r"missing \['b'\], unknown \['c'\]"):
        opt.step(wrong)
    assert set(wrong) == {"a", "c"}  # a defaultdict would make what it is asked for
    changeable: Any = inside if make is MappingProxyType else params
    del changeable["b"]
    with pytest.raises(ValueError, match=r"^params: must keep the keys .* missing \['b'\]"):
        opt.step({"a": np.ones(2), "b": np.ones(1)})
    assert set(params) == {"a"}
    assert opt.steps == 1


def test_many_names_cost_little() -> None:
    """Reading 4000 gradients by name is linear: it was quadratic, a second a step."""
    params = {f"w{i}": np.ones(1) for i in range(4000)}
    grads = dict(reversed(params.copy().items()))
    structure = instep.SGD(params)._structure
    seconds = min(timeit.repeat(lambda: structure.flatten("grads", grads), number=1, repeat=5))
    assert seconds < 0.05
