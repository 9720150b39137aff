"""What a class or function takes, by name and annotation: the schema of its arguments."""

import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any, get_type_hints


@dataclass(frozen=True)
class Arguments:
    """What a class or function takes by name."""

    annotations: dict[str, Any]  # by name; inspect.Parameter.empty where there is none
    defaults: dict[str, Any]  # of those that have one
    own: tuple[str, ...]  # those that it takes itself, not only passes on
    required: tuple[str, ...]
    open: bool  # takes any other keyword too


def arguments_of(target: Any, given: int = 0) -> Arguments:
    """The arguments that a config may give to `target`, behind `given` leading ones that the code passes.

    Where a class passes `**kwargs` on, the arguments of the class it derives from are taken too.
    """
    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    required: list[str] = []
    own: list[str] = []
    takes_more = True
    for index, function in enumerate(_signatures(target)):
        hints = _hints(function)
        takes_more = False
        for position, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_more = True
            elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                is_given = index == 0 and position < given + inspect.isclass(target)
                if is_given or parameter.name == "self" or parameter.name in annotations:
                    continue
                own += [parameter.name] if index == 0 else []
                annotations[parameter.name] = hints.get(parameter.name, parameter.annotation)
                if parameter.default is not parameter.empty:
                    defaults[parameter.name] = parameter.default
                elif index == 0:
                    required.append(parameter.name)
        if not takes_more:
            break
    return Arguments(annotations, defaults, tuple(own), tuple(required), takes_more)


def where_defined(target: Any) -> str:
    """The file and line of the project's own classes, the shortest dotted name of others."""
    module = inspect.getmodule(target)
    try:
        file = inspect.getsourcefile(target)
        if file and module is not None and "site-packages" not in file and "dist-packages" not in file:
            return f"{short_path(file)}:{inspect.getsourcelines(target)[1]}"
    except (TypeError, OSError, ValueError):
        pass
    return public_name(target)


def short_path(file: str) -> str:
    """A file as people call it: below the folder they stand in, or below that of the installed packages."""
    for packages in ("site-packages", "dist-packages"):
        if packages in file:
            return file.rpartition(f"{packages}{os.sep}")[2]
    try:
        return os.path.relpath(file)
    except ValueError:  # on another drive
        return file


def public_name(target: Any) -> str:
    """The shortest dotted name that leads to a class or function: torch.optim.AdamW."""
    home, name = str(getattr(target, "__module__", "")), getattr(target, "__qualname__", str(target))
    parts = home.split(".")
    for count in range(1, len(parts)):
        around = ".".join(parts[:count])
        if getattr(sys.modules.get(around), name, None) is target:
            return f"{around}.{name}"
    return f"{home}.{name}"


def _signatures(target: Any) -> list[Any]:
    """The functions whose parameters count, the nearest first."""
    if not inspect.isclass(target):
        return [target] if _has_signature(target) else []
    inits = [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls) and cls is not object]
    return [init for init in inits if _has_signature(init)]


def _has_signature(function: Any) -> bool:
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # an annotation that only a type checker can resolve
        return {}
