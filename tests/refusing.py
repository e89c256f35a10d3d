"""What tests of refusals share."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import instep

BACKENDS = pytest.mark.parametrize("backend", ["native", "reference"])


def snapshot(opt: instep.Optimizer, arrays: list[np.ndarray]) -> Any:
    return copy.deepcopy((opt.state_dict(), arrays))


def refused(opt: instep.Optimizer, arrays: list[np.ndarray], grads: Any, message: str) -> None:
    """Check that a step with these gradients raises and changes nothing."""
    before = snapshot(opt, arrays)
    with pytest.raises((TypeError, ValueError), match=message):
        opt.step(grads)
    np.testing.assert_equal(snapshot(opt, arrays), before)
