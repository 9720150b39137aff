"""From a section of a config to what it names: objects built, functions with their arguments fixed."""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from typing import Any

from settings.document import Document, KeyPath
from settings.lookup import find, where_defined
from utils.errors import ConfigError


def build(document: Document, path: KeyPath, module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What the section at `path` names, built from `args`, its own args, and `kwargs`."""
    target, arguments = resolve(document, path, module, kwargs)
    with reported(document, path, target):
        return target(*args, **arguments)


def fix(document: Document, path: KeyPath, module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What the section at `path` names, with arguments fixed but not yet called; it keeps its name."""
    target, arguments = resolve(document, path, module, kwargs)
    return update_wrapper(partial(target, *args, **arguments), target) if args or arguments else target


def build_callable(document: Document, path: KeyPath, module: Any) -> Any:
    """A loss or metric: a function with its arguments fixed, or the object of a class."""
    target, arguments = resolve(document, path, module, {})
    section = value_at(document.tree, path)
    name = section.get("name", target.__name__) if isinstance(section, dict) else target.__name__
    if not inspect.isclass(target):
        built: Any = partial(target, **arguments) if arguments or name != target.__name__ else target
    else:
        with reported(document, path, target):
            built = target(**arguments)
    if getattr(built, "__name__", None) != name:
        built.__name__ = name  # under which it stands in the log
    return built


def resolve(document: Document, path: KeyPath, module: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The class or function that a section names, and its arguments: the section's and `kwargs`.

    An argument that the section gives as "auto" is left to `kwargs`; any other is either's, not both's.
    """
    if path[0] not in document.tree:
        raise ConfigError(document.fault((), f"the section {path[0]!r} is missing").line)
    section = value_at(document.tree, path)
    if isinstance(section, str):
        path_of_name, name, arguments = path, section, {}
    elif isinstance(section, dict) and "type" in section:
        path_of_name, name, arguments = (*path, "type"), section["type"], copy.deepcopy(dict(section.get("args") or {}))
    else:
        raise ConfigError(document.fault(path, 'write {"type": NAME, "args": {...}}').line)
    for key in kwargs:
        if arguments.get(key, "auto") != "auto":
            raise ConfigError(document.fault((*path, "args", key), "is set by the code; leave it out").line)
    try:
        return find(name, several(module)), arguments | kwargs
    except LookupError as error:
        raise ConfigError(document.fault(path_of_name, str(error)).line) from None


@contextmanager
def reported(document: Document, path: KeyPath, target: Any) -> Iterator[None]:
    """Turns a constructor's TypeError or ValueError into one line at the section's place."""
    try:
        yield
    except (TypeError, ValueError) as error:
        innermost = inspect.getinnerframes(error.__traceback__)[-1]  # type: ignore[arg-type]
        called = innermost.filename != __file__  # else its arguments do not fit: no line of the target ran
        place = f"{innermost.filename}:{innermost.lineno}" if called else where_defined(target)
        text = f"{target.__name__}: {' '.join(str(error).split())} ({place})"
        raise ConfigError(document.fault(path, text).line) from error


def several(module: Any) -> tuple[Any, ...]:
    """One module, or several in order."""
    return tuple(module) if isinstance(module, (tuple, list)) else (module,)


def value_at(tree: Any, path: KeyPath) -> Any:
    """The value at a key path."""
    for key in path:
        tree = tree[key]
    return tree
