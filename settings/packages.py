"""The packages whose classes a config may name, and the parts of them that stay closed.

A config may come from a stranger: a dotted name is walked attribute by attribute, only through modules of its own
package, and what it ends at must have been defined there.
"""

import importlib
import importlib.util
import os
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from settings.names import suggestion

PACKAGES = ("torch", "torchvision", "timm", "torchmetrics", "albumentations", "schedulefree")
FUNCTIONS = ("torch.tensor", "timm.create_model")  # by their exact names, wherever they are defined
EXTRAS = {"timm": "models", "torchmetrics": "metrics", "schedulefree": "schedulefree"}  # of pyproject.toml
OPEN = (  # the parts of these packages in which classes and functions may be named, ...
    *("torch.nn", "torch.optim", "torch.utils.data"),
    *("torchvision.datasets", "torchvision.models", "torchvision.ops", "torchvision.transforms"),
    *("timm.layers", "timm.loss", "timm.optim", "torchmetrics"),
    *("albumentations", "albumentations.core.composition", "albumentations.core.transforms_interface"),
    *(f"albumentations.augmentations.{part}" for part in ("blur", "crops", "dropout", "geometric", "pixel")),
    *("albumentations.augmentations.other.type_transform", "albumentations.pytorch"),
    *(f"schedulefree.{kind}ScheduleFree" for kind in ("AdamW", "RAdam", "SGD")),
    *(f"schedulefree.{kind}_schedulefree" for kind in ("adamw", "radam", "sgd")),
)
CLOSED = (  # ... but for what writes or runs code, unpickles, reads files that it is told, or asks a server for more
    *("torch.utils.data.datapipes", "torchvision.datasets.lsun", "torchvision.datasets.utils"),
    *("torchvision.models.feature_extraction", "torchmetrics.multimodal", "torchmetrics.text.bert"),
    *("torchmetrics.text.infolm", "torchmetrics.audio.dnsmos", "torchmetrics.audio.nisqa"),
    *("albumentations.augmentations", "albumentations.core", "albumentations.check_version"),
)
NOT_GIVEN = {"timm.models._factory.create_model": ("cache_dir", "pretrained_cfg", "pretrained_cfg_overlay")}
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
        if part.startswith("_") or not all(_is_open(place) or _leads_on(place, name) for place in places):
            raise LookupError(f"{name!r}: {before}.{part} is closed to configs")
        found = _attribute(found, part)
    if isinstance(found, ModuleType):
        raise LookupError(f"{name!r} is a module; name a class in it")
    if name not in functions() and (is_closed(home(found)) or home(found).split(".")[0] != parts[0]):
        raise LookupError(f"{name!r} is defined in {home(found) or 'no module'}, which is closed to configs")
    return found


def home(found: Any) -> str:
    """The module that a class or function was defined in."""
    return str(getattr(found, "__module__", None) or "")


def is_closed(module: str) -> bool:
    """Whether nothing that is defined in a module of ours may be named in a config."""
    return module.split(".")[0] in PACKAGES and not _is_open(module)


def not_given(target: Any) -> tuple[str, ...]:
    """The arguments of a class or function that a config may not give: where files go to and come from."""
    return NOT_GIVEN.get(f"{home(target)}.{getattr(target, '__name__', '')}", ())


def _is_open(place: str) -> bool:
    """Whether a dotted place lies in an open part: the longest known part around it decides."""
    if place.split(".")[0] not in PACKAGES or place in functions():
        return True
    around = [part for part in (*OPEN, *CLOSED) if place == part or place.startswith(f"{part}.")]
    return bool(around) and max(around, key=len) in OPEN


def _leads_on(place: str, name: str) -> bool:
    """Whether a closed place is only passed on the way to an open one."""
    return any(name.startswith(f"{opened}.") and opened.startswith(f"{place}.") for opened in OPEN)


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
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks a server for a newer version when it is imported
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
    try:
        if hasattr(module, "__path__") and importlib.util.find_spec(path) is not None:
            return importlib.import_module(path)
    except Exception as error:  # of a package that this one would need
        raise LookupError(f"{path} cannot be imported: {error}") from None
    known = [known for known in dir(module) if not known.startswith("_")]
    raise LookupError(f"no {part!r} in {module.__name__}; {suggestion(part, known)}")
