"""Configs that extend others: "extends": "base.json", or a list of files, of which later ones win."""

import os
from pathlib import Path
from typing import Any

from settings.document import Document, KeyPath
from settings.reading import read_config
from utils.errors import ConfigError

MOST_FILES = 100


def read_extended(path: Path, around: tuple[Path, ...] = (), count: list[int] | None = None) -> Document:
    """The config in a file with all that it extends, as one; ConfigError, at the line of `extends`, if one is missing.

    Objects are merged key by key, anything else is replaced. null takes away what would be inherited. An object whose
    "type" changes inherits nothing: neither the old "args" nor an "interval".

    :param around: the files that extend this one, the outermost first
    :param count: how many files have been read so far
    """
    document, count = read_config(path), [0] if count is None else count
    if "extends" not in document.tree:
        return document
    value = document.tree.pop("extends")
    names = value if isinstance(value, list) else [value]
    merged = Document({}, name=str(path))
    for index, name in enumerate(names):
        place: KeyPath = ("extends", index) if isinstance(value, list) else ("extends",)
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise ConfigError(document.fault(place, "write the name of a config, or a list of names").line)
        parent = path.parent / name
        files = [file.resolve() for file in (*around, path)]
        if parent.resolve() in files:
            chain = " -> ".join(file.name for file in (*around, path, parent))
            raise ConfigError(document.fault(place, f"{name} extends itself: {chain}").line)
        if not os.path.isfile(parent):
            raise ConfigError(document.fault(place, f"{parent}: no such file").line)
        count[0] += 1
        if count[0] > MOST_FILES:
            raise ConfigError(document.fault(place, f"more than {MOST_FILES} files to read").line)
        merged = _merged(merged, read_extended(parent, (*around, path), count))
    for known in [known for known in document.places if known[:1] == ("extends",)]:
        del document.places[known]
    result = _merged(merged, document)
    result.name = str(path)
    return result


def _merged(base: Document, own: Document) -> Document:
    tree, kept = _merge(base.tree, own.tree, ())
    inherited = {path: place for path, place in base.places.items() if path in kept}
    return Document(tree, own.places | {path: inherited[path] for path in inherited if path not in own.places})


def _merge(base: dict[str, Any], own: dict[str, Any], path: KeyPath) -> tuple[dict[str, Any], set[KeyPath]]:
    """The merged object, and the paths in it that are inherited."""
    replaced = "type" in base and "type" in own and base["type"] != own["type"]
    tree: dict[str, Any] = {}
    kept: set[KeyPath] = set()
    for key in [*base, *(key for key in own if key not in base)]:
        inherited = key in base and not replaced
        if key not in own:
            if inherited:
                tree[key] = base[key]
                kept |= _paths(base[key], (*path, key))
        elif inherited and isinstance(base[key], dict) and isinstance(own[key], dict):
            tree[key], inner = _merge(base[key], own[key], (*path, key))
            kept |= inner
        elif not (inherited and own[key] is None):
            tree[key] = own[key]
    return tree, kept


def _paths(value: Any, path: KeyPath) -> set[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(_paths(item, (*path, key)) for key, item in items))
