"""A config or a checkpoint from a stranger runs no code, however it asks for it."""

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from parse_config import ConfigParser
from utils.checkpoint import write
from utils.errors import ConfigError
from utils.safe_loading import plain_data_only

ROOT = Path(__file__).parent.parent
SECTIONS = ("arch", "data_loader", "optimizer", "lr_scheduler", "loss", "metrics", "trainer")
NAMES = [
    # other packages
    *("os.system", "os.execv", "os", "posix.system", "builtins.eval", "builtins.exec", "builtins.__import__"),
    *("subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_output", "pickle.loads"),
    *("pickle.load", "importlib.import_module", "runpy.run_path", "shutil.rmtree", "pathlib.Path", "ctypes.CDLL"),
    *("webbrowser.open", "numpy.load", "yaml.unsafe_load", "click.edit", "tqdm.os.system"),
    # what loads or runs code in the packages that may be named
    *("torch.hub.load", "torch.load", "torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline"),
    *("torch.utils.model_zoo.load_url", "torch.utils.checkpoint.checkpoint", "torch.serialization.load"),
    *("torch.jit.load", "torch.jit.script", "torch.jit.CompilationUnit", "torch.jit.ScriptModule"),
    *("torch.ScriptModule", "torch.package.PackageImporter", "torch.fx.GraphModule", "torch.fx.symbolic_trace"),
    *("torch.ops.load_library", "torch.classes.load_library", "torch.compile", "torch.export.load"),
    *("torch.onnx.export", "torch.library.custom_op", "torch.multiprocessing.spawn", "torch.distributed.run.main"),
    *("torch.distributed.nn.RemoteModule", "torch.utils.data.datapipes.iter.FileOpener", "torch.save"),
    *("torchvision.datasets.LSUN", "torchvision.datasets.utils.download_url", "torchvision.io.read_file"),
    *("torchvision.datasets.utils.extract_archive", "timm.utils.model.reparameterize_model"),
    # re-exports: through a module of another package
    *("torch.os.system", "torch.sys.exit", "torch.builtins.exec", "torch.importlib.import_module"),
    *("torch.nn.modules.module.torch.load", "torch.optim.optimizer.torch.hub.load", "torchvision.torch.load"),
    *("torchvision.datasets.folder.os.system", "torchvision.datasets.mnist.shutil.rmtree"),
    *("torchvision.models.resnet.torch.hub.load", "torch.utils.data.dataloader.os.system"),
    *("torchvision.datasets.folder.Path", "torchvision.datasets.cifar.pickle.load"),
    # what makes code of what it is given, unpickles, runs a shell, or writes where it is told
    *(
        "torch.ao.quantization.quantize_fx.fuse_fx",
        "torch.quantization.quantize_fx.fuse_fx",
        "torch.nn.quantized.Linear",
    ),
    *("torchvision.models.feature_extraction.create_feature_extractor", "timm.models.GraphExtractNet"),
    *(
        "timm.models.FeatureGraphNet",
        "timm.models.resnet18",
        "timm.data.ImageDataset",
        "timm.data.IterableImageDataset",
    ),
    *("timm.data.readers.reader_hfds.ReaderHfds", "timm.models.load_checkpoint", "torchmetrics.text.BERTScore"),
    *("torchmetrics.multimodal.CLIPScore", "model." * 3000 + "X"),
    # of Albumentations: what calls functions, reads files that it is told of, stores and loads
    *("albumentations.Lambda", "albumentations.augmentations.other.lambda_transform.Lambda", "albumentations.FDA"),
    *("albumentations.HistogramMatching", "albumentations.PixelDistributionAdaptation", "albumentations.TextImage"),
    *("albumentations.load", "albumentations.save", "albumentations.from_dict", "albumentations.read_rgb_image"),
    *("albumentations.core.hub_mixin.HubMixin", "albumentations.core.serialization.load", "albumentations.os.system"),
    *(
        "albumentations.check_for_updates",
        "albumentations.check_version.check_for_updates",
        "albumentations.BboxParams",
    ),
    *("albumentations.Compose.from_pretrained", "albumentations.core.composition.random.Random"),
    *("albumentations.pytorch.transforms.torch.load", "albumentations.augmentations.crops.transforms.cv2.imread"),
    *("schedulefree.ScheduleFreeWrapper", "schedulefree.adamw_schedulefree.torch.load"),
    # attributes that are no modules
    *("torch.nn.Module.load_state_dict", "torch.nn.Linear.__init__.__globals__", "torch.__builtins__"),
    *("torch.nn.__builtins__.eval", "torch._C._load_for_lite_interpreter", "torch.optim.Optimizer.__class__"),
    # the project's own files, and what they only import
    *("model.model.nn", "model.model.F.torch", "files.np.load", "files.gzip.open", "files.Path", "data_loaders.dist"),
    *("files.download", "transforms.torch.load", "trainer.trainer.clip_grad_norm_", "Path", "generator", "nn", "F"),
    *("train.main", "new_project.main", "parse_config.ConfigParser", "utils.util.write_json", "base.BaseModel"),
    *("..os.system", "os..system", ".", "__import__", "__class__", "eval", "system", "os:system", "os/system"),
]


@pytest.fixture
def stranger(digits_config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    digits_config["trainer"]["save_dir"] = str(tmp_path / "runs")
    return digits_config


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path: Path):
    """No attack has left its mark, and none has made a folder."""
    yield
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "runs").exists()


def refused(config: dict[str, Any]) -> list[str]:
    """The lines with which building a config is refused."""
    with pytest.raises(ConfigError) as caught:
        train.build(ConfigParser(copy.deepcopy(config)))
    return caught.value.faults


def naming(name: str, section: str, tmp_path: Path) -> Any:
    spec = {"type": name, "args": {"command": f"touch {tmp_path / 'owned'}"}}
    return [spec] if section == "metrics" else {"type": name, "epochs": 1} if section == "trainer" else spec


def test_the_table_is_long_enough():
    assert len(set(NAMES)) == len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_no_section_takes_it(name: str, stranger: dict[str, Any], tmp_path: Path):
    for section in SECTIONS:
        lines = refused(stranger | {section: naming(name, section, tmp_path)})
        assert any(f"{section}.type" in line or f"{section}.0.type" in line for line in lines), lines


@pytest.mark.parametrize("name", NAMES)
def test_no_argument_takes_it(name: str, stranger: dict[str, Any], tmp_path: Path):
    spec = naming(name, "arch", tmp_path)
    folder = {"type": "torchvision.datasets.DatasetFolder", "args": {"root": str(tmp_path), "loader": spec}}
    for section, value in {
        "data_loader": {"type": "DigitsDataLoader", "args": {"transform": {"a": [[{"b": spec}]]}}},
        "valid_data_loader": {"type": "BaseDataLoader", "args": {"dataset": folder}},
        "arch": {"type": "torch.nn.Sequential", "args": {"args": [spec]}},
        "loss": {"type": "CrossEntropyLoss", "args": {"weight": spec}},
        "lr_scheduler": {"type": "LambdaLR", "args": {"lr_lambda": spec}},
    }.items():
        assert refused(stranger | {section: value})


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("data_loader", {"type": "DigitsDataLoader", "args": {"collate_fn": "os.system"}}),
        ("data_loader", {"type": "DigitsDataLoader", "args": {"worker_init_fn": "torch.hub.load"}}),
        ("data_loader", {"type": "BaseDataLoader", "args": {"dataset": "os.system"}}),
        ("lr_scheduler", {"type": "LambdaLR", "args": {"lr_lambda": "lambda epoch: __import__('os').system('x')"}}),
        ("arch", {"type": "torch.nn.Sequential(__import__('os').system('x'))"}),
        ("arch", {"type": ["os.system"]}),
        ("arch", {"type": {"type": "os.system"}}),
        ("loss", "torch.hub.load"),
        ("metrics", ["os.system"]),
        ("trainer", {"type": "os.system", "epochs": 1}),
        ("optimizer", {"type": "torch.optim.lr_scheduler.LRScheduler"}),
        ("lr_scheduler", {"type": "torch.optim.SGD", "args": {"lr": 1}}),
        ("arch", {"type": "torch.optim.SGD", "args": {"lr": 1}}),
        ("arch", {"type": "torchvision.datasets.FakeData"}),
        ("data_loader", {"type": "torch.nn.Linear", "args": {"in_features": 1, "out_features": 1}}),
        ("loss", {"type": "torch.nn.functional.linear"}),
        ("loss", {"type": "torch.tensor.backward"}),
    ],
)
def test_a_text_a_list_and_an_object_of_another_kind_are_refused(section, value, stranger):
    assert refused(stranger | {section: value})


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("albumentations.", "os.", "torch.load"))])
def test_no_list_of_transforms_takes_it(name: str, stranger: dict[str, Any], tmp_path: Path):
    spec = naming(name, "arch", tmp_path)
    args = {"data_dir": str(tmp_path)}
    for number, loader in enumerate(
        [
            {"type": "DigitsDataLoader", "args": {"augment": [spec]}},
            {"type": "DigitsDataLoader", "args": {"augment": spec}},
            {"type": "ImageFolderDataLoader", "args": args | {"transforms": [spec]}},
            {"type": "ImageFolderDataLoader", "args": args | {"valid_transforms": [spec]}},
        ]
    ):
        assert any(".type: " in line for line in refused(stranger | {"data_loader": loader})), number


def test_a_part_of_a_pipeline_of_albumentations_is_no_way_to_a_function(stranger):
    pytest.importorskip("albumentations")
    for function in ("os.system", "torch.hub.load", "albumentations.read_rgb_image"):
        masked = {"type": "albumentations.Equalize", "args": {"mask": {"type": function}}}
        composed = {"type": "albumentations.Compose", "args": {"transforms": [masked]}}
        lines = refused(stranger | {"data_loader": {"type": "DigitsDataLoader", "args": {"augment": [composed]}}})
        assert "augment.0.args.transforms.0.args.mask.type: " in lines[0]
    read = {"type": "albumentations.Compose", "args": {"transforms": [{"type": "albumentations.FDA"}]}}
    assert (
        "is closed to configs"
        in refused(stranger | {"data_loader": {"type": "DigitsDataLoader", "args": {"augment": read}}})[0]
    )


def test_the_makers_of_code_are_not_reached_through_names_of_layers(stranger, tmp_path):
    """torch.fx writes the names of submodules into Python source as they are."""
    name = f'a",None),getattr(__import__("os"),"system")("touch {tmp_path}/owned") #'
    layers = {
        name: {"type": "torch.nn.Flatten"},
        "g": {"type": "torch.nn.Linear", "args": {"in_features": 64, "out_features": 10}},
    }
    modules = {"type": "torch.nn.ModuleDict", "args": {"modules": layers}}
    getter = {
        "type": "torchvision.models.segmentation.deeplabv3.IntermediateLayerGetter",
        "args": {"model": modules, "return_layers": {"g": "out"}},
    }
    for maker in ("torch.ao.quantization.quantize_fx.fuse_fx", "torch.fx.symbolic_trace", "torch.compile"):
        assert refused(stranger | {"arch": {"type": maker, "args": {"model": getter}}})
    assert "letters, digits" in refused(stranger | {"arch": getter})[0]


@pytest.mark.parametrize("key", ["cache_dir", "pretrained_cfg", "pretrained_cfg_overlay"])
def test_where_weights_come_from_and_go_to_is_not_a_configs_to_say(stranger, tmp_path, key):
    pytest.importorskip("timm")
    args = {"model_name": "resnet18", "pretrained": True, key: {"url": f"file://{tmp_path}/evil.py"}}
    assert (
        f"arch.args.{key}: is not for a config to say"
        in refused(stranger | {"arch": {"type": "timm.create_model", "args": args}})[0]
    )


def test_an_environment_variable_does_not_leave_the_machine(stranger):
    pytest.importorskip("timm")
    args = {"model_name": "hf-hub:${env:HOME}/x"}
    assert (
        "takes no environment variable" in refused(stranger | {"arch": {"type": "timm.create_model", "args": args}})[0]
    )


def test_configs_that_never_end_are_refused(tmp_path, run_command):
    for number in range(28):
        (tmp_path / f"e{number}.json").write_text(json.dumps({"extends": [f"e{number + 1}.json"] * 2}))
    (tmp_path / "e28.json").write_text("{}")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    (tmp_path / "kernel.json").write_text(json.dumps({"extends": "/proc/kmsg"}))
    for name, line in (
        ("e0.json", "more than 100 files"),
        ("bomb.yaml", "more than 100,000 values"),
        ("kernel.json", ""),
    ):
        done = run_command("train.py", "-c", tmp_path / name, timeout=20)
        assert done.returncode == 2, done
        assert line in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "value", ['!!bool "zz"', '!!int ""', '!!timestamp "zz"', '"\\UFFFFFFFF"', "!!float x", "!!binary x"]
)
def test_a_yaml_value_that_is_none_is_one_line(value, tmp_path, monkeypatch):
    from settings.reading import read_config

    (tmp_path / "odd.yaml").write_text(f"seed: {value}\n")
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "odd.yaml")
    assert len(caught.value.faults) == 1


def endless() -> dict[str, Any]:
    config: dict[str, Any] = {}
    config["self"] = config
    return config


@pytest.mark.parametrize(
    "change",
    [
        {"format": torch.tensor(1)},
        {"epoch": "x"},
        {"step": torch.tensor(3)},
        {"extra": 3},
        {"log": None},
        {"fingerprint": []},
        {"config": {"seed": torch.tensor(1)}},
        {"config": {"arch": {"type": {1, 2}}}},
        {"config": {"arch": {"args": {3: 4}}}},
        {"config": {"name": b"x"}},
        {"config": endless()},
    ],
    ids=str,
)
def test_a_checkpoint_that_is_not_what_it_says_is_one_line(change, tmp_path):
    from utils.checkpoint import read

    state = {"format": 1, "name": "x", "arch": "x", "epoch": 0, "step": 0, "state_dict": {}, "config": {}}
    torch.save(state | {"log": {}, "fingerprint": {}, "extra": {}} | change, tmp_path / "odd.pth")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "odd.pth")
    assert len(caught.value.faults) == 1


def test_a_module_of_the_project_does_not_pass_on_what_it_imports(stranger, tmp_path, monkeypatch):
    """The file is the user's own; what it has imported is not the config's to call."""
    package = tmp_path / "stranger_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(
        "from os import system\nfrom subprocess import Popen\nfrom torch import load\nimport subprocess\n"
        "from torch.jit import ScriptModule\nfrom torch.nn import Module\n"
        "def fetch(command):\n    return system(command)\n"
        "class Net(Module):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import stranger_models.nets as nets  # type: ignore[import-not-found]

    for name in ("system", "Popen", "load", "fetch", "nets.system", "nets.Popen", "nets.subprocess.run", "nets.fetch"):
        config = ConfigParser({"arch": naming(name, "arch", tmp_path)})
        with pytest.raises(ConfigError):
            config.check(arch=nets)
    with pytest.raises(ConfigError):
        ConfigParser({"arch": {"type": "ScriptModule"}}).check(arch=nets)
    missing = refused(stranger | {"arch": {"type": "Net"}})
    assert "no 'Net' in model.model" in missing[0]


def test_yaml_runs_nothing(tmp_path, run_command):
    (tmp_path / "config.yaml").write_text(f"name: !!python/object/apply:os.system ['touch {tmp_path}/owned']\n")
    done = run_command("train.py", "-c", tmp_path / "config.yaml")
    assert done.returncode == 2
    assert re.fullmatch(r".*config.yaml:1:7: the tag .* is not for configs\n", done.stderr)


def test_a_config_inside_a_checkpoint_has_no_more_rights(stranger, tmp_path, run_command):
    stranger["arch"] = naming("os.system", "arch", tmp_path)
    state = {"format": 1, "name": "x", "arch": "x", "epoch": 0, "step": 0, "state_dict": {}, "config": stranger}
    state |= {"log": {}, "fingerprint": {}, "extra": {}}
    write(state, tmp_path / "gift.pth")
    for script in ("train.py", "test.py"):
        done = run_command(script, "-r", tmp_path / "gift.pth", "-s", f"trainer.save_dir={tmp_path}")
        assert done.returncode == 2, done.stderr
        assert "arch.type: 'os.system'" in done.stderr
        assert "Traceback" not in done.stderr


def test_what_a_config_extends_is_read_as_a_config_not_run(tmp_path, run_command):
    (tmp_path / "base.py").write_text(f"open('{tmp_path}/owned', 'w')\n")
    (tmp_path / "config.json").write_text(json.dumps({"extends": "base.py"}))
    done = run_command("train.py", "-c", tmp_path / "config.json")
    assert done.returncode == 2
    assert "base.py:1:1: expected a value" in done.stderr


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_other_peoples_code_loads_plain_data_only_whatever_it_and_the_environment_say(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"a": Evil(tmp_path / "owned")}, tmp_path / "evil.pth")
    with plain_data_only(), pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "evil.pth", weights_only=False)
    with plain_data_only(enabled=False):
        assert torch.load(tmp_path / "evil.pth", weights_only=False)["a"] is None  # Path.touch has run: the proof works
    (tmp_path / "owned").unlink()


def test_timm_does_not_unpickle_a_checkpoint_that_a_config_names(stranger, tmp_path):
    pytest.importorskip("timm")
    torch.save({"state_dict": {"a": Evil(tmp_path / "owned")}}, tmp_path / "evil.pth")
    args = {"model_name": "resnet18", "checkpoint_path": str(tmp_path / "evil.pth")}
    assert refused(stranger | {"arch": {"type": "timm.create_model", "args": args}})


@pytest.mark.parametrize("path", ["attacker/${env:HOME}", "attacker/${name}"])
def test_no_server_is_told_what_the_environment_says(stranger, path):
    section = {"type": "hub.HubDataLoader", "args": {"path": path, "input": "x", "target": "y"}}
    faults = refused(stranger | {"name": "${env:HOME}", "data_loader": section})
    assert any("data_loader.args.path: takes no environment variable" in fault for fault in faults), faults
