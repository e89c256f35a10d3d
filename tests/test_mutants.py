"""The mutants fit the sources that they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutants import MUTANTS

CPP = Path(__file__).parent.parent / "cpp"


@pytest.mark.skipif(not CPP.exists(), reason="tests without the sources of the kernels")
@pytest.mark.parametrize(("name", "right", "wrong", "test"), MUTANTS)
def test_there_is_something_to_break(name: str, right: str, wrong: str, test: str) -> None:
    assert right in (CPP / name).read_text()
    assert right != wrong
    assert (CPP.parent / "tests" / test).exists()
