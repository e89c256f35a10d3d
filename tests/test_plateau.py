"""ReduceOnPlateau equals torch's ReduceLROnPlateau, metric by metric."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import instep
from instep.schedules import ReduceOnPlateau

SETTINGS: list[dict[str, Any]] = [
    {},
    {"patience": 0},
    {"patience": 2, "cooldown": 3, "factor": 0.5},
    {"patience": 1, "threshold": 0.3, "factor": 0.9, "min_value": 0.02},
    {"patience": 1, "factor": 0.0, "cooldown": 1},
    {"patience": 1, "factor": 0.9, "eps": 0.005},
]


def metrics(seed: int) -> list[float]:
    """Return a noisy metric of both signs, sometimes NaN or infinite."""
    rng = np.random.default_rng(seed)
    path = np.exp(-np.arange(80) / 20) * rng.choice([-1, 1]) + 0.1 * rng.standard_normal(80)
    odd = rng.random(80) < 0.1
    path[odd] = rng.choice([np.nan, np.inf, -np.inf, 0.0], odd.sum(), p=[0.7, 0.1, 0.1, 0.1])
    return path.tolist()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(
    ("mode", "threshold_mode"), list(itertools.product(["min", "max"], ["rel", "abs"]))
)
def test_equals_torch(mode: Any, threshold_mode: Any, settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    for seed in range(5):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        renamed = {k.replace("min_value", "min_lr"): v for k, v in settings.items()}
        modes = {"mode": mode, "threshold_mode": threshold_mode}
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **modes, **renamed)
        ours = ReduceOnPlateau(0.1, **modes, **settings)
        values = set()
        for metric in metrics(seed):
            theirs.step(metric)
            ours.step(metric)
            assert ours(0) == optimizer.param_groups[0]["lr"]
            values.add(ours(0))
            state = ours.state_dict()
            assert state["best"] == theirs.best
            assert state["num_bad_epochs"] == theirs.num_bad_epochs
            assert state["cooldown_counter"] == theirs.cooldown_counter
        assert len(values) > 1 or not settings


def test_nan_is_a_bad_epoch() -> None:
    lr = ReduceOnPlateau(1.0, patience=1, factor=0.5)
    path = []
    for metric in (1.0, np.nan, np.nan, 0.5, np.nan):
        lr.step(metric)
        path.append(lr(0))
    assert path == [1.0, 1.0, 0.5, 0.5, 0.5]


def test_in_an_optimizer() -> None:
    w, momentum = np.zeros(1), ReduceOnPlateau(0.5, patience=0, factor=0.5)
    lr = ReduceOnPlateau(1.0, patience=0, factor=0.25)
    opt = instep.SGD(w, lr=lr, momentum=momentum)
    path = []
    for metric in (np.float32(1), np.array(1.0), 2):
        path.append(opt.step(np.ones(1)).lr)
        lr.step(metric)
    assert path == [1.0, 1.0, 0.25]
    assert repr(lr) == "ReduceOnPlateau(value=0.0625, mode='min', best=1.0)"


def test_restored() -> None:
    lr, twin = (ReduceOnPlateau(1.0, patience=1, factor=0.5, cooldown=1) for _ in range(2))
    for metric in metrics(0)[:20]:
        lr.step(metric)
    twin.load_state_dict(lr.state_dict())
    for metric in metrics(1):
        lr.step(metric)
        twin.step(metric)
        assert twin.state_dict() == lr.state_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": np.inf}, "value: must be a finite number; got inf"),
        ({"mode": "low"}, "mode: must be 'min' or 'max'; got str 'low'"),
        ({"factor": 1.0}, "factor: must be a finite number, >= 0, < 1; got 1.0"),
        ({"patience": -1}, "patience: must be an integer >= 0; got -1"),
        ({"patience": 1.0}, "patience: must be an integer >= 0; got float 1.0"),
        ({"threshold": -1}, "threshold: must be a finite number, >= 0; got -1.0"),
        ({"threshold_mode": None}, "threshold_mode: must be 'rel' or 'abs'; got NoneType None"),
        ({"cooldown": True}, "cooldown: must be an integer >= 0; got bool True"),
        ({"min_value": "0"}, "min_value: must be a finite number; got str '0'"),
        ({"eps": np.nan}, "eps: must be a finite number, >= 0; got nan"),
    ],
)
def test_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
        ReduceOnPlateau(**{"value": 0.1, **arguments})


@pytest.mark.parametrize("metric", ["0.5", None, True, [1.0], np.ones(2), 1j])
def test_bad_metric(metric: Any) -> None:
    lr = ReduceOnPlateau(1.0)
    before = lr.state_dict()
    with pytest.raises(TypeError, match=r"^metric: must be a number; got"):
        lr.step(metric)
    assert lr.state_dict() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": np.nan}, r"state_dict\['value'\]: must be a finite number; got nan"),
        ({"best": np.nan}, r"state_dict\['best'\]: must be a number or an infinity; got nan"),
        ({"best": "low"}, r"state_dict\['best'\]: must be a number; got str 'low'"),
        (
            {"num_bad_epochs": -1},
            r"state_dict\['num_bad_epochs'\]: must be an integer >= 0; got -1",
        ),
        ({"cooldown_counter": 0.5}, r"state_dict\['cooldown_counter'\]: must be an integer >= 0"),
        (
            {"last": 3},
            r"state_dict: must be a dict with the keys .*; unknown \['last'\]",
        ),
    ],
)
def test_bad_state(change: dict[str, Any], message: str) -> None:
    lr = ReduceOnPlateau(1.0)
    before = lr.state_dict()
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        lr.load_state_dict({**before, **change})
    with pytest.raises(TypeError, match=r"^state_dict: must be a dict with the keys"):
        lr.load_state_dict(None)  # type: ignore[arg-type]
    assert lr.state_dict() == before
