"""Messages say what to do about it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import instep
from instep import data, functional, reference

W = np.ones(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: instep.SGD([W], learning_rate=1),  # type: ignore[call-arg]
            r"^learning_rate: SGD has no such argument; .* \(did you mean lr\?\)$",
        ),
        (
            lambda: instep.Adam([W], beta_1=0.9),  # type: ignore[call-arg]
            r"^beta_1: Adam has no such argument; .* \(did you mean betas\?\)$",
        ),
        (
            lambda: instep.SGD([W], beta_1=0.9),  # type: ignore[call-arg]
            r"^beta_1: SGD has no such argument; .* backend$",
        ),
        (
            lambda: instep.SGD([W], momentun=1),  # type: ignore[call-arg]
            r"^momentun: SGD has no such argument; .* \(did you mean momentum\?\)$",
        ),
        (
            lambda: instep.SGD([{"params": [W], "weight_deca": 1}]),
            r"^params\[0\]\['weight_deca'\]: must be one of .* \(did you mean weight_decay\?\)$",
        ),
        (
            lambda: instep.SGD({"params": [W]}),
            r"^params: must be a list where it has groups; write \[\{'params': ...\}\]",
        ),
        (lambda: instep.SGD({"params": W, "lr": 0.1}), r"^params: must be a list where it has"),
        (
            lambda: instep.Adam([W], betas=(lambda t: 0.9, 0.999)),  # type: ignore[arg-type]
            r"^betas: must be a pair of numbers, or one function that returns a pair; got",
        ),
        (
            lambda: instep.SGD({"w": np.ones(2, int)}),
            r"^params\['w'\]: dtype must .*; params\['w'\].astype\(np.float32\) makes one",
        ),
        (
            lambda: instep.SGD({"w": W.astype(np.float32)}).step({"w": W}),
            r"got float64; cast it with grads\['w'\].astype\(np.float32\)$",
        ),
        (
            lambda: instep.SGD([W], nonfinite="raise").step([np.array([np.inf, np.nan])]),
            r"^grads\[0\]: must be finite; got inf at index \(0,\), 2 such in this array$",
        ),
    ],
)
def test_remedy(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError, FloatingPointError), match=message):
        make()


def test_a_dict_with_an_array_named_params_is_no_group() -> None:
    assert set(instep.SGD({"params": np.ones(2)}).params) == {"params"}


def test_groups_are_named() -> None:
    def make(**own: Any) -> instep.Adam:
        return instep.Adam([{"params": [np.ones(1)]}, {"params": [np.ones(2)], **own}])

    for own, message in (
        ({"lr": -1}, r"^params\[1\]\['lr'\]: must be a finite number, >= 0; got -1.0$"),
        ({"betas": (0.9, 1)}, r"^params\[1\]\['betas'\]\[1\]: must be a finite number"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**own)
    opt = make(lr=lambda step: -1.0)
    with pytest.raises(ValueError, match=r"^params\[1\]\['lr'\]: must be"):
        opt.step([[np.ones(1)], [np.ones(2)]])
    with pytest.raises(ValueError, match=r"^params\[0\]\['eps'\]: must be"):
        opt.param_groups[0]["eps"] = -1
    with pytest.raises(ValueError, match=r"^params\[1\]: amsgrad=True: needs the slot"):
        opt.param_groups[1]["amsgrad"] = True
    with pytest.raises(ValueError, match=r"^lr: must be"):  # the constructor's own
        instep.Adam([{"params": [np.ones(1)]}], lr=-1)
    with pytest.raises(ValueError, match=r"^params\[0\]: nesterov: needs momentum"):
        instep.SGD([{"params": [np.ones(1)], "nesterov": True}])


@pytest.mark.parametrize("module", [functional, reference], ids=["native", "numpy"])
def test_step_functions_are_named(module: Any) -> None:
    p, g = np.ones(2, np.float32), np.ones(2, np.float32)
    for call, message in (
        (lambda: module.sgd_(p, g), r"^sgd_\(\) missing a required argument: 'step'$"),
        (lambda: module.adam_(p, g, step=1), r"^adam_\(\) missing a required argument: 'exp_avg'$"),
        (lambda: module.sgd_(p, g, step=1, rate=1), r"^sgd_\(\) got an unexpected .* 'rate'$"),
        (
            lambda: module.sgd_(p, W, step=1),
            r"^grad: dtype .*; cast it with grad.astype\(np.float32",
        ),
        (lambda: module.sgd_(p, [1.0], step=1), r"^grad: must be a numpy.ndarray; got list"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert (p == 1).all()


def test_misspelt_attributes_are_refused() -> None:
    opt = instep.SGD([np.ones(1)], lr=0.5)
    for name, hint in (
        ("learning_rate", "; set lr"),
        ("momentum", r"; set param_groups\[0\]\['momentum'\]"),
        ("weight_deca", r"; set param_groups\[0\]\['weight_decay'\]"),
        ("nonfinite", "; it is chosen at construction"),
        ("foo", ""),
        ("clipnorm", ""),
    ):
        with pytest.raises(AttributeError, match=rf"^{name}: SGD has no such attribute{hint}$"):
            setattr(opt, name, 0.1)
        assert not hasattr(opt, name)
    with pytest.raises(AttributeError, match="steps"):
        opt.steps = 3  # type: ignore[misc]
    opt.lr = 0.25
    assert opt.lr == 0.25


@pytest.mark.parametrize(
    ("wrong", "doing", "error"),
    [
        (lambda t: 1 / t, "raised", ZeroDivisionError),
        (lambda t: float("nan"), "returned", ValueError),
        (lambda t: "0.1", "returned", TypeError),
    ],
)
def test_what_is_wrong_in_a_schedule_is_told_whose_it_is(
    wrong: Any, doing: str, error: type[Exception]
) -> None:
    w, g = np.ones(1), np.ones(1)
    for name, act in (
        ("lr", lambda: instep.SGD([w], lr=wrong).step([g])),
        ("params[0]['lr']", lambda: instep.SGD([{"params": [w], "lr": wrong}]).step([[g]])),
        ("Scale: factor", lambda: instep.SGD([w], transforms=[instep.Scale(wrong)])),
    ):
        with pytest.raises(error) as caught:
            act()
        note = f"{name}: {doing} by its schedule, which was asked for step 0"
        assert caught.value.__notes__ == [note]
        assert w == 1


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (instep.schedules.cosine, r"got cosine\(value, total_steps, "),
        (lambda: 0.1, r"got <lambda>\(\)"),
        (instep.schedules.ReduceOnPlateau, r"got the class ReduceOnPlateau \(write Reduce"),
    ],
)
def test_what_is_no_schedule_is_refused_at_once(wrong: Any, got: str) -> None:
    rule = "must be a number or a function of the steps taken; "
    with pytest.raises(TypeError, match=f"^lr: {rule}{got}"):
        instep.SGD([np.ones(1)], lr=wrong)
    with pytest.raises(TypeError, match=f"^Scale: factor: {rule}{got}"):
        instep.Scale(wrong)
    opt = instep.SGD([np.ones(1)])
    with pytest.raises(TypeError, match=f"^momentum: {rule}{got}"):
        opt.param_groups[0]["momentum"] = wrong
    assert opt.param_groups[0]["momentum"] == 0


def test_functions_are_called_by_their_names() -> None:
    with pytest.raises(TypeError, match=r"^clip_by_global_norm_\(\) missing 1 .* 'max_norm'$"):
        functional.clip_by_global_norm_([W])  # type: ignore[call-arg]


def test_repr() -> None:
    opt = instep.SGD([{"params": [np.ones(1)]}, {"params": {"w": W, "v": W + 1}, "lr": 0.5}])
    opt.step([[None], {"w": None, "v": None}])
    own = "momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False"
    assert repr(opt).splitlines() == [
        "SGD (",
        f"    group 0: arrays=1, lr=0.001, {own}",
        f"    group 1: arrays=2, lr=0.5, {own}",
        "    steps: 1",
        ")",
    ]


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("sklearn", data.load_digits),
        ("rich", lambda: watched().table()),
        ("matplotlib", lambda: watched().plot()),
    ],
)
def test_a_package_that_is_missing_is_told_how_to_install(
    module: str, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [m for m in sys.modules if m.split(".", maxsplit=1)[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(module), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=r'needs .*; run: pip install "instep\[demo\]"$'):
        use()


class Missing:
    """Finds that a package is not installed."""

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, name: str, *_: Any) -> None:
        if name.split(".", maxsplit=1)[0] == self._module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def watched() -> instep.GradientMonitor:
    opt = instep.SGD([np.ones(2)], lr=0.1)
    monitor = instep.GradientMonitor(opt)
    opt.step([np.ones(2)])
    return monitor


def test_the_dtype_that_is_advised_is_the_parameters_or_the_nearest() -> None:
    for dtype in (np.float32, np.float64):
        opt = instep.SGD({"w": np.ones(2, dtype)}, lr=0.1)
        with pytest.raises(TypeError, match=rf"astype\(np.{np.dtype(dtype)}\) makes one that fits"):
            opt.step({"w": np.ones(2, np.int64)})
        with pytest.raises(TypeError, match=rf"astype\(np.{np.dtype(dtype)}\) makes one that fits"):
            instep.SGD([np.ones(2, np.dtype(dtype).newbyteorder())])
    with pytest.raises(TypeError, match=r"got <U1 \(str32\)$"):
        instep.SGD([np.array(["a"])])


def test_a_single_transform_is_told_to_come_in_a_list() -> None:
    with pytest.raises(TypeError, match=r"^transforms: .*; write transforms=\[...\]$"):
        instep.SGD([np.ones(2)], lr=0.1, transforms=instep.ClipByValue(1.0))  # type: ignore[arg-type]
