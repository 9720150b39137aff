"""misfit: whether a value from a config fits an annotation."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest
import torch

from settings.types import convert, describe, is_spec, misfit


@dataclass
class Box:
    width: int
    name: str | None = None


class Net(torch.nn.Module):
    pass


SPEC = {"type": "ReLU", "args": {"inplace": True}}
FITTING = [
    (SPEC, torch.nn.Module),
    (SPEC, Net | None),
    (SPEC, Callable[[int], int]),
    (SPEC, torch.Tensor),
    (SPEC, inspect.Parameter.empty),
    (SPEC, dict),
    ({"width": 3}, Box),
    ({"width": 3, "name": "x"}, Box | None),
    ([1, 2.5], torch.Tensor),
    ([[1, 2], [3, 4]], torch.Tensor | None),
    ([1, 2, 3], tuple[int, ...]),
    (3, int),
    (3, float),
    (0.5, float),
    (True, bool),
    ("x", str),
    ("a/b", Path),
    (None, Optional[int]),  # noqa: UP045
    (3, int | None),
    ("auto", int | Literal["auto"]),
    (0.1, Union[float, torch.Tensor]),  # noqa: UP007
    ([1, 2], list[int]),
    ([], list[int]),
    ([0.9, 0.99], tuple[float, float]),
    ({"a": 1}, dict[str, int]),
    (None, None),
    (object, Any),
    ("float32", torch.dtype),
    ("bfloat16", torch.dtype | None),
    ("float64", Union[torch.dtype, dict[str, Optional[torch.dtype]]]),  # noqa: UP007, UP045
]


@pytest.mark.parametrize(("value", "annotation"), FITTING)
def test_a_fitting_value_is_no_misfit(value, annotation):
    assert misfit(value, annotation) is None


@pytest.mark.parametrize(
    ("value", "annotation", "text"),
    [
        ("3", int, '"3" is not a whole number'),
        (3.0, int, "3.0 is not a whole number"),
        (True, int, "true is not a whole number"),
        (False, float, "false is not a number"),
        (1, bool, "1 is not true or false"),
        (3, str, "3 is not a text"),
        (3, Path, "3 is not a path"),
        (None, int, "null is not a whole number"),
        ("x", int | None, '"x" is not a whole number or null'),
        (True, Literal[0, 1, 2], "true is not 0 or 1 or 2"),
        ("fp16", Literal["off", "float16"] | bool, '"fp16" is not "off" or "float16" or true or false'),
        (["a"], list[int], '["a"] is not a list (a whole number each)'),
        (3, list, "3 is not a list"),
        (0.9, tuple[float, float], "0.9 is not a list of 2 (a number each)"),
        ([0.9], tuple[float, float], "[0.9] is not a list of 2 (a number each)"),
        ({"a": "x"}, dict[str, int], '{"a": "x"} is not an object'),
        ([], dict, "[] is not an object"),
        (SPEC, int, '{"type": "ReLU", "args": {"inplace": true}} is not a whole number'),
        ("relu", torch.nn.Module, '"relu" is not a Module ({"type": NAME})'),
        ("relu", Net | None, '"relu" is not a Net ({"type": NAME}) or null'),
        ("os.system", Callable[[int], int], '"os.system" is not a function ({"type": NAME})'),
        ("fp32", torch.dtype, '"fp32" is not a type of numbers ("float32")'),
        ("load", torch.dtype, '"load" is not a type of numbers ("float32")'),
        ("x", torch.Tensor, '"x" is not a list of numbers'),
        ([1, []], torch.Tensor, "[1, []] is not a list of numbers"),
        ([[1], [2, 3]], torch.Tensor, "[[1], [2, 3]] is not a list of numbers"),
        (["x"], torch.Tensor | None, '["x"] is not a list of numbers or null'),
        ({"widht": 3}, Box, '{"widht": 3} is not Box'),
        ({"width": "3"}, Box, '{"width": "3"} is not Box'),
        ("0.1", float | torch.Tensor, '"0.1" is not a number'),
        ("Größe", int, '"Größe" is not a whole number'),
    ],
)
def test_a_misfit_says_what_the_value_should_be_in_the_words_of_a_config(value, annotation, text):
    assert misfit(value, annotation) == text


def test_a_long_value_is_cut_to_fit_the_line():
    text = misfit(list(range(100)), int)
    assert text is not None
    assert text.endswith("... is not a whole number")
    assert len(text) < 90


def test_annotations_are_described_without_python():
    assert describe(float | None) == "a number or null"
    assert describe(list[str]) == "a list (a text each)"


def test_what_stands_for_an_object_has_a_type_and_nothing_but_args():
    assert is_spec({"type": "ReLU"})
    assert is_spec(SPEC)
    for value in ({"type": "x", "std": 1}, {"args": {}}, {"type": 3}, ["type"], "type", None):
        assert not is_spec(value)


def test_a_value_becomes_what_its_annotation_asks_for():
    assert convert("a/b", Path | None) == Path("a/b")
    assert convert("a/b", str | Path) == "a/b"
    assert convert([1, 2], tuple[int, int]) == (1, 2)
    assert convert([1, 2], list[int] | tuple[int, int]) == [1, 2]
    assert convert({"width": 3}, Box | None) == Box(3)
    assert convert({"width": 3}, dict) == {"width": 3}
    tensor = convert([1, 2], torch.Tensor | None)
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == [1, 2]
    assert convert(0.5, float | torch.Tensor) == 0.5
    assert convert("float16", torch.dtype | None) is torch.float16
    assert convert(None, torch.Tensor | None) is None
