"""Bad input: the message names argument, rule and value, and nothing at all has changed."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import instep
from cases import BAD, CASES
from instep import functional, reference
from instep._options import OPTIONS
from refusing import BACKENDS, refused

EVERY_CLASS = pytest.mark.parametrize("cls", sorted({c.cls for c in CASES}, key=str))


def unaligned(n: int) -> np.ndarray:
    return np.zeros(4 * n + 1, np.uint8)[1:].view(np.float32)


def read_only(n: int) -> np.ndarray:
    a = np.zeros(n, np.float32)
    a.flags.writeable = False
    return a


def subarray() -> np.ndarray:
    return np.lib.stride_tricks.as_strided(np.zeros(4, np.float32), (3, 2), (4, 4))


BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "a float": (1.5, r"must be a numpy.ndarray; got float 1.5"),
    "a list": ([1.0, 2.0], r"must be a numpy.ndarray; got list \[1.0, 2.0\]"),
    "masked": (np.ma.zeros(3, np.float32), r"must not be a masked array, .*; got MaskedArray"),
    "object": (np.zeros(3, object), r"dtype must be float32 or float64 .*; got \|O \(object\)"),
    "integer": (np.zeros(3, np.int64), r"dtype must be float32 or float64 .*; got <i8 \(int64\)"),
    "half": (np.zeros(3, np.float16), r"dtype must be float32 or float64 .*; got <f2"),
    "long double": (np.zeros(3, np.longdouble), r"dtype must be float32 or float64 .*float128"),
    "complex": (
        np.zeros(3, np.complex64),
        r"dtype must be float32 or float64 .*; got <c8 \(complex64\)$",
    ),
    "byte-swapped": (np.zeros(3, ">f4"), r"dtype must be float32 or float64 .*; got >f4"),
    "unaligned": (unaligned(3), r"must be aligned to its dtype; got address 0x"),
}

BAD_PARAMS: dict[str, tuple[Any, str]] = BAD_ARRAYS | {
    "read-only": (read_only(3), r"must be writeable; got a read-only array"),
    "broadcast": (
        np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (3,), (0,)),
        r"must not have elements that share memory .*shape \(3,\) with strides \(0,\)",
    ),
    "overlapping itself": (subarray(), r"must not have elements that share memory"),
}

BAD_GRADS: dict[str, tuple[Any, str]] = BAD_ARRAYS | {
    "other dtype": (np.zeros(3), r"dtype must be that of its parameter, float32; got float64"),
    "other shape": (
        np.zeros((3, 1), np.float32),
        r"shape must be that of its parameter, \(3,\); got \(3, 1\)",
    ),
}


@EVERY_CLASS
@BACKENDS
@pytest.mark.parametrize("kind", BAD_PARAMS)
def test_bad_parameter(kind: str, cls: type[instep.Optimizer], backend: Any) -> None:
    value, message = BAD_PARAMS[kind]
    with pytest.raises((TypeError, ValueError), match=r"^params\[1\]: " + message):
        cls([np.zeros(2), value], lr=0.1, backend=backend)
    if isinstance(value, np.ndarray):
        with pytest.raises((TypeError, ValueError), match=r"^params\['w'\]: " + message):
            cls({"w": value}, lr=0.1, backend=backend)


@EVERY_CLASS
@BACKENDS
@pytest.mark.parametrize("kind", BAD_GRADS)
def test_bad_gradient(kind: str, cls: type[instep.Optimizer], backend: Any) -> None:
    value, message = BAD_GRADS[kind]
    params = [np.ones(4, np.float32), np.ones(3, np.float32)]
    opt = cls(params, lr=0.1, backend=backend)
    good = [np.ones(4, np.float32), np.ones(3, np.float32)]
    opt.step(good)
    refused(opt, params, [good[0], value], r"^grads\[1\]: " + message)
    opt.step(good)
    assert opt.steps == 2


@BACKENDS
@pytest.mark.parametrize("kind", BAD_GRADS)
def test_bad_gradient_of_many(kind: str, backend: Any) -> None:
    value, message = BAD_GRADS[kind]
    params = {f"w{i}": np.ones(3, np.float32) for i in range(5)}
    opt = instep.Adam(params, backend=backend)
    grads = {name: np.ones(3, np.float32) for name in params}
    arrays = list(params.values())
    refused(opt, arrays, {**grads, "w3": value}, r"^grads\['w3'\]: " + message)


@BACKENDS
def test_structure_of_gradients(backend: Any) -> None:
    a, b = np.ones(2), np.ones(3)
    one = instep.SGD(a, backend=backend)
    refused(one, [a], [a], r"^grads: must be a numpy.ndarray, as the parameters are; got list")
    many = instep.SGD([a, b], backend=backend)
    g = [np.ones(2), np.ones(3)]
    refused(many, [a, b], g[:1], r"^grads: must have 2 entries, as the parameters have; got 1")
    refused(many, [a, b], [*g, g[0]], r"^grads: must have 2 entries.*; got 3")
    refused(many, [a, b], {0: g[0], 1: g[1]}, r"^grads: must be a list or tuple.*; got dict")
    refused(many, [a, b], None, r"^grads: must be a list or tuple.*; got NoneType None")
    named = instep.SGD({"a": a, "b": b}, backend=backend)
    refused(named, [a, b], g, r"^grads: must be a dict, as the parameters are; got list")
    wrong = {"a": g[0], "c": g[1]}
    refused(named, [a, b], wrong, r"^grads: must have the keys .*missing \['b'\], unknown \['c'\]")
    groups = instep.SGD([{"params": [a]}, {"params": {"b": b}}], backend=backend)
    refused(groups, [a, b], g, r"^grads\[0\]: must be a list or tuple.*; got ndarray")
    refused(groups, [a, b], [[g[0]]], r"^grads: must be a list with .* 2 parameter groups; got 1")


BAD_OPTIONS: dict[str, list[Any]] = {
    "transforms": [instep.Scale(1.0), [3], "clip", {1: 2}],
    "maximize": [1, "yes", None],
    "zero_grads": [0, None],
    "nonfinite": ["ignore", None, True],
    "backend": ["numpy", None],
}
HYPER = {
    (cls, name)
    for cls in [getattr(instep, name) for name in instep.optimizers.__all__]
    for name in list(inspect.signature(cls).parameters)[1:-1]
}


def bad_values() -> Iterator[tuple[Any, str, Any]]:
    for cls, name in sorted(HYPER, key=str):
        yield from ((cls, name, value) for value in BAD.get((cls, name), BAD.get(name, ())))
    for cls in sorted({cls for cls, _ in HYPER}, key=str):
        for name, values in BAD_OPTIONS.items():
            yield from ((cls, name, value) for value in values)


def test_every_argument_is_in_the_table() -> None:
    assert {name for _, name in HYPER} == {key for key in BAD if isinstance(key, str)}
    assert {key for key in BAD if isinstance(key, tuple)} <= HYPER
    assert set(BAD_OPTIONS) == set(OPTIONS)
    assert all([*BAD.values(), *BAD_OPTIONS.values()])


@pytest.mark.parametrize(("cls", "name", "value"), list(bad_values()))
def test_bad_hyperparameter(cls: type[instep.Optimizer], name: str, value: Any) -> None:
    p = np.ones(3)
    alone = rf"^{name}(\[\d\])?: (must be|needs)"
    with pytest.raises((TypeError, ValueError), match=alone):
        cls([p], **{"lr": 0.1, name: value})
    assert (p == 1).all()
    if name in BAD_OPTIONS:
        return
    opt = cls([p], lr=0.1)
    before = copy.deepcopy(dict(opt.param_groups[0]))
    in_group = rf"^params\[0\](: {name}|\['{name}'\](\[\d\])?): (must be|needs)"
    for change, message in (
        (lambda: opt.param_groups[0].__setitem__(name, value), alone),
        (lambda: opt.param_groups[0].update({name: value}), alone),
        (lambda: cls([{"params": [p], name: value}], lr=0.1), in_group),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            change()
    np.testing.assert_equal(dict(opt.param_groups[0]), before)


def test_message_has_argument_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"^lr: must be a finite number, >= 0; got -1\.0$"):
        instep.SGD([np.zeros(1)], lr=-1)
    message = r"^betas\[1\]: must be a finite number, >= 0, < 1; got 1\.0$"
    with pytest.raises(ValueError, match=message):
        instep.Adam([np.zeros(1)], betas=(0.9, 1))


def test_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="beta: SGD has no such argument"):
        instep.SGD([np.zeros(1)], beta=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^params\[0\]\['beta'\]: must be one of .* lr, mom"):
        instep.SGD([{"params": [np.zeros(1)], "beta": 1}])
    opt = instep.SGD([np.zeros(1)])
    with pytest.raises(ValueError, match="beta: must be one of the hyperparameters"):
        opt.param_groups[0]["beta"] = 1
    with pytest.raises(ValueError, match="params: must not be replaced"):
        opt.param_groups[0]["params"] = []
    with pytest.raises(ValueError, match="lr: must not be removed"):
        del opt.param_groups[0]["lr"]
    with pytest.raises(ValueError, match=r"momentum=0\.9: needs the slot momentum_buffer"):
        opt.param_groups[0]["momentum"] = 0.9
    with pytest.raises(TypeError, match="does not support item assignment"):
        opt.param_groups[0] = {"params": [np.zeros(1)], "lr": 5.0}  # type: ignore[index]
    with pytest.raises(AttributeError, match="append"):
        opt.param_groups.append({"params": [np.zeros(1)]})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "params: must have at least one array"),
        ({}, "params: must have at least one array"),
        ([{"params": []}], "params: must have at least one array"),
        ("abc", "params: must be a numpy.ndarray, or a list"),
        (3, "params: must be a numpy.ndarray, or a list"),
        (None, "params: must be a numpy.ndarray, or a list"),
        ([{"lr": 1}], r"params\[0\]: must be a dict with the key 'params'; got keys \['lr'\]"),
        ([{"params": [np.zeros(1)]}, np.zeros(1)], r"params\[1\]: must be a dict with the key"),
    ],
)
def test_bad_collections(params: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        instep.SGD(params)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "1", None, True])
@pytest.mark.parametrize(
    "make",
    [instep.ClipByValue, instep.ClipByNorm, instep.ClipByGlobalNorm],
    ids=lambda c: c.__name__,
)
def test_bad_limit(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=r"^Clip\w+: \w+: must be a finite number, >= 0"
    ):
        make(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, "1", None])
def test_bad_factor(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^Scale: factor: must be a finite number"):
        instep.Scale(value)


@pytest.mark.parametrize("module", [functional, reference], ids=["native", "numpy"])
@pytest.mark.parametrize("name", ["clip_by_value_", "clip_by_norm_", "clip_by_global_norm_"])
def test_in_place_functions(name: str, module: Any) -> None:
    function = getattr(module, name)
    a = np.full(4, 9.0)
    for limit in (-1.0, np.nan, np.inf, None):
        with pytest.raises((TypeError, ValueError), match="must be a finite number, >= 0"):
            function([a], limit)
    for kind, (value, message) in BAD_PARAMS.items():
        with pytest.raises((TypeError, ValueError), match=r"^grads\[1\]: " + message):
            function([a, value], 1.0)
        assert (a == 9).all(), kind
    with pytest.raises(ValueError, match=r"^grads\[1\]: must not overlap; is grads\[0\]"):
        function([a, a], 1.0)
    assert (a == 9).all()


@pytest.mark.parametrize("module", [functional, reference], ids=["native", "numpy"])
def test_step_functions(module: Any) -> None:
    p, g, m, v = (np.ones(3) for _ in range(4))

    def refuse(message: str, *args: Any, **kwargs: Any) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            module.adam_(*args, **kwargs)
        assert all((a == 1).all() for a in (p, g, m, v))

    refuse("missing a required argument: 'step'", p, g, m, v)
    refuse(r"^step: must be an integer >= 1; got 0", p, g, m, v, step=0)
    refuse(r"^step: must be an integer >= 1; got float 1.0", p, g, m, v, step=1.0)
    refuse(r"^max_exp_avg_sq: must be an array", p, g, m, v, step=1, amsgrad=True)
    refuse(r"^lr: must be a finite", p, g, m, v, step=1, lr=-1)
    refuse(r"^max_exp_avg_sq: must be an array .*by name.*; got float 0.1", p, g, m, v, 0.1, step=1)
    refuse(r"^exp_avg: shape must be", p, g, np.ones(4), v, step=1)
    refuse(r"^exp_avg: dtype must be", p, g, np.ones(3, np.float32), v, step=1)
    refuse(r"^exp_avg_sq: must not overlap; is exp_avg", p, g, m, m, step=1)
    refuse(r"^grad: must not overlap", p, v, m, v, step=1)
    refuse(r"^param: must be a numpy.ndarray", None, g, m, v, step=1)
    refuse(r"^maximize: must be True or False", p, g, m, v, step=1, maximize=1)
    with pytest.raises(AttributeError, match="has no attribute 'adamz_'"):
        module.adamz_  # noqa: B018


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_set_num_threads(n: Any) -> None:
    before = instep.get_num_threads()
    with pytest.raises((TypeError, ValueError), match="n: must be an integer >= 1"):
        instep.set_num_threads(n)
    assert instep.get_num_threads() == before


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["huge", "minus huge"])
def test_an_integer_beyond_all_floats_is_refused_by_name(value: int) -> None:
    with pytest.raises(ValueError, match=r"^lr: must be a finite number, >= 0; got -?inf$"):
        instep.SGD([np.zeros(1)], lr=value)


@BACKENDS
def test_dtypes_that_are_equal_and_not_the_same_object(backend: Any) -> None:
    """Arrays that were pickled have them."""
    for dtype in (np.float32, np.float64):
        copied = np.zeros(3, np.dtype(dtype, copy=True))
        for p in (pickle.loads(pickle.dumps(np.zeros(3, dtype))), copied):
            assert p.dtype is not np.zeros(1, dtype).dtype
            opt = instep.Adam([p], lr=1.0, backend=backend)
            opt.step([np.ones(3, dtype)])
            opt.step([pickle.loads(pickle.dumps(np.ones(3, dtype)))])
            np.testing.assert_allclose(p, -2.0, rtol=1e-5)
    assert functional.global_norm(pickle.loads(pickle.dumps(np.array([3.0, 4.0])))) == 5.0


@BACKENDS
def test_a_wrong_schedule_of_a_transform_is_refused_at_once(backend: Any) -> None:
    calls = []
    clip = instep.ClipByNorm(lambda step: calls.append(step) or 1.0)  # type: ignore[func-returns-value]
    noise = instep.AddNoise(lambda step: calls.append(step) or 1.0)  # type: ignore[func-returns-value]
    opt = instep.SGD([np.zeros(1)], transforms=[clip, noise], backend=backend)
    assert calls == [0, 0]
    opt.step([np.ones(1)])
    opt.step([np.ones(1)])
    assert calls == [0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"^ClipByNorm: max_norm: must be a finite number, >= 0"):
        instep.SGD([np.zeros(1)], transforms=[instep.ClipByNorm(lambda _: -1.0)], backend=backend)


def test_a_power_beyond_all_floats_is_a_rate_of_zero() -> None:
    w = np.ones(1)
    opt = instep.ASGD([w], lr=1.0, lambd=1.0, alpha=200.0)
    for _ in range(100):
        opt.step([np.zeros(1)])
    assert np.isfinite(w).all()
