"""find: the class or function behind a name; arguments_of: what it takes."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional

import model.metric as module_metric
import model.model as module_arch
import trainer as module_trainer
from settings.lookup import arguments_of, find, names_in, where_defined
from trainer.trainer import Trainer


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


def test_the_first_module_that_has_a_name_gives_it():
    mine = ModuleType(__name__)
    mine.mse_loss = lambda output, target: 0  # type: ignore[attr-defined]
    assert find("mse_loss", [mine, torch.nn.functional]) is mine.mse_loss
    assert find("l1_loss", [mine, torch.nn.functional]) is torch.nn.functional.l1_loss
    assert find("L1Loss", [mine, torch.nn.functional, torch.nn]) is torch.nn.L1Loss


def test_a_class_of_another_kind_a_module_and_a_private_name_are_not_found():
    for name, module, kind in [
        ("Tensor", module_arch, torch.nn.Module),
        ("nn", module_arch, object),
        ("_Loss", torch.nn.modules.loss, object),
        ("Optimizr", torch.optim, torch.optim.Optimizer),
    ]:
        with pytest.raises(LookupError, match=f"no '{name}' in"):
            find(name, [module], kind)


@pytest.mark.parametrize("name", ["", "a b", "torch.nn.Linear", 3, None, ["x"]])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(LookupError, match="is no name of a class or function"):
        find(name, [module_arch])


def test_an_unknown_name_is_answered_with_the_nearest_of_the_right_kind():
    with pytest.raises(LookupError, match=r"^no 'DigitModel' in model.model; did you mean 'DigitsModel'"):
        find("DigitModel", [module_arch], torch.nn.Module)
    with pytest.raises(LookupError, match="did you mean 'AdamW'"):
        find("Adamw", [torch.optim], torch.optim.Optimizer)


def test_names_that_a_module_only_imports_are_not_offered():
    assert "DigitsModel" in names_in(module_arch)
    assert not {"BaseModel", "Tensor", "nn", "F"} & set(names_in(module_arch))
    assert names_in(module_metric) == ["accuracy", "top_k_acc"]


def test_a_misspelt_trainer_is_answered_with_the_trainer_that_is_imported_when_asked_for():
    assert find("Trainer", [module_trainer]) is Trainer
    with pytest.raises(LookupError, match="did you mean 'Trainer'"):
        find("Trainr", [module_trainer])


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
    assert where_defined(torch.optim.AdamW) == "torch.optim.adamw.AdamW"
    assert where_defined(module_arch.DigitsModel).startswith("model/model.py:")


def test_a_function_that_a_module_only_imports_cannot_be_named(tmp_path, monkeypatch):
    (tmp_path / "some_loaders.py").write_text(
        "from os import system\nfrom shutil import rmtree\nfrom subprocess import Popen\nfrom torch import load\n"
        "from collections.abc import Callable\n\ndef own():\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("some_loaders")
    for name in ("system", "rmtree", "Popen", "load"):
        with pytest.raises(LookupError):
            find(name, [module], object)
    assert find("own", [module]) is module.own


def test_of_torchs_functions_only_losses_can_be_named():
    for name in ("relu", "linear", "conv2d", "dropout"):
        with pytest.raises(LookupError):
            find(name, [torch.nn.functional, torch.nn], torch.nn.Module)
    for name in ("cross_entropy", "mse_loss", "binary_cross_entropy_with_logits", "kl_div", "huber_loss"):
        assert find(name, [torch.nn.functional]) is getattr(torch.nn.functional, name)
