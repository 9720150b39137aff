"""A config with the place of every value in it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
INDEX = re.compile(r"-?[0-9]{1,9}")


@dataclass
class Document:
    """The tree of a config (plain dicts and lists) and where each of its values came from.

    `places` maps a key path to "config.json:12:17", or to the option that set the value; its order is the order of
    the file.
    """

    tree: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)
    name: str = "config"
    references: dict[KeyPath, str] = field(default_factory=dict)  # what stood at a path before it was resolved

    def place(self, path: KeyPath) -> str:
        """Where the value at `path` came from; where nothing is known of it, the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)

    def fault(self, path: Iterable[str | int], text: str) -> "Fault":
        """A fault at the value of `path`."""
        path = tuple(path)
        name = f"{dotted(path)}: " if path else ""
        return Fault(self._rank(path), f"{self.place(path)}: {name}{text}")

    def _rank(self, path: KeyPath) -> int:
        while path and path not in self.places:
            path = path[:-1]
        return list(self.places).index(path) if path in self.places else -1


@dataclass(frozen=True, order=True)
class Fault:
    """One line for the user, and its rank in the order of the file."""

    rank: int
    line: str


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `data_loader.args.batch_size`."""
    return ".".join(str(key) if str(key).isprintable() else json.dumps(key) for key in path)


def value_at(tree: Any, path: KeyPath) -> Any:
    """The value at a key path."""
    for key in path:
        tree = tree[key]
    return tree


def keys_of(tree: Any, parts: Sequence[str | int]) -> KeyPath:
    """The parts of a path as keys: a number is the index where it leads into a list, a name where into an object."""
    path: KeyPath = ()
    for part in parts:
        key = int(part) if isinstance(tree, list) and INDEX.fullmatch(str(part)) else part
        if isinstance(tree, list) and isinstance(key, int) and -len(tree) <= key < 0:
            key += len(tree)
        path = (*path, key)
        found = (isinstance(tree, dict) and key in tree) or (isinstance(tree, list) and key in range(len(tree)))
        tree = tree[key] if found else None
    return path
