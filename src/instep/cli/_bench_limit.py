"""The limit of the machine: the traffic of a step without its arithmetic."""

from __future__ import annotations

from .._buffers import Buffers
from .._plans import Row, make_plan
from .._state import aligned_zeros
from ._bench_cases import Arrays, Case
from ._bench_contestants import Contestant


class Limit(Contestant):
    """A loop that reads and writes what a step does and does one addition.

    It runs in the native core as a step does: same blocks, same threads, same call from Python.
    Where a norm is needed before the first update (of gradients that are clipped, or by rules of
    two passes), passes that read as many arrays are added to that loop; they sum squares, which a
    processor does faster than it reads.
    """

    name = "limit"
    label = "limit"

    def __init__(self, case: Case, start: Arrays, grads: Arrays) -> None:
        super().__init__(case, start, grads)
        names = [f"[{i}]" for i in range(len(start))]
        slot_names = [f"slot{k}" for k in range(case.slots)]
        slots = [tuple(aligned_zeros(p) for _ in slot_names) for p in start]
        buffers = Buffers(names, self.params).seal(slots, slot_names)
        self._plan = make_plan("native", "traffic", None, buffers)
        self._plan.assign_rows([0] * len(names), [0])
        self._rows = [Row(variant=case.slots)]
        read_only = Buffers(names, grads, writeable=False).seal()
        self._reading = make_plan("native", "assign", None, read_only)

    def step(self) -> None:
        """Move what a step moves."""
        for _ in range(self.case.reads):
            self.norm()
        self._plan.take(self.grads)
        self._plan.finish(self._rows)

    def norm(self) -> float:
        """Read all gradients, and return their norm."""
        return self._reading.global_norm()
