"""From a section of a config to what it names: objects built, functions with their arguments fixed."""

import contextlib
import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, get_args, get_origin

from settings.document import Document, KeyPath, value_at
from settings.kinds import Kind, is_factory, kind_of, kind_of_annotation
from settings.lookup import find, is_of_project
from settings.packages import not_given
from settings.references import is_late
from settings.signatures import arguments_of, short_path, where_defined
from settings.types import convert, is_spec
from utils.errors import ConfigError, UserError
from utils.safe_loading import plain_data_only
from utils.samplers import waits_for_data

NOT_A_CONFIGS = "is not for a config to say: it tells where files come from and go to"
IN_WORKER = "Original Traceback"  # what stands in an error of a loader worker, before its own text
PLAIN_KEY = re.compile(r"[\w.-]*")
ELSEWHERE = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<")
ROOT = Path(__file__).parent.parent
OURS = (Path(__file__), Path(contextlib.__file__), ROOT / "commands" / "check.py")  # no news in an error's whereabouts


def build(document: Document, path: KeyPath, module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What the section at `path` names, built from `args`, its own args, and `kwargs`."""
    target, arguments = resolve(document, path, module, kwargs, args)
    with reported(document, path, target):
        return target(*args, **arguments)


def fix(document: Document, path: KeyPath, module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What the section at `path` names, with arguments fixed but not yet called; it keeps its name."""
    target, arguments = resolve(document, path, module, kwargs, args)
    return update_wrapper(partial(target, *args, **arguments), target) if args or arguments else target


def build_callable(document: Document, path: KeyPath, module: Any) -> Any:
    """A loss or metric: a function with its arguments fixed, or the object of a class."""
    target, arguments = resolve(document, path, module, {})
    section = value_at(document.tree, path)
    name = section.get("name", target.__name__) if isinstance(section, dict) else target.__name__
    if inspect.isclass(target) or is_factory(target, kind_of(str(path[0]))):
        with reported(document, path, target):
            built = target(**arguments)
    else:
        built = partial(target, **arguments) if arguments or name != target.__name__ else target
    if getattr(built, "__name__", None) != name:
        built.__name__ = name  # under which it stands in the log
    return built


def resolve(
    document: Document, path: KeyPath, module: Any, kwargs: dict[str, Any], args: tuple = ()
) -> tuple[Any, dict[str, Any]]:
    """The class or function that a section names, and its arguments: the section's and `kwargs`.

    An argument that the section gives as "auto" is left to `kwargs`; any other is either's, not both's.
    """
    if path[0] not in document.tree:
        raise ConfigError(document.fault((), f"the section {path[0]!r} is missing").line)
    section = value_at(document.tree, path)
    given: dict[str, Any] = {}
    if isinstance(section, str):
        path_of_name, name = path, section
    elif isinstance(section, dict) and "type" in section and isinstance(section.get("args") or {}, dict):
        path_of_name, name, given = (*path, "type"), section["type"], section.get("args") or {}
    else:
        raise ConfigError(document.fault(path, 'write {"type": NAME, "args": {...}}').line)
    for key in kwargs:
        if given.get(key, "auto") != "auto":
            raise ConfigError(document.fault((*path, "args", key), "is set by the code; leave it out").line)
    builder = _Builder(document, several(module), args if path[0] == "lr_scheduler" else ())
    target = builder.find(path_of_name, name, None if "." not in str(name) else kind_of(str(path[0])))
    given = {key: value for key, value in given.items() if key not in kwargs}
    return target, builder.arguments((*path, "args"), target, given) | kwargs


@dataclass
class _Builder:
    """Builds what stands inside `args`.

    :param code: what the code gives a schedule first, its optimizer, which a schedule inside it takes too
    """

    document: Document
    modules: tuple[Any, ...]
    code: tuple

    def find(self, path: KeyPath, name: Any, kind: Kind | None) -> Any:
        try:
            return find(name, self.modules, kind)
        except LookupError as error:
            raise ConfigError(self.document.fault(path, str(error)).line) from None

    def arguments(self, path: KeyPath, target: Any, values: dict[str, Any]) -> dict[str, Any]:
        annotations = arguments_of(target).annotations
        for key in not_given(target):
            if key in values:
                raise ConfigError(self.document.fault((*path, key), NOT_A_CONFIGS).line)
        return {
            key: self.value((*path, key), value, annotations.get(key, inspect.Parameter.empty))
            for key, value in values.items()
        }

    def value(self, path: KeyPath, value: Any, annotation: Any) -> Any:
        if isinstance(value, str) and is_late(value):
            raise ConfigError(self.document.fault(path, f"{value} is known only once the data is built").line)
        if is_spec(value) and takes_object(annotation):
            return self.object(path, value, kind_of_annotation(annotation))
        if isinstance(value, list):
            item = item_annotation(annotation)
            value = [self.value((*path, index), part, item) for index, part in enumerate(value)]
        elif isinstance(value, dict):
            if bad := next((key for key in value if is_spec(value[key]) and not PLAIN_KEY.fullmatch(key)), None):
                raise ConfigError(
                    self.document.fault((*path, bad), "an object's name has letters, digits, _ and -").line
                )
            value = {key: self.value((*path, key), part, inspect.Parameter.empty) for key, part in value.items()}
        with located(self.document, path):
            return convert(value, annotation)

    def object(self, path: KeyPath, spec: dict[str, Any], kind: Kind) -> Any:
        target = self.find((*path, "type"), spec["type"], kind)
        arguments = self.arguments((*path, "args"), target, spec.get("args", {}))
        if waits_for_data(target, arguments):
            return partial(target, **arguments)
        if not inspect.isclass(target) and not is_factory(target, kind) and is_called_later(target):
            return update_wrapper(partial(target, **arguments), target) if arguments else target
        code = self.code if inspect.isclass(target) and issubclass(target, kind_of("lr_scheduler").bases) else ()
        with reported(self.document, path, target):
            return target(*code, **arguments)


def is_called_later(function: Any) -> bool:
    """Whether a function inside `args` is given as it is (a loss, a collate function), not called to build."""
    return is_of_project(function) or function.__module__ == "torch.nn.functional"


def takes_object(annotation: Any) -> bool:
    """Whether {"type": ...} at a place with this annotation names an object: not where a plain dict is asked for."""
    return not any((get_origin(part) or part) is dict for part in (annotation, *get_args(annotation)))


def item_annotation(annotation: Any) -> Any:
    """The annotation of the items of a list."""
    parts = [part for part in (annotation, *get_args(annotation)) if get_origin(part) in (list, tuple)]
    return get_args(parts[0])[0] if parts else inspect.Parameter.empty


@contextmanager
def reported(document: Document, path: KeyPath, target: Any) -> Iterator[None]:
    """As `located`, for the call of a constructor: names it, and holds a package's own loading to plain data."""
    with plain_data_only(not is_of_project(target)), located(document, path, target.__name__, target):
        yield


@contextmanager
def located(document: Document, path: KeyPath, doing: str = "", target: Any = None) -> Iterator[None]:
    """Turns whatever is raised into one line at a place of the config; `python -X dev` shows the whole traceback.

    :param doing: what fails
    :param target: what fails; where it is defined is told for errors that no line of the project raised
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError([document.fault(path, line).line for line in error.faults]) from error
    except UserError as error:
        said = str(error)
        if IN_WORKER in said:
            said = said.splitlines()[-1].partition(": ")[2]
        raise ConfigError(document.fault(path, f"{doing} {said}".strip()).line) from error
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) not in OURS]
        own = [frame for frame in frames if not frame.filename.startswith(ELSEWHERE)]
        at = f"{short_path(own[-1].filename)}:{own[-1].lineno}" if own else target and where_defined(target)
        kind = "" if isinstance(error, (TypeError, ValueError)) else f"{type(error).__name__}: "
        said = str(error).strip()
        if IN_WORKER in said:
            kind, said = "", said.splitlines()[-1]
        text = f"{doing}: {kind}{' '.join(said.split())}".removeprefix(": ") + (f" ({at})" if at else "")
        raise ConfigError(document.fault(path, text).line) from error


def several(module: Any) -> tuple[Any, ...]:
    """One module, or several in order."""
    return tuple(module) if isinstance(module, (tuple, list)) else (module,)
