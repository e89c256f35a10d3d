"""Lists, tuples, dicts and single arrays: how arrays are handed over, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ._validate import shown


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
            self._same_keys(name, tree)
            return [tree[key] for key in self.keys]
        if self._kind == "array" and (tree is None or isinstance(tree, np.ndarray)):
            return (tree,)
        expected = {"array": "a numpy.ndarray", "mapping": "a dict", "sequence": "a list or tuple"}
        raise TypeError(
            f"{name}: must be {expected[self._kind]}, as the parameters are; got {shown(tree)}"
        )

    def _same_keys(self, name: str, tree: Mapping[Any, Any]) -> None:
        missing = [key for key in self.keys if key not in tree]
        unknown = [key for key in tree if key not in set(self.keys)]
        if missing or unknown:
            raise ValueError(
                f"{name}: must have the keys of the parameters; "
                f"missing {missing[:5]}, unknown {unknown[:5]}"
            )

    def rebuild(self, leaves: Iterable[Any]) -> Any:
        """Return the members put together again: an item, a list or a dict."""
        members = list(leaves)
        if self._kind == "array":
            return members[0]
        return members if self._kind == "sequence" else dict(zip(self.keys, members, strict=True))


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
