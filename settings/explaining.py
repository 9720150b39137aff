"""Where each effective value of a config comes from, and whether anything has read it."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from os.path import relpath
from typing import Any

from settings import sections
from settings.building import takes_object
from settings.document import Document, KeyPath
from settings.kinds import kind_of, kind_of_annotation
from settings.lookup import find
from settings.signatures import arguments_of, where_defined
from settings.types import is_spec


@dataclass(frozen=True)
class Row:
    """One effective value."""

    path: KeyPath
    value: Any
    source: str  # "config.json:12:17", an option, "default, FILE:LINE", "computed"
    read: bool


class Recorded(dict):
    """An object of a config that remembers which of its keys have been read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({key: Recorded(value) if isinstance(value, dict) else value for key, value in values.items()})
        self.stood = set(values)  # all others are put there by code
        self.seen: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.add(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self.seen.update(super().keys())
        return super().__iter__()

    def items(self) -> Any:
        self.seen.update(super().keys())
        return super().items()

    def values(self) -> Any:
        self.seen.update(super().keys())
        return super().values()


def record(document: Document) -> None:
    """From now on the project's own sections, and the trainer's, remember what is read of them."""
    for key, value in document.tree.items():
        if isinstance(value, dict) and (key not in sections.ROOT or key == "trainer"):
            document.tree[key] = Recorded(value)


def rows(document: Document, modules: dict[str, Any], trainer_options: Any, read: set[str]) -> list[Row]:
    """The effective values, in the order of the config, each section's defaults behind what it says.

    :param modules: for each section, where its names are looked up
    :param read: the sections that something has asked for
    """
    found = [
        Row(path, value, source_of(document, path), _is_read(document, path, read))
        for path, value in _leaves(document.tree)
    ]
    for section in sections.BUILT + sections.NAMED:
        node = document.tree.get(section)
        for path, spec in _specs(node, (section,)):
            found += _defaults(document, path, spec, modules[section], sections.GIVEN.get(section, 0))
    found += _option_defaults(document, trainer_options)
    order: list[str | int] = list(document.tree)
    return sorted(found, key=lambda row: order.index(row.path[0]))


def source_of(document: Document, path: KeyPath) -> str:
    """Where the value at a path came from."""
    reference = f"  {document.references[path]}" if path in document.references else ""
    if path in document.places or not document.places:
        inside = [place for known, place in document.places.items() if known[: len(path)] == path and known != path]
        options = dict.fromkeys(place for place in inside if place.startswith("-"))  # that changed a part of it
        return ", ".join((document.place(path) + reference, *options))
    around = document.place(path)
    return around if around.startswith("-") else "computed"  # an option that set a whole object


def _leaves(node: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The values of a tree that have nothing in them, lists as a whole."""
    if not isinstance(node, dict) or not dict.__len__(node):
        yield path, node
        return
    for key, value in dict.items(node):  # not its own items, which would count as reading
        yield from _leaves(value, (*path, key))


def _is_read(document: Document, path: KeyPath, read: set[str]) -> bool:
    """Whether something has read a value; what is in the sections that we know is bound to what they build."""
    if path[0] not in sections.ROOT and path[0] not in read:
        return False
    node: Any = document.tree
    for key in path:
        if isinstance(node, Recorded) and key not in node.seen and key in node.stood:
            return False
        node = dict.__getitem__(node, key)
    return True


def _specs(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    if isinstance(node, str):
        yield path, {"type": node}
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _specs(item, (*path, index))
    elif isinstance(node, dict) and "type" in node:
        yield path, node


def _defaults(document: Document, path: KeyPath, spec: dict[str, Any], modules: Any, given: int) -> Iterator[Row]:
    """What a class or function takes for the arguments that the config leaves out."""
    target = find(spec["type"], modules, kind_of(str(path[0])) if len(path) < 3 else None)
    taken = arguments_of(target, 0 if given == 2 and inspect.isclass(target) else given)
    args = spec.get("args") or {}
    for key, default in taken.defaults.items():
        if key not in args and key in taken.own:
            yield Row((*path, "args", key), default, f"default, {where_defined(target)}", True)
    for key, value in args.items():
        if is_spec(value) and takes_object(annotation := taken.annotations.get(key)):
            inner = find(value["type"], modules, kind_of_annotation(annotation))
            values = value.get("args") or {}
            nested = arguments_of(inner)
            for name, default in nested.defaults.items():
                if name not in values and name in nested.own:
                    where = f"default, {where_defined(inner)}"
                    yield Row((*path, "args", key, "args", name), default, where, True)


def _option_defaults(document: Document, options: Any) -> Iterator[Row]:
    lines = {name: where for cls in reversed(options.__mro__) for name, where in _lines_of_fields(cls).items()}
    for field in fields(options):
        if field.name not in document.tree.get("trainer", {}) and field.default is not MISSING:
            yield Row(("trainer", field.name), field.default, f"default, {lines[field.name]}", True)


def _lines_of_fields(cls: Any) -> dict[str, str]:
    if "__annotations__" not in vars(cls):
        return {}
    text, first = inspect.getsourcelines(cls)
    file = relpath(inspect.getfile(cls))
    names = {name: re.compile(rf"\s+{name}\s*:") for name in vars(cls)["__annotations__"]}
    return {
        name: f"{file}:{first + index}"
        for index, line in enumerate(text)
        for name, pattern in names.items()
        if pattern.match(line)
    }


def shown(value: Any) -> str:
    """A value in the words of a config, or as Python shows it where a config has none."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
