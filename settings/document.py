"""A config with the place of every value in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]


@dataclass
class Document:
    """The tree of a config (plain dicts and lists) and where each of its values came from.

    `places` maps a key path to "config.json:12:17", or to the option that set the value; its order is the order of
    the file.
    """

    tree: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)
    name: str = "config"

    def place(self, path: KeyPath) -> str:
        """Where the value at `path` came from; where nothing is known of it, the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)

    def fault(self, path: Iterable[str | int], text: str) -> "Fault":
        """A fault at the value of `path`."""
        path = tuple(path)
        return Fault(
            self._rank(path), f"{self.place(path)}: {dotted(path)}: {text}" if path else f"{self.name}: {text}"
        )

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
    return ".".join(str(key) for key in path)
