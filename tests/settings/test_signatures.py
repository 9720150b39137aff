"""arguments_of: what a class or function takes; where_defined: where it stands."""

from pathlib import Path
from typing import Any

import torch

import model.metric as module_metric
import model.model as module_arch
from settings.signatures import arguments_of, where_defined


class Parent:
    def __init__(self, size: int, colour: str = "red") -> None:
        self.size, self.colour = size, colour


class Child(Parent):
    def __init__(self, depth: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.depth = depth


class Stranger:
    def __init__(self, **anything: Any) -> None:
        self.anything = anything


def test_options_that_a_class_passes_on_are_those_of_its_parent():
    taken = arguments_of(Child)
    assert taken.annotations == {"depth": int, "size": int, "colour": str}
    assert taken.required == ()
    assert not taken.open
    assert arguments_of(Parent).required == ("size",)


def test_a_class_that_swallows_all_keywords_is_open_to_any():
    assert arguments_of(Stranger).open
    assert arguments_of(torch.nn.functional.one_hot).open  # C code without a signature


def test_what_the_code_passes_is_no_argument_of_a_config():
    assert "params" not in arguments_of(torch.optim.SGD, given=1).annotations
    assert "lr" in arguments_of(torch.optim.SGD, given=1).annotations
    assert arguments_of(torch.optim.lr_scheduler.StepLR, given=1).required == ("step_size",)
    assert list(arguments_of(module_metric.top_k_acc, given=2).annotations) == ["k"]


def test_an_annotation_that_cannot_be_resolved_is_taken_for_any():
    def function(value: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    assert list(arguments_of(function).annotations) == ["value"]


def test_the_projects_own_classes_are_named_by_file_and_others_by_module(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert where_defined(torch.optim.AdamW) == "torch.optim.AdamW"
    assert where_defined(module_arch.DigitsModel).startswith("model/model.py:")
