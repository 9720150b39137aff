"""Whether a value from a config fits the annotation of the argument it is for."""

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

NAMES = {
    dict: "an object",
    list: "a list",
    tuple: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def misfit(value: Any, annotation: Any) -> str | None:
    """What the value should have been, if it does not fit; None if it fits or if JSON cannot tell."""
    if fits(value, annotation):
        return None
    return f"{_shown(value)} is not {describe(annotation)}"


def fits(value: Any, annotation: Any) -> bool:
    """Whether the value can be given for an argument of that annotation; True where only running can tell."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in _parts(annotation))
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
    if kind is list or kind is tuple:
        return isinstance(value, list) and (kind is tuple or not parts or all(fits(item, parts[0]) for item in value))
    if kind is dict:
        return isinstance(value, dict) and (len(parts) < 2 or all(fits(item, parts[1]) for item in value.values()))
    return True


def _parts(annotation: Any) -> list[Any]:
    """The parts of a union that a config can hold: no tensors."""
    parts = get_args(annotation)
    return [part for part in parts if getattr(part, "__module__", "") != "torch"] or list(parts)


def describe(annotation: Any) -> str:
    """An annotation in the words of a config."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in _parts(annotation))
    if origin is Literal:
        return " or ".join(map(_shown, parts))
    if annotation is None or annotation is types.NoneType:
        return "null"
    if annotation is Path:
        return "a path"
    if origin is list and parts:
        return f"a list ({describe(parts[0])} each)"
    return NAMES.get(origin or annotation, getattr(annotation, "__name__", str(annotation)))


def _shown(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
