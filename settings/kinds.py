"""What kind of object a place in a config takes, and whether a class or function gives one."""

import inspect
import sys
import types
from dataclasses import dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

FUNCTIONAL = "torch.nn.functional"  # its losses, which say so by what they take, are called later


@dataclass(frozen=True)
class Kind:
    """What may stand at a place: a class derived from one of `bases`, or a function that returns one.

    :param own: also any class that the project itself defines
    :param called: also a function of the project's own, or a loss of torch.nn.functional, that is called later
    """

    name: str
    bases: tuple[type, ...]
    own: bool = False
    called: bool = False


def kind_of(section: str) -> Kind:
    """What a section takes."""
    import torch
    from torch.utils.data import DataLoader

    if section == "arch":
        return Kind("a model (torch.nn.Module)", (torch.nn.Module,))
    if section == "optimizer":
        return Kind("an optimizer (torch.optim.Optimizer)", (torch.optim.Optimizer,))
    if section == "lr_scheduler":
        return Kind("a schedule (torch.optim.lr_scheduler.LRScheduler)", (torch.optim.lr_scheduler.LRScheduler,))
    if section in ("loss", "metrics"):
        name = "a loss" if section == "loss" else "a metric"
        return Kind(f"{name}: a function (output, target), or a class", (torch.nn.Module,), own=True, called=True)
    if section == "trainer":
        return Kind("a trainer", (), own=True)
    if section.endswith("data_loader"):
        return Kind("a data loader", (DataLoader,), own=True)
    return anything()


def kind_of_annotation(annotation: Any) -> Kind:
    """What an argument takes, as far as its annotation says."""
    every = anything()
    known = {part for part in _classes(annotation) if isinstance(part, type) and issubclass(part, every.bases)}
    if not known:
        return every
    names = " or ".join(sorted(part.__name__ for part in known))
    return Kind(names, tuple(known))


@cache
def anything() -> Kind:
    """All that a config can build at all: what an argument without an annotation takes."""
    import torch
    from torch.utils.data import DataLoader, Dataset, Sampler

    parts = (torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
    name = "a module, an optimizer, a schedule, a dataset, a sampler, a data loader, or a class of your own"
    return Kind(name, (*parts, Dataset, Sampler, DataLoader), own=True, called=True)


def takes(kind: Kind, found: Any, own: bool) -> bool:
    """Whether a class or function may stand where `kind` is asked for.

    :param own: the project itself defines it
    """
    if inspect.isclass(found):
        fits = issubclass(found, kind.bases) or (own and kind.own) or _is_transform(found, kind)
        return fits and not _writes_code(found)
    return callable(found) and (is_factory(found, kind) or (kind.called and (own or is_functional_loss(found))))


def is_factory(function: Any, kind: Kind) -> bool:
    """Whether a function says, by the annotation of what it returns, that it builds such an object."""
    if not inspect.isroutine(function):
        return False
    try:
        returned = get_type_hints(function).get("return")
    except Exception:  # annotations that only a type checker can resolve
        return False
    return isinstance(returned, type) and issubclass(returned, kind.bases) and not _writes_code(returned)


def is_functional_loss(function: Any) -> bool:
    """Whether a function is a loss of torch.nn.functional."""
    is_functional = inspect.isfunction(function) and function.__module__ == FUNCTIONAL
    return is_functional and "target" in inspect.signature(function).parameters


def _writes_code(found: type) -> bool:
    """torch.fx makes Python source of what it is given, and runs it."""
    graphs = sys.modules.get("torch.fx")
    return graphs is not None and issubclass(found, graphs.GraphModule)


def _is_transform(found: type, kind: Kind) -> bool:
    """The older transforms of torchvision and those of Albumentations derive from nothing that torch knows."""
    return kind.own and kind.called and found.__module__.startswith(("torchvision.transforms.", "albumentations."))


def _classes(annotation: Any) -> list[Any]:
    """The classes that an annotation names, through unions and lists."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType) or origin in (list, tuple):
        return [part for item in get_args(annotation) for part in _classes(item)]
    return [origin or annotation]
