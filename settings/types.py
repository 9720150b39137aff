"""Whether a value from a config fits the annotation of the argument it is for, and what it becomes there."""

import collections.abc
import sys
import types
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

NAMES = {
    dict: "an object",
    list: "a list",
    tuple: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    collections.abc.Callable: 'a function ({"type": NAME})',
}
SCALARS = (bool, int, float, str, Path, type(None))


def is_spec(value: Any) -> bool:
    """Whether a value stands for an object to be built: {"type": NAME} or {"type": NAME, "args": {...}}."""
    return isinstance(value, dict) and isinstance(value.get("type"), str) and value.keys() <= {"type", "args"}


def misfit(value: Any, annotation: Any) -> str | None:
    """What the value should have been, if it does not fit; None if it fits or if JSON cannot tell."""
    if fits(value, annotation):
        return None
    return f"{shown(value)} is not {describe(annotation)}"


def fits(value: Any, annotation: Any) -> bool:
    """Whether the value can be given for an argument of that annotation; True where only running can tell."""
    if isinstance(value, str) and "${" in value:
        return True  # a reference to what is known only later
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if annotation is None or annotation is types.NoneType:
        return value is None
    if annotation is bool:
        return isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation in (str, Path):
        return isinstance(value, str)
    kind = origin or annotation
    if kind is tuple and isinstance(value, list) and parts and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(fits, value, parts))
    if kind is list or kind is tuple:
        return isinstance(value, list) and (not parts or all(fits(item, parts[0]) for item in value))
    if kind is dict:
        return isinstance(value, dict) and (len(parts) < 2 or all(fits(item, parts[1]) for item in value.values()))
    if is_spec(value):
        return True
    if is_dataclass(kind):
        return isinstance(value, dict) and not faults_of_fields(value, kind)
    if kind is collections.abc.Callable:
        return False
    if _is_dtype(kind):
        return _dtype(value) is not None
    return _becomes_tensor(value, kind) if _is_tensor(kind) else not _is_of_torch(kind)


def faults_of_fields(value: dict[str, Any], kind: Any) -> list[tuple[str | None, str]]:
    """What keeps an object from being that dataclass: (key or None, what is wrong)."""
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind) if field.init}
    found: list[tuple[str | None, str]] = [(key, "unknown") for key in value if key not in known]
    found += [(key, text) for key in value if key in known and (text := misfit(value[key], known[key]))]
    for field in fields(kind):
        if field.init and field.default is MISSING and field.default_factory is MISSING and field.name not in value:
            found.append((None, f"needs {field.name!r}"))
    return found


def convert(value: Any, annotation: Any) -> Any:
    """The value as what an annotation asks for: a path, a dataclass, a tuple, a tensor of numbers, a torch.dtype."""
    parts = _parts(annotation)
    kinds = [get_origin(part) or part for part in parts]
    if isinstance(value, str) and Path in kinds and str not in kinds:
        return Path(value)
    if isinstance(value, str) and str not in kinds and any(map(_is_dtype, kinds)):
        return _dtype(value) or value
    if isinstance(value, dict):
        for kind in kinds:
            if is_dataclass(kind) and fits(value, kind):
                hints = get_type_hints(kind)
                return kind(**{key: convert(item, hints[key]) for key, item in value.items()})  # type: ignore[operator]
    if isinstance(value, list) and list not in kinds:
        if tuple in kinds:
            return tuple(value)
        for kind in kinds:
            if _becomes_tensor(value, kind):
                import torch

                return torch.tensor(value, dtype=torch.get_default_dtype())
    return value


def describe(annotation: Any) -> str:
    """An annotation in the words of a config."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        told = [part for part in parts if not _is_tensor(part)]
        told = told if any(part is not types.NoneType for part in told) else list(parts)
        return " or ".join(dict.fromkeys(describe(part) for part in told))
    if origin is Literal:
        return " or ".join(map(shown, parts))
    if annotation is None or annotation is types.NoneType:
        return "null"
    if annotation is Path:
        return "a path"
    if origin is list and parts:
        return f"a list ({describe(parts[0])} each)"
    if origin is tuple and parts:
        each = describe(parts[0])
        return f"a list ({each} each)" if parts[-1] is Ellipsis else f"a list of {len(parts)} ({each} each)"
    if (kind := origin or annotation) in NAMES:
        return NAMES[kind]
    name = getattr(kind, "__name__", str(kind))
    if _is_tensor(kind):
        return "a list of numbers"
    if _is_dtype(kind):
        return 'a type of numbers ("float32")'
    return f'a {name} ({{"type": NAME}})' if _is_of_torch(kind) else name


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union; of anything else, itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _is_of_torch(kind: Any) -> bool:
    """Whether a class of torch is asked for, of which JSON has no plain value."""
    if not isinstance(kind, type) or "torch" not in sys.modules:
        return False
    from settings.kinds import anything

    return issubclass(kind, anything().bases)


def _is_tensor(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__ == "torch" and kind.__name__ == "Tensor"


def _is_dtype(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__ == "torch" and kind.__name__ == "dtype"


def _dtype(value: Any) -> Any:
    """torch.float32 of "float32"; None of what is no type of numbers."""
    import torch

    found = getattr(torch, value, None) if isinstance(value, str) and value.isidentifier() else None
    return found if isinstance(found, torch.dtype) else None


def _becomes_tensor(value: Any, kind: Any) -> bool:
    return _is_tensor(kind) and isinstance(value, list) and _shape(value) is not None


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of a list of numbers, or of lists as long as each other; None of anything else."""
    if not isinstance(value, list):
        return () if fits(value, float) else None
    shapes = {_shape(item) for item in value} or {()}
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)


def shown(value: Any) -> str:
    """A value in the words of a config, cut to fit a line."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
