"""From a name in a config to the class or function it stands for."""

import importlib
import inspect
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from settings.kinds import Kind, is_functional_loss, takes
from settings.names import suggestion
from settings.packages import functions, home, is_closed, packages, walk
from settings.types import shown

LONGEST = 200  # letters of a name


def find(name: Any, modules: Sequence[Any], kind: Kind | None = None) -> Any:
    """What `name` stands for; raises LookupError if nothing that may stand there has this name.

    "Net" is looked up in the modules, "my_file.Net" in a file beside them, "torch.nn.Linear" in a package that
    configs may name.

    :param kind: what the place takes; None: any public class of the modules, and their own functions, which is
        for names that the project's code, not a config, has the say of
    """
    if not isinstance(name, str) or len(name) > LONGEST or not all(part.isidentifier() for part in name.split(".")):
        raise LookupError(f"{shown(name)} is no name of a class or function")
    if "." in name:
        return _find_dotted(name, modules, kind)
    refused = []
    for module in modules:
        found = None if name.startswith("_") else getattr(module, name, None)
        if found is not None and not isinstance(found, ModuleType):
            if _may_stand(found, module, kind):
                return found
            refused.append((f"{_name(module)}.{name}", found))
    if refused and kind is not None:
        raise LookupError(_refusal(*refused[0], kind))
    where = " or ".join(_name(module) for module in modules)
    known = [item for module in modules for item in names_in(module, kind)]
    raise LookupError(f"no {name!r} in {where}; {suggestion(name, known)}")


def names_in(module: Any, kind: Kind | None = None) -> list[str]:
    """The names of a module that may stand where `kind` is asked for, without what it only imports."""
    found = {name: getattr(module, name, None) for name in dir(module) if not name.startswith("_")}
    bases = () if kind is None else kind.bases
    return [
        name
        for name, item in found.items()
        if _is_own(item, module)
        and _may_stand(item, module, kind)
        and not inspect.isabstract(item)
        and item not in bases
    ]


def is_of_project(found: Any) -> bool:
    """Whether the project itself defines a class or function, not a package that configs may name."""
    return home(found).split(".")[0] not in packages()


def _find_dotted(name: str, modules: Sequence[Any], kind: Kind | None) -> Any:
    found = _in_folder(name, modules, kind)
    own = found is not None
    if not own:
        found = walk(name)
    if kind is not None and name not in functions() and not takes(kind, found, own):
        raise LookupError(_refusal(name, found, kind))
    return found


def _in_folder(name: str, modules: Sequence[Any], kind: Kind | None) -> Any:
    """What "my_file.Net" stands for in a file of the modules' folder; None if there is no such file."""
    *path, last = name.split(".")
    for folder in dict.fromkeys(_folder(module) for module in modules):
        parts = path[1:] if path[0] == folder else path
        file = ".".join((folder, *parts)) if folder else ""
        if not folder or any(part.startswith("_") for part in (*parts, last)) or not _exists(file):
            continue
        module = importlib.import_module(file)
        found = getattr(module, last, None)
        if found is None or not _is_own(found, module):
            raise LookupError(f"no {last!r} in {file}; {suggestion(last, names_in(module, kind))}")
        return found
    return None


def _folder(module: Any) -> str:
    """The project's folder that a module lies in; empty where it lies in none, or in a package."""
    name = module.__name__ if isinstance(module, ModuleType) else ""
    folder = name if hasattr(module, "__path__") else name.rpartition(".")[0]
    return "" if folder.split(".")[0] in packages() else folder


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a file where a folder is asked for
        return False


def _may_stand(found: Any, module: Any, kind: Kind | None) -> bool:
    own = _is_own(found, module)
    if kind is None:
        return inspect.isclass(found) or (callable(found) and own)
    if not (inspect.isclass(found) or own) or is_closed(home(found)):  # a function that is imported: anything at all
        return False
    return takes(kind, found, own and is_of_project(found))


def _refusal(name: str, found: Any, kind: Kind) -> str:
    if inspect.isroutine(found) and not is_functional_loss(found):
        bases = ", ".join(base.__name__ for base in kind.bases[:1])
        return f"{name} says not that it builds {kind.name}; annotate what it returns: -> {bases}"
    return f"{name} is not {kind.name}"


def _is_own(found: Any, module: Any) -> bool:
    """Whether something was made in the module's own package, not imported into it from elsewhere."""
    package = module.__name__ if isinstance(module, ModuleType) else module.__module__
    return home(found).split(".")[0] == package.split(".")[0]


def _name(module: Any) -> str:
    return module.__name__ if isinstance(module, ModuleType) else str(module)
