"""Lists, tuples, dicts and single arrays: how arrays are handed over, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ._validate import same_members, shown


class Structure:
    """The shape of a collection of arrays, so that another one can be read in the same order."""

    def __init__(self, name: str, tree: Any) -> None:
        if isinstance(tree, np.ndarray):
            self.keys, self._kind = [], "array"
        elif isinstance(tree, Mapping):
            self.keys, self._kind = list(tree), "mapping"
        elif isinstance(tree, Sequence) and not isinstance(tree, (str, bytes)):
            self.keys, self._kind = list(range(len(tree))), "sequence"
        else:
            raise TypeError(
                f"{name}: must be a numpy.ndarray, or a list, tuple or dict of them; "
                f"got {shown(tree)}"
            )
        self.names = [""] if self._kind == "array" else [f"[{key!r}]" for key in self.keys]
        self._getter: Callable[[Any], Sequence[Any]] = (
            itemgetter(*self.keys) if len(self.keys) > 1 else self._members
        )

    def flatten(self, name: str, tree: Any) -> Sequence[Any]:
        """Return the members of a tree of this structure, or raise where it differs."""
        if self._kind == "sequence" and isinstance(tree, (list, tuple)):
            if len(tree) != len(self.keys):
                raise ValueError(
                    f"{name}: must have {len(self.keys)} entries, as the parameters have; "
                    f"got {len(tree)}"
                )
            return tree
        if self._kind == "mapping" and isinstance(tree, Mapping):
            return self._values(name, tree)
        if self._kind == "array" and (tree is None or isinstance(tree, (np.ndarray, np.generic))):
            return (tree,)
        expected = {"array": "a numpy.ndarray", "mapping": "a dict", "sequence": "a list or tuple"}
        raise TypeError(
            f"{name}: must be {expected[self._kind]}, as the parameters are; got {shown(tree)}"
        )

    def _values(self, name: str, tree: Mapping[Any, Any]) -> Sequence[Any]:
        if type(tree) is dict and len(tree) == len(self.keys):  # others may insert what they lack
            try:
                return self._getter(tree)
            except KeyError:
                pass
        same_members(name, "must have the keys of the parameters", self.keys, tree)
        return self._members(tree)

    def _members(self, tree: Any) -> tuple[Any, ...]:
        return tuple(tree[key] for key in self.keys)

    def check_held(self, name: str, tree: Any, leaves: Sequence[Any]) -> None:
        """Refuse a list or dict whose members are no longer these."""
        if self._kind == "mapping":
            rule = "must keep the keys that the optimizer was given"
            same_members(name, rule, self.keys, tree)
        elif len(tree) != len(leaves):
            raise ValueError(
                f"{name}: must keep the {len(leaves)} entries that the optimizer was given; "
                f"got {len(tree)}"
            )
        for place, key, leaf in zip(self.names, self.keys, leaves, strict=True):
            if tree[key] is not leaf:
                raise ValueError(
                    f"{name}{place}: must stay the array that the optimizer was given; got another "
                    f"one (write {name}{place}[...] = value to change it in place)"
                )

    def rebuild(self, leaves: Iterable[Any]) -> Any:
        """Return the members put together again: an item, a list or a dict."""
        members = list(leaves)
        if self._kind == "array":
            return members[0]
        return members if self._kind == "sequence" else dict(zip(self.keys, members, strict=True))


class Held:
    """The caller's own list or dict of parameters, which must go on holding the same arrays.

    ``params["w"] = params["w"] - g`` makes a new array, of which an optimizer knows nothing.
    """

    def __init__(self, name: str, structure: Structure, tree: Any) -> None:
        self._name = name
        self.structure = structure
        self.tree = tree
        self.leaves = tuple(structure.flatten(name, tree))

    def check(self) -> None:
        """Refuse to go on where a member was replaced, added or removed."""
        if not isinstance(self.tree, (np.ndarray, tuple)):
            self.structure.check_held(self._name, self.tree, self.leaves)


class Groups:
    """One structure, or several in a list where parameters come in groups."""

    def __init__(self, name: str, trees: Sequence[Any], *, grouped: bool) -> None:
        self.grouped = grouped
        places = [f"[{i}]" for i in range(len(trees))] if grouped else [""]
        inner = "['params']" if grouped else ""
        self.members = [
            Structure(f"{name}{place}{inner}", tree)
            for place, tree in zip(places, trees, strict=True)
        ]
        pairs = list(zip(places, self.members, strict=True))
        self.names = [f"{place}{name}" for place, s in pairs for name in s.names]
        self.sizes = [len(s.names) for s in self.members]
        self._held = [
            Held(f"{name}{place}{inner}", s, tree)
            for (place, s), tree in zip(pairs, trees, strict=True)
        ]
        self.leaves = [leaf for h in self._held for leaf in h.leaves]

    def watched(self) -> list[tuple[Any, list[Any], tuple[Any, ...]]]:
        """Return of each group the caller's collection, its keys and its arrays."""
        return [(h.tree, h.structure.keys, h.leaves) for h in self._held]

    def check_held(self) -> None:
        """Refuse to go on where the caller's lists and dicts hold other arrays than at first."""
        for held in self._held:
            held.check()

    def flatten(self, name: str, trees: Any) -> Sequence[Any]:
        """Return all members, group after group."""
        if not self.grouped:
            return self.members[0].flatten(name, trees)
        if not isinstance(trees, (list, tuple)) or len(trees) != len(self.members):
            got = shown(trees) if not isinstance(trees, (list, tuple)) else len(trees)
            raise ValueError(
                f"{name}: must be a list with an entry for each of the {len(self.members)} "
                f"parameter groups; got {got}"
            )
        pairs = enumerate(zip(self.members, trees, strict=True))
        return [leaf for i, (s, tree) in pairs for leaf in s.flatten(f"{name}[{i}]", tree)]

    def rebuild(self, leaves: Sequence[Any]) -> Any:
        """Return the members in the structure of the parameters, a list of it for groups."""
        rest = iter(leaves)
        trees = [
            s.rebuild([next(rest) for _ in range(n)])
            for s, n in zip(self.members, self.sizes, strict=True)
        ]
        return trees if self.grouped else trees[0]
