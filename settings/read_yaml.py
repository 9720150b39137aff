"""YAML, read safely and with the place of every value."""

import re
from math import isfinite
from typing import Any, NoReturn

import yaml

from settings.document import Document, KeyPath
from utils.errors import ConfigError

DEEPEST, MOST = 100, 100_000
PLAIN = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq"))


class _Loader(yaml.SafeLoader):
    """The safe loader, for which `1e-3` is a number (YAML 1.1 takes it for a string)."""

    yaml_implicit_resolvers = {key: list(items) for key, items in yaml.SafeLoader.yaml_implicit_resolvers.items()}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(text: str, name: str) -> Document:
    """The config in a YAML text; raises ConfigError at the line and column of the first fault."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.context if error.problem == "but found another document" else error.problem
        raise ConfigError(f"{_place(name, mark)}: {problem or error.context}") from None
    except RecursionError:
        raise ConfigError(f"{name}:1:1: nested deeper than {DEEPEST} levels") from None
    except (yaml.YAMLError, OverflowError, ValueError) as error:
        raise ConfigError(f"{name}:1:1: {str(error).splitlines()[0]}") from None
    places: dict[KeyPath, str] = {}
    if node is None:
        raise ConfigError(f"{name}:1:1: the file is empty")
    tree = _Reader(loader, name, places).value(node, ())
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}:1:1: a config is a mapping of keys to values, not {type(tree).__name__}")
    return Document(tree, places, name)


class _Reader:
    def __init__(self, loader: _Loader, name: str, places: dict[KeyPath, str]) -> None:
        self.loader, self.name, self.places = loader, name, places
        self.around: set[int] = set()
        self.count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places.setdefault(path, _place(self.name, node.start_mark))
        if id(node) in self.around:
            self.fail(node, "an alias to something that it stands in")
        if len(path) > DEEPEST:
            self.fail(node, f"nested deeper than {DEEPEST} levels")
        self.count += 1
        if self.count > MOST:  # aliases of aliases
            self.fail(node, f"more than {MOST:,} values")
        if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
            self.fail(node, f"the tag {node.tag.removeprefix('tag:yaml.org,2002:')!r} is not for configs")
        self.around.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.scalar(node)
        finally:
            self.around.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                merge = key_node.tag == "tag:yaml.org,2002:merge"
                self.fail(key_node, "merge keys are not read" if merge else "keys are words; put this one in quotes")
            key = str(key_node.value)
            if key in result:
                self.fail(key_node, f"the key {key!r} stands here a second time; first at {self.places[(*path, key)]}")
            self.places[(*path, key)] = _place(self.name, key_node.start_mark)
            result[key] = self.value(value_node, (*path, key))
        return result

    def scalar(self, node: yaml.Node) -> Any:
        try:
            value = self.loader.construct_object(node)
        except Exception:  # PyYAML raises half a dozen types for what does not fit its tag
            self.fail(node, f"{node.value!r} cannot be read as {node.tag.rsplit(':', 1)[-1]}")
        if not isinstance(value, (bool, int, float, str, type(None))):
            self.fail(node, f"{node.value!r} is a {type(value).__name__}; put it in quotes")
        if isinstance(value, float) and not isfinite(value):
            self.fail(node, f"{node.value}: a config has no such number")
        return value

    def fail(self, node: yaml.Node, text: str) -> NoReturn:
        raise ConfigError(f"{_place(self.name, node.start_mark)}: {text}")


def _place(name: str, mark: Any) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{name}:1:1"
