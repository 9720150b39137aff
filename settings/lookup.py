"""From a name in a config to the class or function it stands for."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from settings.kinds import Kind, takes
from settings.names import suggestion
from settings.packages import functions, home, is_closed, packages, walk
from settings.signatures import short_path
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
    if there := _elsewhere(name, modules):
        raise LookupError(f"no {name!r} in {where}; did you mean {' or '.join(map(repr, there))}?")
    known = [item for module in modules for item in names_in(module, kind)]
    raise LookupError(f"no {name!r} in {where}; {suggestion(name, known)}")


def names_in(module: Any, kind: Kind | None = None) -> list[str]:
    """The names of a module that may stand where `kind` is asked for, without what it only imports."""
    found = {name: getattr(module, name, None) for name in dir(module) if not name.startswith("_")}
    bases = () if kind is None else kind.bases
    return [
        name
        for name, item in found.items()
        if (_is_own(item, module) or (inspect.isclass(item) and is_of_project(item)))
        and _may_stand(item, module, kind)
        and not inspect.isabstract(item)
        and item not in bases
    ]


def names_beside(modules: Sequence[Any], kind: Kind) -> list[str]:
    """The names, as "my_file.Net", of what derives from the kind in the other files of the modules' folders."""
    found = []
    for folder in dict.fromkeys(_folder(module) for module in modules if _folder(module)):
        for stem in sorted(_files([module for module in modules if _folder(module) == folder])):
            name = f"{folder}.{stem}"
            if name in {_name(module) for module in modules}:
                continue
            try:
                module = _import(name)
            except LookupError:
                continue
            items = {item: getattr(module, item) for item in names_in(module, kind)}
            own = [item for item, value in items.items() if home(value) == name and inspect.isclass(value)]
            found += [f"{stem}.{item}" for item in own if issubclass(items[item], kind.bases)]
    return found


def is_of_project(found: Any) -> bool:
    """Whether the project itself defines a class or function, not a package that configs may name."""
    return home(found).split(".")[0] not in packages()


def _find_dotted(name: str, modules: Sequence[Any], kind: Kind | None) -> Any:
    found = _in_folder(name, modules, kind)
    own = found is not None
    if not own:
        first, files = name.split(".")[0], _files(modules)
        near = get_close_matches(first, files, n=1, cutoff=0.75)
        if near and first not in {*files, *packages(), *sys.stdlib_module_names}:
            raise LookupError(f"no file {first}.py beside {_name(modules[0])}; did you mean {near[0]!r}?")
        found = walk(name)
    if kind is not None and name not in functions() and not takes(kind, found, own):
        raise LookupError(_refusal(name, found, kind))
    return found


def _in_folder(name: str, modules: Sequence[Any], kind: Kind | None) -> Any:
    """What "my_file.Net" stands for in a file of the modules' folder; None if there is no such file."""
    *path, last = name.split(".")
    for folder in dict.fromkeys(_folder(module) for module in modules):
        if not folder or any(part.startswith("_") for part in (*path, last)):
            continue
        files = [".".join((folder, *path)), *([".".join(path)] if path[0] == folder and len(path) > 1 else [])]
        file = next(filter(_exists, files), None)
        if file is None:
            continue
        module = _import(file)
        found = getattr(module, last, None)
        if found is None or not _is_own(found, module):
            raise LookupError(f"no {last!r} in {file}; {suggestion(last, names_in(module, kind))}")
        return found
    return None


def _import(file: str) -> Any:
    try:
        return importlib.import_module(file)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        at = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (frame.filename, frame.lineno)
        raise LookupError(f"{short_path(str(at[0]))}:{at[1]}: {type(error).__name__}: {error}") from None


def _files(modules: Sequence[Any]) -> dict[str, Path]:
    """The project's own files beside the modules, by the names that a config gives them."""
    folders = [Path(found) for module in modules if _folder(module) for found in _paths_of(_folder(module))]
    return {file.stem: file for folder in folders for file in folder.glob("*.py") if not file.stem.startswith("_")}


def _paths_of(folder: str) -> list[str]:
    return list(getattr(sys.modules.get(folder) or importlib.import_module(folder), "__path__", ()))


def _elsewhere(name: str, modules: Sequence[Any]) -> list[str]:
    """Where else a class or function of that name stands in the project's own files."""
    definition = re.compile(rf"^(class|def) {re.escape(name)}\b", re.MULTILINE)
    files = _files(modules).items()
    return [f"{stem}.{name}" for stem, file in files if definition.search(file.read_text("utf-8", errors="replace"))]


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
    if inspect.isroutine(found) and is_of_project(found):
        bases = ", ".join(base.__name__ for base in kind.bases[:1])
        return f"{name} says not that it builds {kind.name}; annotate what it returns: -> {bases}"
    return f"{name} is not {kind.name}"


def _is_own(found: Any, module: Any) -> bool:
    """Whether something was made in the module's own package, not imported into it from elsewhere."""
    package = module.__name__ if isinstance(module, ModuleType) else module.__module__
    return home(found).split(".")[0] == package.split(".")[0]


def _name(module: Any) -> str:
    return module.__name__ if isinstance(module, ModuleType) else str(module)
