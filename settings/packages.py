"""The packages whose classes a config may name, and the parts of them that stay closed.

A config may come from a stranger: a dotted name is walked attribute by attribute, only through modules of its own
package, and what it ends at must have been defined there.
"""

import importlib
import importlib.util
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from settings.names import suggestion

PACKAGES = ("torch", "torchvision", "timm", "torchmetrics")
FUNCTIONS = ("torch.tensor",)  # that say not what they return
EXTRAS = {"timm": "models", "torchmetrics": "metrics"}  # of pyproject.toml
CLOSED = (  # what loads or runs code, or reads pickles
    *("torch.classes", "torch.compiler", "torch.cpp", "torch.distributed", "torch.export", "torch.fx", "torch.hub"),
    *("torch.jit", "torch.library", "torch.multiprocessing", "torch.onnx", "torch.ops", "torch.package"),
    *("torch.serialization", "torch.testing", "torch.utils", "torch.utils.data.datapipes"),
    *("torchvision.datasets.lsun", "torchvision.io", "timm.utils"),
)
OPEN = ("torch.utils.data",)  # within a closed part
PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def walk(name: str) -> Any:
    """The class or function that a dotted name leads to, in a package that configs may name; raises LookupError."""
    parts = name.split(".")
    if parts[0] not in packages():
        raise LookupError(
            f"{name!r}: a config may name {', '.join(packages())}, and the project's own files; more packages: "
            "[tool.hotplate] packages in pyproject.toml"
        )
    found: Any = _package(parts[0])
    for index, part in enumerate(parts[1:], 1):
        before = ".".join(parts[:index])
        if not isinstance(found, ModuleType) or found.__name__.split(".")[0] != parts[0]:
            raise LookupError(f"{name!r}: {before} is no module of {parts[0]}")
        places = (f"{before}.{part}", f"{found.__name__}.{part}")
        if part.startswith("_") or any(is_closed(place) and not _leads_on(place, name) for place in places):
            raise LookupError(f"{name!r}: {before}.{part} is closed to configs")
        found = _attribute(found, part)
    if isinstance(found, ModuleType):
        raise LookupError(f"{name!r} is a module; name a class in it")
    home = str(getattr(found, "__module__", None) or "")
    if name not in functions() and (home.split(".")[0] != parts[0] or is_closed(home)):
        raise LookupError(f"{name!r} is defined in {home or 'no module'}, which is closed to configs")
    return found


def _leads_on(module: str, name: str) -> bool:
    """Whether a closed module is only passed on the way to an open one."""
    return any(name.startswith(f"{opened}.") and opened.startswith(f"{module}.") for opened in OPEN)


def is_closed(module: str) -> bool:
    """Whether nothing in a module, by its dotted name, may be named in a config."""
    around = [part for part in (*CLOSED, *OPEN) if module == part or module.startswith(f"{part}.")]
    return bool(around) and max(around, key=len) in CLOSED


@cache
def packages() -> tuple[str, ...]:
    """The packages that configs may name: ours, and those of [tool.hotplate] in the project's pyproject.toml."""
    return (*PACKAGES, *_of_project("packages"))


@cache
def functions() -> tuple[str, ...]:
    """The functions that build something without saying so, by their exact dotted names."""
    return (*FUNCTIONS, *_of_project("functions"))


def _of_project(key: str) -> list[str]:
    if not PROJECT.exists():
        return []
    return tomllib.loads(PROJECT.read_text(encoding="utf-8")).get("tool", {}).get("hotplate", {}).get(key, [])


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        extra = f"pip install -e '.[{EXTRAS[name]}]'" if name in EXTRAS else f"pip install {name}"
        raise LookupError(f"the package {name} is not installed: {extra}") from None


def _attribute(module: ModuleType, part: str) -> Any:
    """What a module has under a name, or its submodule of that name."""
    if hasattr(module, part):
        return getattr(module, part)
    path = f"{module.__name__}.{part}"
    if hasattr(module, "__path__") and importlib.util.find_spec(path) is not None:
        return importlib.import_module(path)
    known = [known for known in dir(module) if not known.startswith("_")]
    raise LookupError(f"no {part!r} in {module.__name__}; {suggestion(part, known)}")
