"""How large: one array, lists of arrays, and the arrays of a real model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """Arrays of these shapes."""

    label: str
    shapes: tuple[Shape, ...]

    @property
    def tensors(self) -> int:
        """How many arrays there are."""
        return len(self.shapes)

    @property
    def elements(self) -> int:
        """How many elements there are in all."""
        return sum(map(prod, self.shapes))


def one(label: str, *shape: int) -> Size:
    """Return one array of this shape."""
    return Size(label, (shape,))


def many(tensors: int, length: int) -> Size:
    """Return so many arrays of so many elements."""
    return Size(f"{tensors} x {length}", ((length,),) * tensors)


@dataclass(frozen=True)
class GPT:
    """The configuration of a transformer; the defaults are those of GPT-2 small (Radford 2019)."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12

    def shapes(self) -> Iterator[Shape]:
        """Yield the shapes of its parameters; the output layer shares the word embedding."""
        n = self.n_embd
        yield from ((self.vocab_size, n), (self.n_positions, n))
        for _ in range(self.n_layer):
            yield from ((n,), (n,))  # ln_1
            yield from ((n, 3 * n), (3 * n,), (n, n), (n,))  # attn: c_attn, c_proj
            yield from ((n,), (n,))  # ln_2
            yield from ((n, 4 * n), (4 * n,), (4 * n, n), (n,))  # mlp: c_fc, c_proj
        yield from ((n,), (n,))  # ln_f


GPT2 = Size("gpt2", tuple(GPT().shapes()))
LISTS = tuple(many(n, 64) for n in (1, 10, 100, 1000, 10_000))

SIZES = (
    one("10", 10),
    one("1e3", 1_000),
    one("1e4", 10_000),
    one("1e5", 100_000),
    one("1e6", 1_000_000),
    one("1.6e7", 16_000_000),
    one("6.4e7", 64_000_000),
    many(1000, 64),
)
"""Of ``instep bench``."""

PEER_SIZES = (
    one("10", 10),
    one("1e2", 100),
    *SIZES[1:5],
    one("1e7", 10_000_000),
    *SIZES[5:7],
    one("1e8", 100_000_000),
    *LISTS,
    GPT2,
)
"""Of ``instep bench --peers``: decades, the two sizes of ``instep bench``, lists, a model."""
