"""A JSON Schema (draft-07) of this project's configs, from its own classes: for editors that complete and check.

Every `type` that may be named is listed; its `args` follow from its signature, what they say from its docstring.
"""

import inspect
import re
import tokenize
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from settings import sections
from settings.kinds import is_factory, kind_of
from settings.lookup import find, names_beside, names_in
from settings.references import LATE
from settings.signatures import arguments_of, public_name

DRAFT = "http://json-schema.org/draft-07/schema#"
REFERENCE = {"$ref": "#/definitions/reference"}
OBJECT = {"$ref": "#/definitions/object"}
PLAIN: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
    types.NoneType: {"type": "null"},
    None: {"type": "null"},
}
ABOUT = {
    "name": "names the folder of the runs: saved/models/NAME/RUN",
    "seed": "of the weights, the order of the data, augmentation and dropout",
    "n_gpu": "how many GPUs to use; 0 is the CPU",
    "arch": "the model",
    "data_loader": "the training data",
    "valid_data_loader": "the validation data, where it is not split from the training data",
    "test_data_loader": "the test data of test.py, where it is not data_loader's with training: false",
    "optimizer": "the optimizer",
    "lr_scheduler": "the learning-rate schedule",
    "loss": "the loss, a function (output, target) or a class",
    "metrics": "what is measured beside the loss",
    "trainer": "how training goes",
    "extends": "a config, or a list of them, that this one changes",
    "$schema": "the schema that an editor checks this file with",
    "config_version": "the version of this format",
}
EXTRA = {
    "interval": "what the schedule counts",
    "monitor": "the value of the log that ReduceLROnPlateau judges by",
    "warmup": "so many intervals of linear rise first",
    "name": "under which the metric stands in the log",
    "weights": "a file of tensors or a checkpoint, or weights of torchvision by name; what fits is taken",
    "freeze": "patterns of the names of parameters that do not train",
    "recompute": "patterns of the names of modules whose activations are computed again, not kept",
    "groups": 'parameters with options of their own: {"params": pattern or list of them, "lr": ..., ...}',
    "weight": "what the loss is multiplied by, in the sum of several",
}


def schema(modules: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """The schema of the configs whose names are looked up in these modules."""
    writer = _Writer(modules)
    known = {key: writer.root(key, kind) | {"description": ABOUT[key]} for key, kind in sections.ROOT.items()}
    needed = {key: {"required": ["type"], "allOf": rules} for key, rules in writer.needed.items()}
    return {
        "$schema": DRAFT,
        "title": "A training config",
        "type": "object",
        "properties": known,
        "if": {"not": {"required": ["extends"]}},  # what is inherited need not be said again
        "then": {"required": list(sections.REQUIRED), "properties": needed},
        "definitions": writer.definitions,
    }


class _Writer:
    def __init__(self, modules: dict[str, tuple[Any, ...]]) -> None:
        self.modules = modules
        self.needed: dict[str, list[dict[str, Any]]] = {}
        examples = ", ".join(f"${{{name}}}" for name in LATE)
        self.definitions: dict[str, Any] = {
            "reference": {
                "type": "string",
                "pattern": r"\$\{[^${}]+\}",
                "description": f"another value: ${{trainer.epochs}}, ${{env:DATA_DIR}}, {examples}",
            },
            "object": {
                "type": "object",
                "properties": {"type": {"type": "string"}, "args": {"type": "object"}},
                "required": ["type"],
                "additionalProperties": False,
                "description": "an object to be built",
            },
        }

    def root(self, key: str, kind: Any) -> dict[str, Any]:
        if key in sections.BUILT:
            section = self.section(key)
            return {"anyOf": [section, {"type": "null"}]} if key == "lr_scheduler" else section
        if key == "loss":
            return {"anyOf": [self.named(key), {"type": "array", "items": self.named(key)}]}
        if key == "metrics":
            return {"type": "array", "items": self.named(key)}
        if key == "trainer":
            return self.trainer()
        return _or_reference(value_schema(kind)) if key not in ("extends", "$schema") else value_schema(kind)

    def named(self, section: str) -> dict[str, Any]:
        """A bare name, or an object with a type."""
        return {"anyOf": [{"type": "string", **self.names(section)}, self.section(section)]}

    def names(self, section: str) -> dict[str, Any]:
        known = self.targets(section)
        own = {"enum": list(known)}
        return {"anyOf": [own, {"pattern": r"\."}, REFERENCE]}  # a dot: a file of one's own, or a package

    def targets(self, section: str) -> dict[str, Any]:
        """What may be named in a section."""
        kind = kind_of(section)
        found: dict[str, Any] = {}
        for module in self.modules[section]:
            for name in names_in(module, kind):
                found.setdefault(name, find(name, self.modules[section], kind))
        for name in names_beside(self.modules[section], kind) if section in sections.BUILT else ():
            found[name] = find(name, self.modules[section], kind)
        return found

    def section(self, section: str) -> dict[str, Any]:
        kind, rules, needed = kind_of(section), [], []
        for name, target in self.targets(section).items():
            given = sections.GIVEN.get(section, 0)
            if given == 2 and (inspect.isclass(target) or is_factory(target, kind)):
                given = 0
            condition = {"properties": {"type": {"const": name}}, "required": ["type"]}
            inside = arguments_of(target, given).annotations.keys() - {"type", "args", *sections.KEYS.get(section, ())}
            then: dict[str, Any] = {"properties": {"args": self.args(target, given, section)}}
            then["propertyNames"] = {"not": {"enum": sorted(inside)}}  # they belong in "args"
            rules.append({"if": condition, "then": then})
            if required := arguments_of(target, given).required:
                args = {"required": ["args"], "properties": {"args": {"required": list(required)}}}
                needed.append({"if": condition, "then": args})
        if section in sections.REQUIRED and section in sections.BUILT and needed:
            self.needed[section] = needed
        extra = {
            key: _or_reference(value_schema(annotation)) | {"description": EXTRA[key]}
            for key, annotation in sections.KEYS.get(section, {}).items()
        }
        return {
            "type": "object",
            "properties": {"type": self.names(section), "args": {"type": "object"}, **extra},
            "allOf": rules,
        }

    def args(self, target: Any, given: int, section: str) -> dict[str, Any]:
        """The arguments of one class or function, by reference."""
        name = f"{public_name(target)}:{given}" if given else public_name(target)
        if name not in self.definitions:
            taken = arguments_of(target, given)
            about = inspect.getdoc(target) or ""
            properties = {}
            for key, annotation in taken.annotations.items():
                values = [value_schema(annotation), REFERENCE]
                values += [{"const": "auto"}] * (section == "lr_scheduler")
                properties[key] = {"anyOf": values} | _described(about, target, key)
                if _is_json(default := taken.defaults.get(key, MISSING)):
                    properties[key]["default"] = list(default) if isinstance(default, tuple) else default
            self.definitions[name] = {
                "type": "object",
                "description": about.split("\n\n")[0].replace("\n", " "),
                "properties": properties,
                "additionalProperties": taken.open,
            }
        return {"$ref": "#/definitions/" + name.replace("~", "~0").replace("/", "~1")}

    def trainer(self) -> dict[str, Any]:
        classes = {name: found for name, found in self.targets("trainer").items() if hasattr(found, "Options")}
        properties: dict[str, Any] = {"type": {**self.names("trainer"), "default": "Trainer"}}
        for trainer in classes.values():
            about, hints = _comments(trainer.Options), get_type_hints(trainer.Options)
            for field in fields(trainer.Options):
                values = {"anyOf": [value_schema(hints[field.name]), REFERENCE]}
                described = {"description": about[field.name]} if field.name in about else {}
                default = {"default": field.default} if _is_json(field.default) else {}
                properties.setdefault(field.name, values | described | default)
        return {"type": "object", "properties": properties}


def value_schema(annotation: Any) -> dict[str, Any]:
    """The schema of the values that fit an annotation; {} where JSON cannot tell."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        found = [value_schema(part) for part in parts]
        return {} if {} in found else {"anyOf": found}
    if origin is Literal:
        return {"enum": list(parts)}
    kind = origin or annotation
    if kind is list and parts:
        return {"type": "array", "items": value_schema(parts[0])}
    if kind is tuple and parts:
        size = {} if parts[-1] is Ellipsis else {"minItems": len(parts), "maxItems": len(parts)}
        return {"type": "array", "items": value_schema(parts[0]), **size}
    if kind is dict and len(parts) == 2:
        return {"type": "object", "additionalProperties": value_schema(parts[1])}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        known = {field.name: _or_reference(value_schema(hints[field.name])) for field in fields(kind) if field.init}
        return {"type": "object", "properties": known, "additionalProperties": False}
    try:
        plain = PLAIN.get(kind)
    except TypeError:  # an annotation that cannot be a key
        plain = None
    if plain is not None:
        return dict(plain)
    if isinstance(kind, type) and kind.__module__.startswith("torch"):
        numbers = {"type": "array"} if kind.__name__ == "Tensor" else None
        return {"anyOf": [OBJECT, numbers]} if numbers else dict(OBJECT) if kind.__name__ != "dtype" else {}
    return dict(OBJECT) if kind is Callable or getattr(kind, "__name__", "") == "Callable" else {}


def _or_reference(value: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [value, REFERENCE]} if value else {}


def _is_json(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, type(None), list)) or (
        isinstance(value, tuple) and all(map(_is_json, value))
    )


def _described(about: str, target: Any, key: str) -> dict[str, str]:
    """What a docstring says of a parameter: `:param key: ...`, or `key (type): ...` in a list of arguments."""
    constructor = inspect.cleandoc(target.__init__.__doc__ or "") if inspect.isclass(target) else ""
    end = r"(?=\n\s*\n|\n\s*:|\n\s*\w+ ?(?:\([^)]*\))?:|\Z)"
    pattern = rf"^\s*(?::param {re.escape(key)}|{re.escape(key)} ?(?:\([^)]*\))?):\s*(.+?){end}"
    match = re.search(pattern, f"{about}\n{constructor}", re.MULTILINE | re.DOTALL)
    return {"description": " ".join(match[1].split())[:300]} if match else {}


def _comments(options: type) -> dict[str, str]:
    """What the comments beside the fields of a dataclass say."""
    found: dict[str, str] = {}
    for cls in reversed(options.__mro__):
        if "__annotations__" not in vars(cls):
            continue
        lines: dict[int, str] = {}
        for token in tokenize.generate_tokens(StringIO(inspect.getsource(cls)).readline):
            if token.type == tokenize.NAME and token.string in vars(cls)["__annotations__"]:
                lines.setdefault(token.start[0], token.string)
            elif token.type == tokenize.COMMENT and token.start[0] in lines:
                found[lines[token.start[0]]] = token.string.removeprefix("#").strip()
    return found
