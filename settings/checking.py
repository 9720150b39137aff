"""Every fault of a config at once, before anything is built."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, get_type_hints

from settings import sections
from settings.building import value_at
from settings.document import Document, Fault, KeyPath
from settings.lookup import arguments_of, find, where_defined
from settings.names import closest, suggestion
from settings.types import misfit
from utils.errors import ConfigError
from utils.monitor import Monitor

Modules = Sequence[Any]


def check(document: Document, modules: dict[str, Modules]) -> None:
    """Raises ConfigError with one line a fault, in the order of the file.

    :param modules: for each section, where its names are looked up
    """
    checker = _Checker(document, modules)
    checker.root()
    for section in sections.BUILT:
        if section in document.tree and section in modules:
            checker.named((section,), section)
    for section in sections.NAMED:
        if section in document.tree and section in modules:
            checker.callables(section)
    if isinstance(document.tree.get("trainer"), dict) and "trainer" in modules:
        checker.trainer()
    if checker.faults:
        raise ConfigError([fault.line for fault in sorted(checker.faults, key=lambda fault: fault.rank)])


class _Checker:
    def __init__(self, document: Document, modules: dict[str, Modules]) -> None:
        self.document, self.tree, self.modules = document, document.tree, modules
        self.faults: list[Fault] = []
        self.faulty: set[str | int] = set()  # the sections with a fault, from which others would only follow

    def fault(self, path: KeyPath, text: str) -> None:
        self.faults.append(self.document.fault(path, text))
        self.faulty.update(path[:1])

    def root(self) -> None:
        for key in self.tree:
            if key not in sections.ROOT:
                self.unknown((key,), sections.ROOT)
        for key, kind in sections.ROOT.items():
            if key in self.tree and (text := misfit(self.tree[key], kind)):
                self.fault((key,), text)
        if isinstance(self.tree.get("n_gpu"), int) and self.tree["n_gpu"] < 0:
            self.fault(("n_gpu",), "must be 0 (the CPU) or more")
        for key in sections.REQUIRED:
            if key not in self.tree and not any(
                closest(other, [key]) for other in self.tree if other not in sections.ROOT
            ):
                self.fault((), f"the section {key!r} is missing")
        name = self.tree.get("name")
        if isinstance(name, str) and (name.strip() in ("", ".", "..") or "/" in name or "\\" in name):
            self.fault(("name",), f"{name!r} cannot be the name of a folder")
        if "extends" in self.tree:
            self.fault(("extends",), "configs cannot extend others yet; write the values here")
        if self.tree.get("config_version", 1) != 1:
            self.fault(("config_version",), "this version reads config_version 1")

    def unknown(self, path: KeyPath, known: Any) -> None:
        """A key near a known name is a slip; any other is the project's own and kept."""
        if match := closest(str(path[-1]), known):
            self.fault(path, f"unknown; did you mean {match!r}?")

    def named(self, path: KeyPath, section: str) -> None:
        """A section of the form {"type": ..., "args": {...}}."""
        node = value_at(self.tree, path)
        if not isinstance(node, dict):
            return
        extra = sections.KEYS.get(section, {})
        for key in node:
            if key not in ("type", "args", *extra):
                self.unknown((*path, key), ("type", "args", *extra))
        for key, kind in extra.items():
            if key in node and (text := misfit(node[key], kind)):
                self.fault((*path, key), text)
        if "type" not in node:
            self.fault(path, "has no 'type'")
        elif not isinstance(node.get("args", {}), dict):
            self.fault((*path, "args"), "is not an object in braces {...}")
        elif (target := self.find((*path, "type"), node["type"], section)) is not None:
            self.arguments((*path, "args"), target, node.get("args", {}), sections.GIVEN.get(section, 0))

    def find(self, path: KeyPath, name: Any, section: str) -> Any:
        try:
            return find(name, self.modules[section], sections.kind_of(section))
        except LookupError as error:
            self.fault(path, str(error))
            return None

    def arguments(self, path: KeyPath, target: Any, values: dict[str, Any], given: int) -> None:
        if isinstance(target, type) and given == 2:
            given = 0  # a loss or metric class: output and target go to the object, not to its constructor
        taken = arguments_of(target, given)
        name = target.__name__
        for key, value in values.items():
            if key not in taken.annotations:
                if not taken.open:
                    self.fault(
                        (*path, key),
                        f"{name} takes no {key!r}; {suggestion(key, taken.annotations)} ({where_defined(target)})",
                    )
            elif (
                value != "auto"
                and (text := misfit(value, taken.annotations[key]))
                and not _is_default(target, key, value)
            ):
                self.fault((*path, key), f"{text} ({where_defined(target)})")
        for key in taken.required:
            if key not in values and not any(
                closest(other, [key]) for other in values if other not in taken.annotations
            ):
                self.fault(path, f"{name} needs the argument {key!r} ({where_defined(target)})")

    def callables(self, section: str) -> None:
        node = self.tree[section]
        if section in self.faulty:
            return
        for index, item in enumerate(node if isinstance(node, list) else [node]):
            path: KeyPath = (section, index) if isinstance(node, list) else (section,)
            if isinstance(item, dict):
                self.named(path, section)
            elif not isinstance(item, str):
                self.fault(path, 'write a name, or {"type": NAME, "args": {...}}')
            elif (target := self.find(path, item, section)) is not None:
                self.arguments(path, target, {}, sections.GIVEN[section])

    def trainer(self) -> None:
        values = self.tree["trainer"]
        trainer = self.find(("trainer", "type"), values.get("type", "Trainer"), "trainer")
        if trainer is None:
            return
        if not hasattr(trainer, "Options"):
            return self.fault(("trainer", "type"), f"{values['type']} is no trainer")
        if not isinstance(inspect.getattr_static(trainer, "read_batch", None), (staticmethod, NoneType)):
            self.fault(
                ("trainer", "type"), f"read_batch of {trainer.__name__} must be a @staticmethod; test.py calls it too"
            )
        before, options = len(self.faults), trainer.Options
        hints = get_type_hints(options)
        known = {field.name: hints[field.name] for field in fields(options)}
        for key, value in values.items():
            if key in known and (text := misfit(value, known[key])):
                self.fault(("trainer", key), text)
            elif key not in known and key != "type":
                self.unknown(("trainer", key), known)
        for field in fields(options):
            if field.default is MISSING and field.default_factory is MISSING and field.name not in values:
                self.fault(("trainer",), f"needs the option {field.name!r}")
        if len(self.faults) == before:
            for key, text in options.of(values).problems():
                self.fault(("trainer", key) if key in values else ("trainer",), text)
            if "metrics" in self.faulty:
                return
            log_names = getattr(trainer, "log_names", None)  # a loop of one's own may have none
            self.monitors(log_names(self.tree) if log_names else None)

    def monitors(self, names: Sequence[str] | None) -> None:
        """The values that epochs are judged by must be ones that the log will have; None: only running can tell."""
        rule = self.tree["trainer"].get("monitor", "off")
        try:
            judged = {("trainer", "monitor"): Monitor(rule).key}
        except ValueError as error:
            return self.fault(("trainer", "monitor"), str(error))
        if rule == "off":
            judged = {}
        scheduler = self.tree.get("lr_scheduler")
        if isinstance(scheduler, dict) and isinstance(scheduler.get("monitor"), str):
            judged["lr_scheduler", "monitor"] = scheduler["monitor"]
        for path, key in judged.items():
            if names is not None and key not in names:
                self.fault(path, f"the log will have no {key!r}; {suggestion(key, names)}")
        return None


def may_be_added(options: Any) -> Callable[[KeyPath], bool]:
    """Whether `-s` may set a key that the config leaves out: a known section or option, or an argument."""
    known = {field.name for field in fields(options)}

    def check_path(path: KeyPath) -> bool:
        if len(path) == 1:
            return path[0] in sections.ROOT
        if path[0] == "trainer":
            return len(path) == 2 and path[1] in {"type", *known}
        return (len(path) == 2 and (path[1] in sections.KEYS.get(str(path[0]), ()))) or (
            len(path) == 3 and path[1] == "args" and path[0] in sections.ROOT
        )

    return check_path


def _is_default(target: Any, key: str, value: Any) -> bool:
    try:
        return bool(inspect.signature(target).parameters[key].default == value)
    except (TypeError, ValueError, KeyError):
        return False
