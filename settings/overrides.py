"""Values set from the command line: `-s KEY.PATH=VALUE`, and the options that a project adds."""

from collections.abc import Callable, Sequence
from typing import Any

from settings.document import Document, KeyPath, dotted, keys_of, value_at
from settings.names import suggestion
from settings.read_json import DEEPEST, word_or_json
from settings.types import shown
from utils.errors import ConfigError

MayBeAdded = Callable[[KeyPath], bool]
USAGE = (
    "write KEY.PATH=VALUE, for example optimizer.args.lr=0.01; LIST+=VALUE appends, +NEW.KEY=VALUE adds, ~KEY deletes"
)


def apply_sets(document: Document, sets: Sequence[str], may_be_added: MayBeAdded) -> list[KeyPath]:
    """Applies each -s to the config, in their order, and gives back the paths set; ConfigError with all faults.

    VALUE is JSON, or else a bare word.

        optimizer.args.lr=0.01      sets what is there, or what is known to belong there
        metrics.0=f1                the first of a list; -1 is the last
        metrics+=f1                 one more at the end of a list
        +mine.key=3                 a key that nothing knows
        ~lr_scheduler               away with it

    :param may_be_added: whether a key that the config leaves out is one that it could have
    """
    faults, paths = [], []
    for text in sets:
        try:
            paths.append(_apply(document, text, may_be_added))
        except ConfigError as error:
            faults += [f"-s {text}: {line}" for line in error.faults]
    if faults:
        raise ConfigError(faults)
    return paths


def set_value(document: Document, path: KeyPath, value: Any, place: str) -> None:
    """Sets one value, makes the objects that lead to it, and remembers where it came from."""
    node: Any = document.tree
    for index, key in enumerate(path[:-1]):
        if isinstance(node, dict) and not isinstance(node.get(key), (dict, list)):
            node[key] = {}
            document.places[path[: index + 1]] = place
        node = node[key]
    if isinstance(node, list) and path[-1] == len(node):
        node.append(value)
    else:
        node[path[-1]] = value
    _forget(document, path)
    document.places[path] = place


def _apply(document: Document, text: str, may_be_added: MayBeAdded) -> KeyPath:
    if text.startswith("~") and text != "~" and "=" not in text:
        return _delete(document, text[1:])
    key, equals, value = text.partition("=")
    appending, adding = key.endswith("+"), key.startswith("+")
    parts = key.removeprefix("+").removesuffix("+").split(".")
    if not equals or not all(parts) or len(parts) > DEEPEST or key.startswith("~"):
        raise ConfigError(USAGE)
    if parts[0] == "extends":
        raise ConfigError("what a config extends is said in its file")
    path = keys_of(document.tree, parts)
    if fault := _missing(document.tree, path, adding, may_be_added):
        raise ConfigError(fault)
    if appending:
        there = value_at(document.tree, path)
        if not isinstance(there, list):
            raise ConfigError(f"{dotted(path)} is {shown(there)}, not a list to append to")
        path = (*path, len(there))
    try:
        set_value(document, path, word_or_json(value), f"-s {text}")
    except ConfigError as error:
        raise ConfigError([f"the value, {line.removeprefix('value:1:')}" for line in error.faults]) from None
    return path


def _delete(document: Document, key: str) -> KeyPath:
    path = keys_of(document.tree, key.split("."))
    if fault := _missing(document.tree, path, False, lambda path: False):
        raise ConfigError(fault.partition(" (+")[0])
    node = value_at(document.tree, path[:-1])
    _forget(document, path)
    if isinstance(node, list):  # what stands behind moves up
        after = [known for known in document.places if known[: len(path) - 1] == path[:-1] and len(known) >= len(path)]
        moved = {known: document.places.pop(known) for known in after}
        at, number = len(path) - 1, int(path[-1])
        for known, place in moved.items():
            index = int(known[at])
            document.places[(*known[:at], index - (index > number), *known[at + 1 :])] = place
    del node[path[-1]]
    return path


def _forget(document: Document, path: KeyPath) -> None:
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]


def _missing(tree: Any, path: KeyPath, adding: bool, may_be_added: MayBeAdded) -> str | None:
    """What is wrong with a path, if anything."""
    node = tree
    for index, key in enumerate(path):
        if isinstance(node, list):
            if not isinstance(key, int) or key not in range(len(node)):
                there = f"is a list with indices 0 to {len(node) - 1}" if node else "is an empty list"
                return f"{dotted(path[:index])} {there}; {dotted(path[:index])}+=VALUE appends"
        elif not isinstance(node, dict):
            return f"{dotted(path[:index])} is {shown(node)} and has no {key!r} in it"
        elif key not in node:
            if adding or may_be_added(path):
                return None
            where = f"{dotted(path[:index])} has" if index else "the config has"
            return f"{where} no {key!r}; {suggestion(str(key), map(str, node))} (+{dotted(path)}=... adds it)"
        node = node[key]
    return None
