"""Weights to begin with, frozen layers, options of their own by pattern: what the config says is what trains."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import model.model as module_arch
from parse_config import ConfigParser
from train import build
from utils.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    config["lr_scheduler"] = None
    config["trainer"] = {"epochs": 1, "max_steps": 3, "save_dir": str(tmp_path), "verbosity": 0, "save_steps": 2}
    return config


def built(config: dict[str, Any]) -> Any:
    return build(ConfigParser({key: value for key, value in config.items() if value is not None}, run_id="run"))


def test_a_parameter_joins_the_first_group_that_matches_and_the_rest_stands_first(config: dict[str, Any]) -> None:
    config["optimizer"]["groups"] = [
        {"params": "linear.*", "lr": 0.5},
        {"params": ["*.bias", "norm*"], "weight_decay": 0},
    ]
    trainer = built(config)
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    groups = [[names[id(parameter)] for parameter in group["params"]] for group in trainer.optimizer.param_groups]
    assert groups[0] == ["conv1.weight", "conv2.weight", "conv3.weight"]
    assert groups[1] == ["linear.weight", "linear.bias"]
    assert sorted(groups[2]) == sorted(f"norm{n}.{part}" for n in (1, 2, 3) for part in ("weight", "bias"))
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.005, 0.5, 0.005]
    assert trainer.optimizer.param_groups[2]["weight_decay"] == 0


def test_what_is_frozen_stays_and_the_rest_trains(config: dict[str, Any]) -> None:
    config["arch"]["freeze"] = ["conv*", "norm1.*"]
    trainer = built(config)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    same = {name for name, value in trainer.model.named_parameters() if torch.equal(value, before[name])}
    assert same == {"conv1.weight", "conv2.weight", "conv3.weight", "norm1.weight", "norm1.bias"}


@pytest.mark.parametrize("kind", ["tensors", "checkpoint"])
def test_weights_that_fit_are_taken_and_the_head_is_new(kind: str, config: dict[str, Any], tmp_path: Path) -> None:
    source = module_arch.DigitsModel(num_classes=3)
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict() if kind == "tensors" else {"state_dict": source.state_dict()}, path)
    config["arch"]["weights"] = str(path)
    model = built(config).model
    assert torch.equal(model.conv2.weight, source.conv2.weight)
    assert model.linear.weight.shape == (10, 512)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("arch", "freeze", ["convolution*"], "no parameter matches 'convolution*' (nearest: conv3.weight, "),
        ("optimizer", "groups", [{"params": "head.*", "lr": 1}], "no parameter matches 'head.*'"),
        ("arch", "weights", "nowhere.pth", "nowhere.pth: no such file"),
        ("arch", "weights", str(ROOT), "is a folder; give model_best.pth in it"),
        ("arch", "weights", str(ROOT / "config.json"), "not a checkpoint, or a damaged one"),
        ("arch", "freeze", "conv1.*", "is not a list"),
    ],
)
def test_what_matches_nothing_or_cannot_be_read_is_one_line(
    section: str, key: str, value: Any, said: str, config: dict[str, Any]
) -> None:
    config[section][key] = value
    with pytest.raises(ConfigError) as caught:
        built(config)
    assert len(caught.value.faults) == 1
    assert said in str(caught.value)


def test_a_resumed_run_needs_its_weights_file_no_more_and_ends_the_same(
    config: dict[str, Any], tmp_path: Path, run_command: Callable
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(module_arch.DigitsModel().state_dict(), path)
    config["arch"] |= {"weights": str(path), "freeze": ["conv1.*"]}
    config["optimizer"]["groups"] = [{"params": "linear.*", "lr": 0.1}]
    del config["lr_scheduler"]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    whole = run_command("train.py", "-c", file, "--run-id", "whole", "-s", "trainer.max_steps=6")
    assert whole.returncode == 0, whole.stderr
    assert run_command("train.py", "-c", file, "--run-id", "broken").returncode == 0
    path.unlink()
    again = run_command("train.py", "-r", tmp_path / "models" / "Digits" / "broken", "-s", "trainer.max_steps=6")
    assert again.returncode == 0, again.stderr
    ends = [
        torch.load(tmp_path / "models" / "Digits" / run / "checkpoint-last.pth", weights_only=True)
        for run in ("whole", "broken")
    ]
    assert all(torch.equal(value, ends[1]["state_dict"][name]) for name, value in ends[0]["state_dict"].items())
    assert len(ends[0]["optimizer"]["param_groups"]) == 2


def test_a_rate_that_is_changed_on_a_resume_leaves_groups_with_one_of_their_own(
    config: dict[str, Any], tmp_path: Path, run_command: Callable
) -> None:
    config["optimizer"]["groups"] = [{"params": "linear.*", "lr": 0.1}]
    del config["lr_scheduler"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run").returncode == 0
    run = tmp_path / "models" / "Digits" / "run"
    changes = ("-s", "trainer.max_steps=4", "-s", "optimizer.args.lr=0.002", "-s", "+optimizer.args.weight_decay=0.3")
    assert run_command("train.py", "-r", run, *changes).returncode == 0
    groups = torch.load(run / "checkpoint-last.pth", weights_only=True)["optimizer"]["param_groups"]
    assert [group["lr"] for group in groups] == [0.002, 0.1]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.3]


def test_lazy_modules_get_their_shapes_from_the_first_batch(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lazy(torch.nn.Sequential):
        def __init__(self) -> None:
            super().__init__(torch.nn.Flatten(), torch.nn.LazyLinear(10))

    Lazy.__module__ = module_arch.__name__
    monkeypatch.setattr(module_arch, "Lazy", Lazy, raising=False)
    config["arch"] = {"type": "Lazy"}
    trainer = built(config)
    assert trainer.model[1].weight.shape == (10, 64)
    trainer.train()
    config["seed"] = 1
    again = built(config).model
    again.load_state_dict(trainer.model.state_dict())
    assert torch.equal(again[1].weight, trainer.model[1].weight)
