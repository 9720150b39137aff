"""From a name in a config to the class or function it stands for, and what that takes."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, get_type_hints

from settings.names import suggestion


def find(name: Any, modules: Sequence[Any], kind: Any = None) -> Any:
    """The public class or function `name` in the first module that has one of that kind; raises LookupError.

    A function must be the module's own, not one that it imports: else a config could call whatever is imported there.

    :param kind: what a class must derive from; object: it must be the module's own; None: any (the caller trusts it)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise LookupError(f"{name!r} is no name of a class or function; write the bare name")
    for module in modules:
        if _may_be_named(module, name, kind):
            return getattr(module, name)
    where = " or ".join(_name(module) for module in modules)
    known = [item for module in modules for item in names_in(module, kind)]
    raise LookupError(f"no {name!r} in {where}; {suggestion(name, known)}")


def names_in(module: Any, kind: Any = None) -> list[str]:
    """The names that a config may give for something of that kind in a module, without what it only imports."""
    return [
        name for name in dir(module) if _may_be_named(module, name, kind) and _is_own(getattr(module, name), module)
    ]


@dataclass(frozen=True)
class Arguments:
    """What a class or function takes by name."""

    annotations: dict[str, Any]  # by name; inspect.Parameter.empty where there is none
    required: tuple[str, ...]
    open: bool  # takes any other keyword too


def arguments_of(target: Any, given: int = 0) -> Arguments:
    """The arguments that a config may give to `target`, behind `given` leading ones that the code passes.

    Where a class passes `**kwargs` on, the arguments of the class it derives from are taken too.
    """
    annotations: dict[str, Any] = {}
    required: list[str] = []
    takes_more = True
    for index, function in enumerate(_signatures(target)):
        hints = _hints(function)
        takes_more = False
        for position, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_more = True
            elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                is_given = index == 0 and position < given + inspect.isclass(target)
                if is_given or parameter.name == "self":
                    continue
                annotations.setdefault(parameter.name, hints.get(parameter.name, parameter.annotation))
                if index == 0 and parameter.default is parameter.empty:
                    required.append(parameter.name)
        if not takes_more:
            break
    return Arguments(annotations, tuple(required), takes_more)


def where_defined(target: Any) -> str:
    """The file and line of the project's own classes, the dotted name of others."""
    module = inspect.getmodule(target)
    name = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', target)}"
    try:
        file = inspect.getsourcefile(target)
        if file and module is not None and "site-packages" not in file and "dist-packages" not in file:
            from os.path import relpath

            return f"{relpath(file)}:{inspect.getsourcelines(target)[1]}"
    except (TypeError, OSError, ValueError):
        pass
    return name


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


def _may_be_named(module: Any, name: str, kind: Any) -> bool:
    found = None if name.startswith("_") else getattr(module, name, None)
    if inspect.isclass(found):
        return kind is None or (issubclass(found, kind) and (kind is not object or _is_own(found, module)))
    if _name(module) == "torch.nn.functional":  # its losses, which say so by what they take
        return inspect.isfunction(found) and "target" in inspect.signature(found).parameters
    return callable(found) and _is_own(found, module)


def _is_own(found: Any, module: Any) -> bool:
    """Whether something was made in the module's own package, not imported into it from elsewhere."""
    package = module.__name__ if isinstance(module, ModuleType) else module.__module__
    return str(getattr(found, "__module__", "") or "").split(".")[0] == package.split(".")[0]


def _name(module: Any) -> str:
    return module.__name__ if isinstance(module, ModuleType) else str(module)
