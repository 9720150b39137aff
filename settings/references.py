"""Values that refer to others: "${trainer.epochs}", "${env:DATA_DIR}", "${data.num_classes}"."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

from settings.document import Document, Fault, KeyPath, dotted, keys_of, value_at
from settings.names import suggestion
from settings.read_json import DEEPEST, word_or_json
from settings.sections import BUILT, NAMED
from utils.errors import ConfigError

REFERENCE = re.compile(r"(?<!\$)\$\{([^${}]*)\}")
MALFORMED = re.compile(r"(?<!\$)\$\{")
ESCAPED = "$${"  # stands for a "${" that is no reference
LATE = {  # what is known only once the data is built
    "data.num_classes": "the number of classes",
    "data.input_shape": "the shape of one input, without the batch",
    "data.n_samples": "the number of training samples",
    "data.vocabulary_size": "the number of words",
    "run.steps_per_epoch": "steps an epoch",
    "run.total_steps": "steps of the whole run",
}
EARLY = ("name", "seed", "n_gpu", "trainer", "data_loader", "valid_data_loader", "test_data_loader")  # built before
MOST = 100_000  # values that references may come to


def resolve(document: Document, paths: Iterable[KeyPath] | None = None) -> None:
    """Puts in place of every reference what it refers to, but for those known later; ConfigError with all faults.

    What a value referred to stays in `document.references`.

    :param paths: the values to look at, and what is inside them (default: all)
    """
    resolver, places = _Resolver(document), None if paths is None else list(paths)
    for path in list(_texts(document.tree)):
        if places is None or any(path[: len(place)] == place for place in places):
            resolver.resolve(path)
    if resolver.faults:
        raise ConfigError([fault.line for fault in sorted(resolver.faults)])


def provide(document: Document, value_of: Callable[[str], Any]) -> None:
    """Puts in place what is known only now; ConfigError where `value_of` raises a LookupError for a name."""
    faults = []
    known: dict[str, Any] = {}
    for path in list(_texts(document.tree)):
        text = value_at(document.tree, path)
        if not is_late(text):
            continue
        document.references.setdefault(path, text)
        try:
            for name in REFERENCE.findall(text):
                if name in LATE and name not in known:
                    known[name] = value_of(name)
            value = _substituted(text, lambda name: known[name])
            _put(document.tree, path, _unescaped(value, text))
        except (LookupError, _FaultError) as error:
            faults.append(document.fault(path, f"{text}: {error.args[0]}").line)
    if faults:
        raise ConfigError(faults)


def is_late(value: Any) -> bool:
    """Whether a value refers to something that is known only once the data is built."""
    return isinstance(value, str) and any(name in LATE for name in REFERENCE.findall(value))


def reads_environment(document: Document, path: KeyPath) -> bool:
    """Whether a value came from an environment variable, itself or by what it refers to."""
    names = REFERENCE.findall(document.references.get(path, ""))
    paths = [keys_of(document.tree, name.split(".")) for name in names if not name.startswith("env:")]
    return len(paths) < len(names) or any(other != path and reads_environment(document, other) for other in paths)


def escape(tree: Any) -> Any:
    """The tree as a config file must say it, so that what looks like a reference is read as a text."""
    if isinstance(tree, dict):
        return {key: escape(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [escape(value) for value in tree]
    return tree.replace("${", ESCAPED) if isinstance(tree, str) else tree


class _Resolver:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.done: set[KeyPath] = set()
        self.failed: set[KeyPath] = set()
        self.around: list[KeyPath] = []  # the texts that are being resolved, the outermost first
        self.size = 0

    def resolve(self, path: KeyPath) -> None:
        """Resolves the text at `path`, or all texts in the value at `path`."""
        text = value_at(self.document.tree, path)
        if not isinstance(text, str):
            for inner in list(_texts(text)):
                self.resolve((*path, *inner))
            return
        if path in self.done or "${" not in text:
            return
        self.around.append(path)
        try:
            if MALFORMED.search(REFERENCE.sub("", text)):
                raise _FaultError(f"{text!r}: write ${{KEY.PATH}}, ${{env:NAME}}, or $${{ for a plain ${{")
            value = _substituted(text, lambda name: self.value_of(name, path))
            _put(self.document.tree, path, value if is_late(value) else _unescaped(value, text))
            self.document.references[path] = text
        except _FaultError as error:
            self.failed.add(path)
            if str(error):
                self.faults.append(self.document.fault(path, str(error)))
        finally:
            self.around.pop()
            self.done.add(path)

    def value_of(self, name: str, path: KeyPath) -> Any:
        """What `name` stands for in the text at `path`."""
        if name.startswith("env:"):
            return _from_environment(name.removeprefix("env:"))
        target = self.find(name)
        if target is None:
            if path[0] in EARLY:
                raise _FaultError(f"${{{name}}} is known only once the data is built, and this is needed before")
            if path in [(section,) for section in (*BUILT, *NAMED)]:
                raise _FaultError(f"${{{name}}} is a value, no section")
            return f"${{{name}}}"
        if path[: len(target)] == target or target in self.around:
            chain = " -> ".join(map(dotted, [*self.around, target]))
            raise _FaultError(f"refers to itself: {chain}")
        self.resolve(target)
        if any(failed[: len(target)] == target for failed in self.failed):
            raise _FaultError  # which has been told there
        found = value_at(self.document.tree, target)
        if len(path) + _depth(found) > DEEPEST:
            raise _FaultError(f"${{{name}}}: nested deeper than {DEEPEST} levels")
        self.size += _size(found)
        if self.size > MOST:
            raise _FaultError(f"${{{name}}}: the references of this config come to more than {MOST:,} values")
        return deepcopy(found)

    def find(self, name: str) -> KeyPath | None:
        """The key path that a name leads to; None if the name is one of those known later."""
        path = keys_of(self.document.tree, name.split("."))
        node: Any = self.document.tree
        for index, key in enumerate(path):
            there = key in node if isinstance(node, dict) else isinstance(node, list) and key in range(len(node))
            if not there:
                if name in LATE:
                    return None
                raise _FaultError(f"${{{name}}}: {self.unknown(name, path[:index], str(key), node)}")
            node = node[key]
        return path

    def unknown(self, name: str, path: KeyPath, key: str, node: Any) -> str:
        if isinstance(node, list):
            return f"{dotted(path)} has {len(node)} items, counted from 0"
        if not isinstance(node, dict):
            return f"{dotted(path)} is {json.dumps(node)}, with no {key!r} in it"
        if path:
            return f"{dotted(path)} has no {key!r}; {suggestion(key, map(str, node))}"
        late = key in ("data", "run")
        known = LATE if late else [*map(str, node), "env:NAME", *LATE]
        return f"the config has no {key!r}; {suggestion(name if late else key, known)}"


class _FaultError(Exception):
    """What is wrong with a reference; empty where that has been told of another one."""


def _from_environment(text: str) -> str:
    """An environment variable, or what stands behind ":-" where there is none."""
    name, has_default, default = text.partition(":-")
    if name not in os.environ and not has_default:
        raise _FaultError(
            f"${{env:{name}}}: there is no such environment variable; ${{env:{name}:-VALUE}} gives a default"
        )
    return os.environ.get(name, default)


def _substituted(text: str, value_of: Callable[[str], Any]) -> Any:
    whole = REFERENCE.fullmatch(text)
    if whole:
        value = value_of(whole[1])
        return word_or_json(value) if whole[1].startswith("env:") else value

    def put(match: re.Match[str]) -> str:
        value = value_of(match[1])
        if isinstance(value, (dict, list)):
            raise _FaultError(f"${{{match[1]}}} is no text or number, and must stand alone")
        return value if isinstance(value, str) else json.dumps(value)

    return REFERENCE.sub(put, text)


def _unescaped(value: Any, text: str) -> Any:
    return value.replace(ESCAPED, "${") if isinstance(value, str) and ESCAPED in text else value


def _texts(tree: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all texts in a tree."""
    if isinstance(tree, str):
        yield path
    for key, value in _items(tree):
        yield from _texts(value, (*path, key))


def _items(tree: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(tree, dict):
        return dict.items(tree)  # not its own items: to look for references is not to read
    return enumerate(tree) if isinstance(tree, list) else ()


def _size(tree: Any) -> int:
    return 1 + sum(_size(value) for _, value in _items(tree))


def _depth(tree: Any) -> int:
    return 1 + max((_depth(value) for _, value in _items(tree)), default=0)


def _put(tree: Any, path: KeyPath, value: Any) -> None:
    value_at(tree, path[:-1])[path[-1]] = value
