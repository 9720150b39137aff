"""ConfigParser: the face of settings/."""

import argparse
import json
import logging
import sys
from typing import Any

import click
import pytest
import torch
import yaml

import model.model as module_arch
from parse_config import ConfigParser, CustomArgs
from utils.errors import ConfigError

OPTIONS = [CustomArgs(["--lr"], type=float, target="optimizer;args;lr")]


@pytest.fixture
def from_command(monkeypatch, tmp_path):
    """What ConfigParser.from_args makes of a command line; hooks and handlers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def of(*arguments: Any, parser: Any = None, options: Any = OPTIONS) -> ConfigParser:
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        return ConfigParser.from_args(parser or click.Command("train"), options)

    yield of
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def config_file(tmp_path, digits_config):
    digits_config["trainer"]["save_dir"] = str(tmp_path / "runs")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(digits_config, indent=4))
    return path


def make(tmp_path, **sections: Any) -> ConfigParser:
    return ConfigParser({"name": "Digits", "trainer": {"save_dir": str(tmp_path)}, **sections}, run_id="run")


@pytest.fixture(autouse=True)
def restored_logging():
    """start_run opens an info.log; it is closed again."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers


def test_reading_a_config_and_a_command_line_writes_nothing(from_command, config_file, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    config = from_command("-c", config_file, "--lr", "0.5", "-s", "trainer.epochs=7")
    config.init_obj("arch", module_arch)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folders_are_made_when_they_are_asked_for_and_only_once(tmp_path):
    config = make(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert config.save_dir == tmp_path / "models" / "Digits" / "run"
    assert config.log_dir == tmp_path / "log" / "Digits" / "run"
    config.start_run()
    assert [path.name for path in (tmp_path / "models" / "Digits").iterdir()] == ["run"]
    assert (config.log_dir / "info.log").exists()


def test_two_runs_of_the_same_second_do_not_collide(tmp_path):
    first, second = make(tmp_path), make(tmp_path)
    assert first.save_dir != second.save_dir
    assert first.log_dir != second.log_dir
    assert (first.run_id, second.run_id) == ("run", "run_1")


def test_the_folders_can_be_set_before_the_run_starts(tmp_path):
    config = make(tmp_path)
    config.save_dir = tmp_path / "mine"
    config.log_dir = str(tmp_path / "mine" / "log")
    assert config.save_dir == tmp_path / "mine"
    assert config.log_dir == tmp_path / "mine" / "log"
    assert config.log_dir.is_dir()


def test_the_folders_can_be_set_after_the_run_has_started(tmp_path):
    config = make(tmp_path)
    config.start_run()
    config.save_dir = str(tmp_path / "mine")
    config.log_dir = tmp_path / "log2"
    assert (config.save_dir, config.log_dir) == (tmp_path / "mine", tmp_path / "log2")


def test_an_empty_run_id_keeps_the_runs_of_a_name_in_one_folder(tmp_path):
    for _ in range(2):
        config = ConfigParser({"name": "Digits", "trainer": {"save_dir": str(tmp_path)}}, run_id="")
        assert config.save_dir == tmp_path / "models" / "Digits"


def test_sections_are_plain_dicts_that_can_be_changed(tmp_path):
    config = make(tmp_path, metrics=["accuracy"])
    config["trainer"]["epochs"] = 5
    config["metrics"].append("f1")
    assert type(config["trainer"]) is dict
    assert config.config["trainer"]["epochs"] == 5
    assert config.get("metrics") == ["accuracy", "f1"]


def test_a_section_that_is_not_there_has_a_default_and_else_an_error_with_those_that_are(tmp_path):
    config = make(tmp_path)
    assert "arch" not in config
    assert "trainer" in config
    assert config.get("arch") is None
    assert config.get("arch", 3) == 3
    with pytest.raises(KeyError, match="no section 'arch'; it has name, trainer"):
        config["arch"]


def test_sections_that_nothing_asked_for_are_unread(tmp_path):
    config = make(tmp_path, mine={}, arch={"type": "DigitsModel"}, loss="mse_loss", seed=1)
    config.init_obj("arch", module_arch)
    config.init_callables("loss", torch.nn.functional)
    config.get("trainer")
    assert "mine" in config
    assert config.unread() == ["mine", "seed"]


def test_objects_and_functions_are_built_from_what_the_config_names(tmp_path):
    optimizer = {"type": "SGD", "args": {"lr": "auto", "momentum": 0.5}}
    config = make(tmp_path, arch={"type": "DigitsModel", "args": {"channels": 2}}, optimizer=optimizer, loss="nll_loss")
    model = config.init_obj("arch", module_arch, num_classes=3)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    built = config.init_obj("optimizer", torch.optim, model.parameters(), lr=0.25)
    assert (built.param_groups[0]["lr"], built.param_groups[0]["momentum"]) == (0.25, 0.5)
    assert config.init_ftn("loss", torch.nn.functional) is torch.nn.functional.nll_loss
    make_model = config.init_ftn("arch", module_arch, num_classes=4)
    assert make_model()(torch.zeros(1, 1, 8, 8)).shape == (1, 4)


def test_an_error_of_a_constructor_is_one_line_at_the_section(from_command, config_file):
    config = from_command("-c", config_file, "--lr", "-1")
    with pytest.raises(ConfigError) as caught:
        config.init_obj("optimizer", torch.optim, [torch.zeros(1, requires_grad=True)])
    assert len(caught.value.faults) == 1
    assert str(caught.value).startswith(f"{config_file}:")
    assert "optimizer: AdamW: Invalid learning rate: -1" in str(caught.value)


def test_losses_and_metrics_are_a_list_of_callables(tmp_path):
    top_k = {"type": "l1_loss", "args": {"reduction": "sum"}}
    config = make(tmp_path, loss="MSELoss", metrics=["mse_loss", top_k])
    modules = (torch.nn.functional, torch.nn)
    assert [loss.__name__ for loss in config.init_callables("loss", modules)] == ["MSELoss"]
    metrics = config.init_callables("metrics", modules)
    assert [metric.__name__ for metric in metrics] == ["mse_loss", "l1_loss"]
    assert metrics[1](torch.zeros(3), torch.ones(3)).item() == 3


def test_a_modification_sets_values_by_key_path_makes_what_is_missing_and_skips_none(tmp_path):
    changes = {"optimizer;args;lr": 0.5, ("trainer", "epochs"): 9, "seed": None, "metrics;0": "f1"}
    config = ConfigParser({"metrics": ["accuracy"]}, modification=changes)
    assert config.config == {
        "metrics": ["f1"],
        "optimizer": {"args": {"lr": 0.5}},
        "trainer": {"epochs": 9},
    }


@pytest.mark.parametrize("parser", [click.Command("train"), argparse.ArgumentParser()], ids=["click", "argparse"])
def test_the_command_line_changes_the_config_and_says_where_a_value_is_from(from_command, config_file, parser):
    config = from_command("-c", config_file, "--lr", "0.5", "-s", "trainer.epochs=7", "--run-id", "x", parser=parser)
    assert config["optimizer"]["args"]["lr"] == 0.5
    assert config["trainer"]["epochs"] == 7
    assert config.where("optimizer", "args", "lr") == "--lr 0.5"
    assert config.where("trainer", "epochs") == "-s trainer.epochs=7"
    assert config.where("seed").startswith(f"{config_file}:")
    assert (config.run_id, config.args["lr"], config.resume) == ("x", 0.5, None)


def test_the_folder_that_the_command_line_sets_is_where_the_run_lies(from_command, config_file, tmp_path):
    config = from_command(
        "-c", config_file, "-s", f"trainer.save_dir={tmp_path}/other", "-s", "name=N", "--run-id", "x"
    )
    assert config.save_dir == tmp_path / "other" / "models" / "N" / "x"


def test_a_config_in_yaml_is_read_by_its_extension(from_command, digits_config, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(digits_config))
    assert from_command("-c", tmp_path / "config.yaml").config == digits_config


def test_a_value_of_the_wrong_kind_is_left_for_the_check_to_tell(from_command, config_file):
    for change in ("trainer.save_dir=3", "name=3", "trainer=3"):
        assert isinstance(from_command("-c", config_file, "-s", change), ConfigParser)


def test_a_run_id_is_one_name_and_cannot_lead_elsewhere(from_command, config_file):
    for run_id in ("../up", "/abs", "a/b"):
        with pytest.raises(ConfigError, match="--run-id"):
            from_command("-c", config_file, "--run-id", run_id)
