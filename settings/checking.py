"""Every fault of a config at once, before anything is built."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from settings import sections
from settings.building import NOT_A_CONFIGS, is_called_later, item_annotation, takes_object
from settings.document import Document, Fault, KeyPath, value_at
from settings.kinds import Kind, is_factory, kind_of, kind_of_annotation
from settings.lookup import find
from settings.names import closest, suggestion
from settings.packages import not_given
from settings.references import is_late, reads_environment
from settings.signatures import arguments_of, where_defined
from settings.types import faults_of_fields, is_spec, misfit
from utils.errors import ConfigError
from utils.monitor import Monitor
from utils.samplers import left_to_loader

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
    checker.rates_of_groups()
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

    # -- the form ---------------------------------------------------------------------------------------------------

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
                closest(other, [key, "extends"]) for other in self.tree if other not in sections.ROOT
            ):
                self.fault((), f"the section {key!r} is missing")
        name = self.tree.get("name")
        if isinstance(name, str) and (problem := _no_folder(name)):
            self.fault(("name",), problem)
        if "extends" in self.tree:
            self.fault(("extends",), "only a config file can extend others")
        if self.tree.get("config_version", 1) != 1:
            self.fault(("config_version",), "this version reads config_version 1")

    def unknown(self, path: KeyPath, known: Any) -> None:
        """A key near a known name is a slip; any other is the project's own and kept."""
        folded = [name for name in known if name.lower() == str(path[-1]).lower()]
        if match := folded[0] if folded else closest(str(path[-1]), known):
            self.fault(path, f"unknown; did you mean {match!r}?")

    # -- what is looked up and built --------------------------------------------------------------------------------

    def named(self, path: KeyPath, section: str) -> None:
        """A section of the form {"type": ..., "args": {...}}."""
        node = value_at(self.tree, path)
        if not isinstance(node, dict):
            return
        extra = sections.KEYS.get(str(path[0]), {})
        for key in node:
            if key not in ("type", "args", *extra):
                self.unknown((*path, key), ("type", "args", *extra))
        for key, kind in extra.items():
            if key in node and (text := misfit(node[key], kind)):
                self.fault((*path, key), text)
        if "type" not in node:
            if not any(closest(key, ["type"]) for key in node):
                self.fault(path, "has no 'type'")
        elif not isinstance(node.get("args", {}), dict):
            self.fault((*path, "args"), "is not an object in braces {...}")
        else:
            self.target(path, (*path, "type"), node, section)

    def callables(self, section: str) -> None:
        node = self.tree[section]
        if section in self.faulty:
            return
        for index, item in enumerate(node if isinstance(node, list) else [node]):
            path: KeyPath = (section, index) if isinstance(node, list) else (section,)
            if isinstance(item, dict):
                self.named(path, section)
            elif isinstance(item, str):
                self.target(path, path, {"type": item}, section)
            else:
                self.fault(path, 'write a name, or {"type": NAME, "args": {...}}')
        if isinstance(node, list):
            self.doubled(section, node)

    def doubled(self, section: str, node: list[Any]) -> None:
        """Two values of the log under one name."""
        parts = sections.metric_names(sections.loss_parts(self.tree.get("loss"))) if section == "metrics" else []
        seen = {"loss": "the loss"} | {name: f"loss.{index}" for index, name in enumerate(parts)}
        for index, name in enumerate(sections.metric_names(node)):
            if name in seen:
                text = f'{name!r} is the name of {seen[name]} too; give it a "name" of its own beside its type'
                self.fault((section, index), text)
            seen[name] = f"{section}.{index}"

    def target(self, path: KeyPath, path_of_name: KeyPath, node: dict[str, Any], section: str) -> None:
        kind = kind_of(section)
        if is_late(node["type"]) or (found := self.find(path_of_name, node["type"], section, kind)) is None:
            return
        beside = node.keys() - {"type", "args", *sections.KEYS.get(str(path[0]), ())}
        for key in beside & arguments_of(found).annotations.keys():
            self.fault((*path, key), f'belongs in "args" ({where_defined(found)})')
        if section == "metrics" and (problem := _no_metric(found)):
            self.fault(path_of_name, f"{problem} ({where_defined(found)})")
        given = sections.GIVEN.get(section, 0)
        if given == 2 and (inspect.isclass(found) or is_factory(found, kind)):
            given = 0  # output and target go to the object, not to its constructor
        self.arguments((*path, "args"), found, node.get("args", {}), given, section)
        if path == ("optimizer",):
            self.groups(found, node.get("groups", []))

    def groups(self, optimizer: Any, groups: Any) -> None:
        """What groups of parameters say: params, and arguments of the optimizer."""
        if "optimizer" in self.faulty:
            return
        for index, group in enumerate(groups):
            path: KeyPath = ("optimizer", "groups", index)
            if "params" not in group:
                self.fault(path, "needs 'params', a pattern of names or a list of them")
            elif text := misfit(group["params"], str | list[str]):
                self.fault((*path, "params"), text)
            values = {key: value for key, value in group.items() if key != "params"}
            if known := sections.KEYS_OF_GROUPS.get(optimizer.__name__):
                for key in values.keys() - set(known):
                    text = f"a group of {optimizer.__name__} takes no {key!r}; {suggestion(key, ('params', *known))}"
                    self.fault((*path, key), text)
            else:
                self.arguments(path, optimizer, values, sections.GIVEN["optimizer"], "optimizer", later=True)

    def rates_of_groups(self) -> None:
        """A schedule with rates of its own overwrites those of groups."""
        optimizer, scheduler = self.tree.get("optimizer"), self.tree.get("lr_scheduler")
        if {"optimizer", "lr_scheduler"} & self.faulty or not isinstance(scheduler, dict):
            return
        if not isinstance(optimizer, dict) or "lr_scheduler" not in self.modules or is_late(scheduler["type"]):
            return
        found = find(scheduler["type"], self.modules["lr_scheduler"], kind_of("lr_scheduler"))
        for index, group in enumerate(optimizer.get("groups", [])):
            if "lr" in group and "max_lr" in arguments_of(found).annotations:
                text = (
                    f"{found.__name__} sets the rate itself; change lr_scheduler.args (max_lr, one or a list) instead"
                )
                self.fault(("optimizer", "groups", index, "lr"), text)

    def find(self, path: KeyPath, name: Any, section: str, kind: Kind) -> Any:
        try:
            return find(name, self.modules[section], kind)
        except LookupError as error:
            self.fault(path, str(error))
            return None

    def arguments(
        self,
        path: KeyPath,
        target: Any,
        values: dict[str, Any],
        given: int,
        section: str,
        later: bool = False,
        spared: tuple[str, ...] = (),
    ) -> None:
        """What a config gives to a target behind `given` leading arguments.

        :param later: it is called only later, with more
        :param spared: arguments that it may leave out
        """
        taken = arguments_of(target, given)
        name, before = target.__name__, len(self.faults)
        for key, value in values.items():
            if key in not_given(target):
                self.fault((*path, key), NOT_A_CONFIGS)
            elif (not_given(target) or key in getattr(target, "told_to_server", ())) and reads_environment(
                self.document, (*path, key)
            ):
                self.fault((*path, key), "takes no environment variable: what stands here may go to a server")
            elif key in taken.annotations:
                if value != "auto" and not (key in taken.defaults and _equal(taken.defaults[key], value)):
                    self.value((*path, key), value, taken.annotations[key], target, section)
            elif not taken.open:
                text = f"{name} takes no {key!r}; {suggestion(key, taken.annotations)} ({where_defined(target)})"
                self.fault((*path, key), text)
            else:
                self.value((*path, key), value, inspect.Parameter.empty, target, section)
        for key in () if later else taken.required:
            if key not in (*values, *spared) and not any(
                closest(other, [key]) for other in values if other not in taken.annotations
            ):
                self.fault(path, f"{name} needs the argument {key!r} ({where_defined(target)})")
        if len(self.faults) == before and hasattr(target, "problems_of_arguments"):
            known = {key: value for key, value in values.items() if not is_late(value)}
            for key, text in target.problems_of_arguments(known):
                self.fault((*path, key), f"{text} ({where_defined(target)})")

    def value(self, path: KeyPath, value: Any, annotation: Any, target: Any, section: str) -> None:
        """One value inside `args`, for an argument with this annotation of the target."""
        if is_late(value):
            return
        before = len(self.faults)
        if is_spec(value) and takes_object(annotation):
            self.nested(path, value, annotation, section)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.inside((*path, index), item, item_annotation(annotation), target, section)
        elif isinstance(value, dict):
            if "type" in value and takes_object(annotation) and _fields_of(annotation) is None:
                for key in value:
                    self.unknown((*path, key), ("type", "args"))
            for key, item in value.items():
                self.inside((*path, key), item, inspect.Parameter.empty, target, section)
            kind = _fields_of(annotation)
            for field, problem in faults_of_fields(value, kind) if kind is not None else ():
                self.fault(path if field is None else (*path, field), f"{problem} ({where_defined(kind)})")
        if len(self.faults) == before and (text := misfit(value, annotation)):
            self.fault(path, f"{text} ({where_defined(target)})")

    def inside(self, path: KeyPath, value: Any, annotation: Any, target: Any, section: str) -> None:
        """A value in a list or object: what is wrong with a plain one is told of the whole."""
        if isinstance(value, (dict, list)):
            self.value(path, value, annotation, target, section)

    def nested(self, path: KeyPath, spec: dict[str, Any], annotation: Any, section: str) -> None:
        """{"type": ..., "args": ...} inside `args`."""
        kind = kind_of_annotation(annotation)
        if not isinstance(spec.get("args", {}), dict):
            return self.fault((*path, "args"), "is not an object in braces {...}")
        found = self.find((*path, "type"), spec["type"], section, kind)
        if found is None:
            return None
        is_schedule = inspect.isclass(found) and section == "lr_scheduler"
        later = not inspect.isclass(found) and not is_factory(found, kind) and is_called_later(found)
        given = 1 if is_schedule and issubclass(found, kind_of(section).bases) else 0
        spared = left_to_loader(found)
        return self.arguments((*path, "args"), found, spec.get("args", {}), given, section, later, spared)

    # -- the trainer ------------------------------------------------------------------------------------------------

    def trainer(self) -> None:
        values = self.tree["trainer"]
        trainer = self.find(("trainer", "type"), values.get("type", "Trainer"), "trainer", kind_of("trainer"))
        if trainer is None:
            return
        if not hasattr(trainer, "Options"):
            return self.fault(("trainer", "type"), f"{values['type']} is no trainer")
        if not isinstance(inspect.getattr_static(trainer, "read_batch", None), (staticmethod, NoneType)):
            self.fault(
                ("trainer", "type"), f"read_batch of {trainer.__name__} must be a @staticmethod; test.py calls it too"
            )
        for name, like in getattr(trainer, "sections", {}).items():
            self.of_trainer(trainer, name, like)
        for section in ("optimizer", *getattr(trainer, "sections", ())):
            self.optimizer_of_trainer(trainer, section)
        before, options = len(self.faults), trainer.Options
        hints = get_type_hints(options)
        known = {field.name: hints[field.name] for field in fields(options)}
        for key in values.keys() & known.keys():
            if text := misfit(values[key], known[key]):
                self.fault(("trainer", key), f"{text} ({where_defined(options)})")
        for key in values.keys() - known.keys() - {"type"}:
            self.unknown(("trainer", key), known)
        for field in fields(options):
            if field.default is MISSING and field.default_factory is MISSING and field.name not in values:
                self.fault(("trainer",), f"needs the option {field.name!r} ({where_defined(options)})")
        if len(self.faults) == before:
            for key, text in options.of(values).problems():
                self.fault(("trainer", key) if key in values else ("trainer",), text)
        if "metrics" not in self.faulty and isinstance(values.get("monitor", "off"), str):
            log_names = getattr(trainer, "log_names", None)  # a loop of one's own may have none
            self.monitors(log_names(self.tree) if log_names else None)

    def of_trainer(self, trainer: Any, name: str, like: str) -> None:
        """A section that a trainer reads itself, checked as another one is."""
        if name not in self.tree:
            self.fault(("trainer",), f"{trainer.__name__} needs the section {name!r}")
        elif text := misfit(self.tree[name], dict):
            self.fault((name,), text)
        elif like in self.modules:
            self.named((name,), like)

    def optimizer_of_trainer(self, trainer: Any, section: str) -> None:
        """A trainer must do what its optimizer asks of it."""
        like = getattr(trainer, "sections", {}).get(section, section)
        node = self.tree.get(section)
        if like != "optimizer" or section in self.faulty or not isinstance(node, dict) or like not in self.modules:
            return
        if is_late(node["type"]):
            return
        found = find(node["type"], self.modules[like], kind_of(like))
        if not hasattr(found, "step"):  # a function that builds one
            return
        closure = inspect.signature(found.step).parameters.get("closure")
        asks = closure is not None and closure.default is closure.empty
        averages, switches = hasattr(found, "eval"), getattr(trainer, "switches_optimizer", False)
        if asks and not getattr(trainer, "gives_closure", False):
            why, fitting = "asks for the loss several times a step", "closure.ClosureTrainer"
        elif averages and not switches:
            why, fitting = "keeps an average to be judged", "schedule_free.ScheduleFreeTrainer"
        elif switches and not averages:
            why, fitting = "keeps no average to be judged", "Trainer"
        else:
            return
        if section == "optimizer":
            self.fault(("trainer",), f'{found.__name__} {why}: write "type": "{fitting}"')
        else:
            self.fault((section, "type"), f"{found.__name__} {why}: {trainer.__name__} cannot train with it")

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
            if names is not None and key.partition("/")[0] not in names:  # "f1/3": of a class
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


def _no_folder(name: str) -> str | None:
    """Why a name cannot be that of a folder, on any system."""
    if name.strip() in ("", ".", "..") or set(name) & set('/\\:*?"<>|') or not name.isprintable():
        return f"{name!r} cannot be the name of a folder"
    if len(name.encode("utf-8", "replace")) > 150:
        return "too long for the name of a folder (150 bytes)"
    return None


def _no_metric(found: Any) -> str | None:
    """Why a class can be no metric."""
    if not inspect.isclass(found) or hasattr(found, "forward"):
        return None
    missing = [name for name in ("update", "compute", "reset") if not callable(getattr(found, name, None))]
    if not missing or (len(missing) == 3 and "__call__" in vars(found)):
        return None
    return (
        f"{found.__name__} has no {' and no '.join(missing)}; a metric has update(output, target), compute(), reset()"
    )


def _fields_of(annotation: Any) -> Any:
    """The dataclass that an annotation asks for, if it is one, or one or null."""
    parts = [part for part in (get_args(annotation) or (annotation,)) if part is not NoneType]
    return parts[0] if len(parts) == 1 and is_dataclass(parts[0]) and get_origin(annotation) is not list else None


def _equal(default: Any, value: Any) -> bool:
    try:
        return bool(default == value) and type(default) is type(value)
    except Exception:  # of an array, or of a class with an opinion of its own
        return False
