"""``instep bench --peers``: who else updates arrays in place, as far as it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ._bench_cases import Case
from ._bench_contestants import Contestant, Idiom, Native, Tuned
from ._bench_sizes import Size


class Peer(NamedTuple):
    """A package, and the contestants it gives."""

    title: str
    needs: tuple[str, ...]
    """What must be importable."""
    module: str
    classes: tuple[str, ...]
    install: str
    built: str = ""
    """A file in the first of those packages that not everyone who has installed it has."""


PEERS = (
    Peer(
        "torch",
        ("torch",),
        "_bench_torch",
        ("TorchDefault", "TorchForeach", "TorchFused"),
        "pip install torch==2.13.0",
    ),
    Peer("numba", ("numba",), "_bench_numba", ("Numba", "NumbaFast"), "pip install numba"),
    Peer("JAX", ("jax", "optax"), "_bench_jax", ("Jax",), "pip install jax==0.10.2 optax"),
    Peer("thinc", ("thinc",), "_bench_thinc", ("Thinc",), "pip install thinc"),
    Peer(
        "DeepSpeed",
        ("deepspeed", "torch"),
        "_bench_torch",
        ("DeepSpeed",),
        "DS_ACCELERATOR=cpu DS_BUILD_CPU_ADAM=1 pip install --no-build-isolation deepspeed==0.19.8",
        built="ops/adam/cpu_adam_op*",
    ),
)


def peers() -> tuple[list[type[Contestant]], list[str]]:
    """Return who can compete here, instep first, and a note on each of the others."""
    found: list[type[Contestant]] = [Native]
    notes = []
    for peer in PEERS:
        if _installed(peer):
            module = import_module(f".{peer.module}", __package__)
            found += [getattr(module, name) for name in peer.classes]
        else:
            notes.append(f"{peer.title} is not installed: {peer.install}")
    return [*found, Idiom, Tuned], notes


def _installed(peer: Peer) -> bool:
    if any(find_spec(name) is None for name in peer.needs):
        return False
    if not peer.built:
        return True
    spec = find_spec(peer.needs[0])
    folders = (spec.submodule_search_locations if spec else None) or []
    return any(any(Path(folder).glob(peer.built)) for folder in folders)


def left_out(
    among: Sequence[type[Contestant]],
    cases: Sequence[Case],
    sizes: Sequence[Size],
    dtype: str,
    threads: Sequence[int],
) -> list[str]:
    """Return a note on each reason for which someone does not take part in something."""
    reasons = (
        (cls.label, cls.refusal(case, size, dtype, n))
        for cls in among
        for case in cases
        for size in sizes
        for n in threads
    )
    return list(dict.fromkeys(f"{label} left out: {why}" for label, why in reasons if why))
