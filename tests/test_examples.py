"""The examples: what they state holds, and both backends have the same bits in each."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="tests without the examples")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


def outcome(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """Run it as a person would; it ends with an error where backends differ."""
    runs = module.main()
    text = capsys.readouterr().out
    assert "same bits in every run" in text
    assert "Result: " in text
    return runs, text


def test_gradient_noise_sgd(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, _ = outcome(example("gradient_noise_sgd"), capsys)
    assert list(runs) == ["SGD", "SGD, noise", "SGD, clipped", "SGD, clipped, noise"]
    assert all(0.9 <= r.accuracy <= 0.99 for r in runs.values())
    assert runs["SGD, clipped"].accuracy >= 0.95
    assert max(runs["SGD"].norms) > 2 * max(runs["SGD, clipped"].norms)
    assert runs["SGD, noise"].losses[0] == runs["SGD"].losses[0]
    assert runs["SGD, noise"].losses[1] != runs["SGD"].losses[1]


def test_digits_mlp_adam(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, text = outcome(example("digits_mlp_adam"), capsys)
    assert len(runs) == 6
    assert all(0.94 <= r.accuracy <= 0.99 for r in runs.values())
    assert all(np.mean(r.losses[-20:]) < 0.15 < r.losses[0] for r in runs.values())
    assert all(norms.shape == (3,) for norms in runs["Adam"].layers)
    assert text.count("gradients") >= 8


def test_online_perceptron(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, _ = outcome(example("online_perceptron"), capsys)
    assert len(runs) == 5
    assert all(0.9 <= r.accuracy <= 0.98 for r in runs.values())
    assert all(0.1 < r.losses[-1] < r.losses[0] < 0.25 for r in runs.values())
    for decay in ("linear", "exponential", "adaptive"):
        assert runs[f"{decay} decay"].losses[-1] < runs["constant"].losses[-1], decay


def test_sgd_until_converged(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, _ = outcome(example("sgd_until_converged"), capsys)
    hand, scipy = runs.values()
    assert (hand.why, scipy.why) == ("gradient", "loss")
    assert hand.norm <= 1e-4
    assert hand.steps < 1000
    assert scipy.steps < 2000
    assert abs(hand.loss - scipy.loss) < 1e-3
    assert 0.25 < hand.loss < 0.27
    assert all(0.94 <= r.accuracy <= 0.98 for r in runs.values())


def test_batchnorm_bgd(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, _ = outcome(example("batchnorm_bgd"), capsys)
    plain, normalized, standardized, clipped = runs.values()
    assert not np.isfinite(plain.losses[-1])
    assert plain.first_layer[0] > 100
    assert normalized.first_layer[0] < 10
    assert normalized.accuracy > 0.8
    assert normalized.losses[-1] < 0.1
    assert standardized.accuracy > 0.85
    assert 0.6 < clipped.accuracy < 0.9


def test_a_difference_is_an_error(example: Any) -> None:
    check = example("common").check_same_bits
    check([np.array([1.0, np.nan])], [np.array([1.0, np.nan])])
    with pytest.raises(SystemExit, match="differ"):
        check([np.array([0.0])], [np.array([-0.0])])
