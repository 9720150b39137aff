"""find: the class or function behind a name, if it may stand there."""

import importlib
import re
import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional

import model.metric as module_metric
import model.model as module_arch
import trainer as module_trainer
from settings import packages
from settings.kinds import anything, kind_of
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
    assert {"accuracy", "top_k_acc", "MacroF1"} <= set(names_in(module_metric))
    assert not {"torch", "Tensor"} & set(names_in(module_metric))


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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder `nets` with files of its own, and its module `nets.model`."""
    folder = tmp_path / "nets"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "model.py").write_text("import torch\nclass Net(torch.nn.Module): pass\n")
    (folder / "mine.py").write_text(
        "import torch\nfrom nets.model import Net\n"
        "class Other(torch.nn.Module): pass\nclass _Hidden(torch.nn.Module): pass\nclass Plain: pass\n"
        "def make(width: int = 1) -> torch.nn.Module: return Other()\ndef vague(): return Other()\n"
    )
    (folder / "deep" / "file.py").write_text("import torch\nclass Deep(torch.nn.Module): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("nets.model")
    for name in [name for name in sys.modules if name.split(".")[0] == "nets"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Net", "Net"),
        ("mine.Other", "Other"),
        ("nets.mine.Other", "Other"),
        ("mine.Net", "Net"),
        ("deep.file.Deep", "Deep"),
        ("mine.make", "make"),
        ("torch.nn.Linear", "Linear"),
        ("torchvision.models.resnet18", "resnet18"),
        ("torchvision.models.get_model", "get_model"),
        ("torchvision.ops.MLP", "MLP"),
    ],
)
def test_a_dotted_name_leads_to_a_file_beside_the_module_or_into_a_package(project, name, found):
    assert find(name, [project], kind_of("arch")).__name__ == found


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("mine.Othr", "no 'Othr' in nets.mine; did you mean 'Other'?"),
        ("mine._Hidden", "'mine._Hidden': a config may name torch, torchvision, timm, torchmetrics"),
        ("mine.Plain", "mine.Plain is not a model (torch.nn.Module)"),
        (
            "mine.vague",
            "mine.vague says not that it builds a model (torch.nn.Module); annotate what it returns: -> Mod",
        ),
        ("mine.torch", "no 'torch' in nets.mine"),
        (
            "nope.Net",
            "'nope.Net': a config may name torch, torchvision, timm, torchmetrics, albumentations, schedulefree",
        ),
        ("torch.nn.Linaer", "no 'Linaer' in torch.nn; did you mean 'Linear'"),
        ("torch.nn", "'torch.nn' is a module; name a class in it"),
        ("torch.optim.SGD", "torch.optim.SGD is not a model (torch.nn.Module)"),
        ("torch.utils.data.DataLoader", "torch.utils.data.DataLoader is not a model (torch.nn.Module)"),
        ("torch.hub.load", "'torch.hub.load': torch.hub is closed to configs"),
    ],
)
def test_a_dotted_name_that_leads_nowhere_says_why(project, name, line):
    with pytest.raises(LookupError) as caught:
        find(name, [project], kind_of("arch"))
    assert str(caught.value).startswith(line)


def test_a_package_that_is_not_installed_says_how_to_install_it(project, monkeypatch):
    for name, extra in {
        "timm": "pip install -e '.[models]'",
        "torchmetrics": "pip install -e '.[metrics]'",
        "albumentations": "pip install albumentations",
    }.items():
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(LookupError, match=re.escape(f"the package {name} is not installed: {extra}")):
            find(f"{name}.create_model", [project], kind_of("arch"))


def test_the_project_adds_packages_and_functions_in_its_pyproject(project, tmp_path, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "__init__.py").write_text(
        "import torch, os\nclass Big(torch.nn.Module): pass\ndef build(): return Big()\ndef other(): return Big()\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.hotplate]\npackages = ["more"]\nfunctions = ["more.build"]\n')
    monkeypatch.setattr(packages, "PROJECT", tmp_path / "pyproject.toml")
    for known in (packages.packages, packages.functions):
        known.cache_clear()
    try:
        assert find("more.Big", [project], kind_of("arch")).__name__ == "Big"
        assert find("more.build", [project], kind_of("arch")).__name__ == "build"
        for name in ("more.other", "more.os.system", "more.torch.load", "more.torch.nn.Linear"):
            with pytest.raises(LookupError):
                find(name, [project], kind_of("arch"))
    finally:
        for known in (packages.packages, packages.functions):
            known.cache_clear()


def test_the_loss_and_the_transforms_of_a_package_are_taken_by_name():
    assert find("torch.nn.functional.huber_loss", [module_metric], kind_of("loss")) is torch.nn.functional.huber_loss
    assert find("torchvision.transforms.ToTensor", [module_metric], anything()).__name__ == "ToTensor"
    assert find("torchvision.transforms.v2.Resize", [module_metric], anything()).__name__ == "Resize"
    assert find("torch.tensor", [module_metric], anything()) is torch.tensor
