"""Values set from the command line: `-s KEY.PATH=VALUE`, and the options that a project adds."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from settings.document import Document, KeyPath, dotted
from settings.names import suggestion
from settings.read_json import PYTHON_WORDS, parse_value
from utils.errors import ConfigError


def apply_sets(document: Document, sets: Sequence[str], may_be_added: Callable[[KeyPath], bool]) -> None:
    """Applies each `KEY.PATH=VALUE` to the config; raises ConfigError for a path that is not there.

    VALUE is JSON, or else a bare word. `+KEY.PATH=VALUE` adds what is not there.

    :param may_be_added: whether a key that the config leaves out is one that it could have
    """
    faults = []
    for text in sets:
        key, equals, value = text.partition("=")
        path = keys_of(document.tree, key.removeprefix("+").split("."))
        if not equals or not all(part != "" for part in path):
            faults.append(f"-s {text}: write KEY.PATH=VALUE, for example -s optimizer.args.lr=0.01")
        elif fault := _missing(document.tree, path, key.startswith("+"), may_be_added):
            faults.append(f"-s {text}: {fault}")
        else:
            set_value(document, path, _value(value), f"-s {text}")
    if faults:
        raise ConfigError(faults)


def set_value(document: Document, path: KeyPath, value: Any, place: str) -> None:
    """Sets one value, makes the objects that lead to it, and remembers where it came from."""
    node: Any = document.tree
    for index, key in enumerate(path[:-1]):
        if isinstance(node, dict) and not isinstance(node.get(key), (dict, list)):
            node[key] = {}
            document.places[path[: index + 1]] = place
        node = node[key]
    node[path[-1]] = value
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = place


def keys_of(tree: Any, parts: Sequence[str | int]) -> KeyPath:
    """The parts of a path as keys: a number is the index where it leads into a list, a name where into an object."""
    path: KeyPath = ()
    for part in parts:
        key = int(part) if isinstance(tree, list) and str(part).isdecimal() else part
        path = (*path, key)
        found = (isinstance(tree, dict) and key in tree) or (isinstance(tree, list) and key in range(len(tree)))
        tree = tree[key] if found else None
    return path


def _value(text: str) -> Any:
    try:
        return parse_value(PYTHON_WORDS.get(text, text))
    except ConfigError:
        return text


def _missing(tree: Any, path: KeyPath, adding: bool, may_be_added: Callable[[KeyPath], bool]) -> str | None:
    """What is wrong with a path, if anything."""
    node = tree
    for index, key in enumerate(path):
        if isinstance(node, list):
            if not isinstance(key, int) or key >= len(node):
                return (
                    f"{dotted(path[:index])} is a list with indices 0 to {len(node) - 1}"
                    if node
                    else "the list is empty"
                )
        elif not isinstance(node, dict):
            return f"{dotted(path[:index])} is {json.dumps(node)} and has no {key!r} in it"
        elif key not in node:
            if adding or may_be_added(path):
                return None
            where = f"{dotted(path[:index])} has" if index else "the config has"
            return f"{where} no {key!r}; {suggestion(str(key), map(str, node))} (+{dotted(path)}=... adds it)"
        node = node[key]
    return None
