"""find: the class or function behind a name, if it may stand there."""

import importlib
from types import ModuleType

import pytest
import torch
import torch.nn.functional

import model.metric as module_metric
import model.model as module_arch
import trainer as module_trainer
from settings.kinds import kind_of
from settings.lookup import find, names_in
from trainer.trainer import Trainer


def test_the_first_module_that_has_a_name_gives_it():
    mine = ModuleType(__name__)
    mine.mse_loss = lambda output, target: 0  # type: ignore[attr-defined]
    assert find("mse_loss", [mine, torch.nn.functional]) is mine.mse_loss
    assert find("l1_loss", [mine, torch.nn.functional]) is torch.nn.functional.l1_loss
    assert find("L1Loss", [mine, torch.nn.functional, torch.nn]) is torch.nn.L1Loss


def test_a_class_of_another_kind_a_module_and_a_private_name_are_not_found():
    for name, module, kind in [
        ("Tensor", module_arch, "arch"),
        ("nn", module_arch, "anything"),
        ("_Loss", torch.nn.modules.loss, "loss"),
        ("Optimizr", torch.optim, "optimizer"),
    ]:
        with pytest.raises(LookupError, match=name):
            find(name, [module], kind_of(kind))


@pytest.mark.parametrize("name", ["", "a b", "a..b", ".a", "a.", "torch.nn.Linear()", "1a", 3, None, ["x"]])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(LookupError, match="is no name of a class or function"):
        find(name, [module_arch])


def test_an_unknown_name_is_answered_with_the_nearest_of_the_right_kind():
    with pytest.raises(LookupError, match=r"^no 'DigitModel' in model.model; did you mean 'DigitsModel'"):
        find("DigitModel", [module_arch], kind_of("arch"))
    with pytest.raises(LookupError, match="did you mean 'AdamW'"):
        find("Adamw", [torch.optim], kind_of("optimizer"))


def test_names_that_a_module_only_imports_are_not_offered():
    assert "DigitsModel" in names_in(module_arch)
    assert not {"BaseModel", "Tensor", "nn", "F"} & set(names_in(module_arch))
    assert names_in(module_metric) == ["accuracy", "top_k_acc"]


def test_a_misspelt_trainer_is_answered_with_the_trainer_that_is_imported_when_asked_for():
    assert find("Trainer", [module_trainer]) is Trainer
    with pytest.raises(LookupError, match="did you mean 'Trainer'"):
        find("Trainr", [module_trainer])


def test_a_function_that_a_module_only_imports_cannot_be_named(tmp_path, monkeypatch):
    (tmp_path / "some_loaders.py").write_text(
        "from os import system\nfrom shutil import rmtree\nfrom subprocess import Popen\nfrom torch import load\n"
        "from collections.abc import Callable\n\ndef own():\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("some_loaders")
    for name in ("system", "rmtree", "Popen", "load"):
        with pytest.raises(LookupError):
            find(name, [module], kind_of("data_loader"))
    assert find("own", [module]) is module.own


def test_of_torchs_functions_only_losses_can_be_named():
    for name in ("relu", "linear", "conv2d", "dropout"):
        with pytest.raises(LookupError):
            find(name, [torch.nn.functional, torch.nn], kind_of("loss"))
    for name in ("cross_entropy", "mse_loss", "binary_cross_entropy_with_logits", "kl_div", "huber_loss"):
        assert find(name, [torch.nn.functional], kind_of("loss")) is getattr(torch.nn.functional, name)
