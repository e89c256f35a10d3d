"""Settings and fixtures that every test shares."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # two threads also where there is one core

from collections.abc import Callable, Iterator

import pytest

import instep
from instep import _core

ISAS = _core.available_isas()
THREADS = (1,) if _core.threads_library() == "none" else (1, 2)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """Leave threads and instruction set as they were."""
    threads, isa = instep.get_num_threads(), instep.active_isa()
    yield
    _core.set_num_threads(threads)
    _core.use_isa(isa)


@pytest.fixture
def every_engine() -> Callable[[], Iterator[str]]:
    """Iterate over instruction sets and thread counts, each being set in turn."""

    def engines() -> Iterator[str]:
        for isa in ISAS:
            for threads in THREADS:
                _core.use_isa(isa)
                _core.set_num_threads(threads)
                assert (instep.active_isa(), instep.get_num_threads()) == (isa, threads)
                yield f"{isa}, {threads} threads"

    return engines


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make samples of `instep bench` too short for a figure and long enough for a test."""
    monkeypatch.setattr("instep.cli._bench_timing.SAMPLE", 1e-6)
    monkeypatch.setattr("instep.cli._bench_timing.SETTLE", 0.0)
