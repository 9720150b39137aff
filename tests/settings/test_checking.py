"""check: every fault of a config at once, in the order of the file."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional

import data_loader.data_loaders as module_data
import model.loss as module_loss
import model.metric as module_metric
import model.model as module_arch
import model.optimizer as module_optimizer
import trainer as module_trainer
from base import BaseTrainer
from base.trainer_options import TrainerOptions
from settings.checking import check
from settings.read_json import read_json
from trainer.trainer import Trainer
from utils.errors import ConfigError

LOSSES = (module_loss, torch.nn.functional, torch.nn.modules.loss)
MODULES = {
    "arch": (module_arch,),
    "data_loader": (module_data,),
    "valid_data_loader": (module_data,),
    "optimizer": (torch.optim,),
    "lr_scheduler": (torch.optim.lr_scheduler,),
    "loss": LOSSES,
    "metrics": (module_metric, *LOSSES[1:]),
    "trainer": (module_trainer,),
}


@dataclass
class MyOptions(TrainerOptions):
    alpha: float = 0.5


class MyTrainer(Trainer):
    Options = MyOptions


class OwnLoop(BaseTrainer):
    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        return {"loss": 0.0}


@pytest.fixture(autouse=True)
def in_the_projects_folder(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.fixture
def faults(digits_config):
    """The faults of the shipped config with values changed, each without its place."""

    def of(*changes: tuple[str, Any], **modules: Any) -> list[str]:
        return [line.split(": ", 1)[1] for line in lines(changed(digits_config, *changes), **modules)]

    return of


def changed(config: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for path, value in changes:
        *keys, last = path.split(".")
        node: Any = config
        for key in keys:
            node = node[int(key) if isinstance(node, list) else key]
        node[last] = value
        if value is ...:
            del node[last]
    return config


def without_metrics(path: str) -> list[tuple[str, Any]]:
    """Nothing is judged by a metric where the metrics are changed."""
    return [("trainer.monitor", "off")] if path == "metrics" else []


def lines(config: dict[str, Any], **modules: Any) -> list[str]:
    try:
        check(read_json(json.dumps(config, indent=4), "config.json"), MODULES | modules)
    except ConfigError as error:
        return error.faults
    return []


def test_the_shipped_config_has_no_fault(faults):
    assert faults() == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("my_section", {"anything": [1]}),
        ("optimizer_d", {"type": "Whatever"}),
        ("train_data_loader", {"type": "Whatever"}),
        ("trainer.alpha", 0.5),
        ("trainer.sample_every", "never"),
        ("data_loader.note", "mine"),
        ("loss", "nll_loss"),
        ("loss", "mse_loss"),
        ("loss", "CrossEntropyLoss"),
        ("loss", {"type": "CrossEntropyLoss", "args": {"label_smoothing": 0.1}}),
        ("loss", {"type": "cross_entropy", "args": {"label_smoothing": 0.1}}),
        ("metrics", []),
        ("metrics", [{"type": "top_k_acc", "args": {"k": 5}}]),
        ("metrics", ["accuracy", "mse_loss", {"type": "accuracy", "name": "again"}]),
        ("optimizer", {"type": "SGD", "args": {"lr": 0.1, "momentum": 0.9}}),
        ("optimizer", {"type": "Muon"}),
        ("valid_data_loader", {"type": "DigitsDataLoader", "args": {"num_workers": 2}}),
        ("lr_scheduler.args.max_lr", "auto"),
        ("trainer.monitor", "max val_accuracy"),
        ("trainer.monitor", "off"),
        ("lr_scheduler.monitor", "val_top_k_acc"),
        ("lr_scheduler", ...),
        ("metrics", ...),
        ("trainer.type", "Trainer"),
    ],
)
def test_what_can_be_built_or_is_the_projects_own_is_no_fault(faults, path, value):
    assert faults((path, value), *without_metrics(path)) == []


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("optimzer", {}, "optimzer: unknown; did you mean 'optimizer'?"),
        ("trainer.epohcs", 3, "trainer.epohcs: unknown; did you mean 'epochs'?"),
        ("lr_scheduler.intervall", "step", "lr_scheduler.intervall: unknown; did you mean 'interval'?"),
        ("arch.agrs", {}, "arch.agrs: unknown; did you mean 'args'?"),
        ("seed", 1.5, "seed: 1.5 is not a whole number"),
        ("metrics", "accuracy", 'metrics: "accuracy" is not a list'),
        ("metrics", None, "metrics: null is not a list"),
        ("arch", "DigitsModel", 'arch: "DigitsModel" is not an object'),
        ("arch.type", ..., "arch: has no 'type'"),
        ("arch.args", [], "arch.args: is not an object in braces {...}"),
        ("arch.args.channels", "16", 'arch.args.channels: "16" is not a whole number (model/model.py:'),
        ("arch.args.channels", True, "arch.args.channels: true is not a whole number (model/model.py:"),
        (
            "arch.args.chanels",
            8,
            "arch.args.chanels: DigitsModel takes no 'chanels'; did you mean 'channels'? (model/model.py:",
        ),
        (
            "data_loader.args.num_wrokers",
            2,
            "data_loader.args.num_wrokers: DigitsDataLoader takes no 'num_wrokers'; did you mean 'num_workers'? "
            "(data_loader/data_loaders.py:",
        ),
        (
            "data_loader",
            {"type": "MnistDataLoader", "args": {}},
            "data_loader.args: MnistDataLoader needs the argument 'data_dir' (data_loader/data_loaders.py:",
        ),
        (
            "optimizer",
            {"type": "AdamW", "args": {"params": []}},
            "optimizer.args.params: AdamW takes no 'params'; there is ",
        ),
        (
            "optimizer.args.weight_decay",
            "1e-3",
            'optimizer.args.weight_decay: "1e-3" is not a number (torch.optim.AdamW)',
        ),
        ("optimizer.type", "Adamm", "optimizer.type: no 'Adamm' in torch.optim; did you mean 'Adam' or "),
        (
            "loss",
            "cross_entrpy",
            "loss: no 'cross_entrpy' in model.loss or torch.nn.functional or torch.nn.modules.loss; did you ",
        ),
        ("metrics", ["acuracy"], "metrics.0: no 'acuracy' in model.metric or "),
        (
            "metrics",
            ["accuracy", {"type": "top_k_acc", "args": {"kk": 3}}],
            "metrics.1.args.kk: top_k_acc takes no 'kk'; did you mean 'k'? (model/metric.py:",
        ),
        (
            "metrics",
            ["accuracy", {"type": "accuracy"}],
            "metrics.1: 'accuracy' is the name of metrics.0 too; give it a ",
        ),
        (
            "metrics",
            [{"type": "accuracy", "name": "loss"}],
            "metrics.0: 'loss' is the name of the loss too; give it a ",
        ),
        ("metrics", [3], 'metrics.0: write a name, or {"type": NAME, "args": {...}}'),
        ("metrics", [["accuracy"]], 'metrics.0: write a name, or {"type": NAME, "args": {...}}'),
        ("trainer.epochs", "3", 'trainer.epochs: "3" is not a whole number or null (base/trainer_options.py:'),
        ("trainer.epochs", 0, "trainer.epochs: must be 1 or more"),
        ("trainer.type", "Trainr", "trainer.type: no 'Trainr' in trainer; did you mean 'Trainer'?"),
        ("trainer.type", "Clock", "trainer.type: "),
        ("trainer.monitor", "min val_lss", "trainer.monitor: the log will have no 'val_lss'; did you mean 'val_loss'?"),
        ("trainer.monitor", "val_loss", "trainer.monitor: 'val_loss'; write 'min NAME', 'max NAME' or 'off'"),
        ("lr_scheduler.monitor", "vall_loss", "lr_scheduler.monitor: the log will have no 'vall_loss'; did you mean "),
        ("lr_scheduler.interval", "steps", "lr_scheduler.interval: "),
        ("name", "../up", "name: '../up' cannot be the name of a folder"),
        ("name", "/abs", "name: '/abs' cannot be the name of a folder"),
        ("name", " ", "name: ' ' cannot be the name of a folder"),
        ("extends", "base.json", "extends: only a config file can extend others"),
        ("config_version", 2, "config_version: this version reads config_version 1"),
        ("loss", 5, "loss: "),
    ],
)
def test_a_fault_is_one_line_that_says_what_to_write(faults, path, value, line):
    found = faults((path, value), *without_metrics(path))
    assert len(found) == 1, found
    assert found[0].startswith(line)


@pytest.mark.parametrize("section", ["arch", "data_loader", "optimizer", "loss", "trainer"])
def test_a_section_that_is_needed_is_missed_unless_it_is_only_misspelt(faults, digits_config, section):
    assert faults((section, ...)) == [f"the section {section!r} is missing"]
    assert faults((section, ...), (f"{section}x", digits_config[section])) == [
        f"{section}x: unknown; did you mean {section!r}?"
    ]


def test_an_argument_that_is_misspelt_is_not_missed_too(faults):
    found = faults(("data_loader", {"type": "MnistDataLoader", "args": {"data_dri": "x"}}))
    assert len(found) == 1
    assert "did you mean 'data_dir'?" in found[0]


def test_a_misspelt_metric_is_not_missed_in_the_log_too(faults):
    assert len(faults(("metrics", ["acuracy"]), ("trainer.monitor", "max val_accuracy"))) == 1


def test_all_faults_come_at_once_with_their_places_in_the_order_of_the_file(digits_config):
    config = changed(
        digits_config,
        ("trainer.monitor", 3),
        ("optimizer.type", "Adamm"),
        ("arch.args.chanels", 3),
        ("seed", "x"),
        ("metrics", ["acuracy"]),
    )
    text = json.dumps(config, indent=4).splitlines()
    found = lines(config)
    assert [line.split(": ")[1] for line in found] == [
        "seed",
        "arch.args.chanels",
        "optimizer.type",
        "metrics.0",
        "trainer.monitor",
    ]
    for line in found:
        _, row, column = line.split(": ")[0].split(":")
        key = line.split(": ")[1].split(".")[-1].replace("0", "acuracy")
        assert text[int(row) - 1][int(column) - 1 :].startswith(f'"{key}"')


def test_the_options_of_a_trainer_of_ones_own_are_checked(faults):
    mine = ModuleType(__name__)
    mine.MyTrainer = MyTrainer  # type: ignore[attr-defined]
    found = faults(("trainer.type", "MyTrainer"), ("trainer.alpha", "x"), ("trainer.alhpa", 1), trainer=(mine,))
    assert found[0].startswith('trainer.alpha: "x" is not a number (tests/settings/test_checking.py:')
    assert found[1:] == ["trainer.alhpa: unknown; did you mean 'alpha'?"]


def test_what_a_trainer_with_a_loop_of_its_own_will_log_is_not_guessed(faults):
    mine = ModuleType(__name__)
    mine.OwnLoop = OwnLoop  # type: ignore[attr-defined]
    assert faults(("trainer.type", "OwnLoop"), ("trainer.monitor", "min whatever"), trainer=(mine,)) == []


@pytest.mark.parametrize(
    ("group", "line"),
    [
        (
            {"params": "linear.*", "lrr": 0.5},
            "optimizer.groups.0.lrr: AdamW takes no 'lrr'; did you mean 'lr'? (torch.",
        ),
        ({"params": "linear.*", "weight_decay": "no"}, 'optimizer.groups.0.weight_decay: "no" is not a number'),
        ({"params": "linear.*", "muon": False}, "optimizer.groups.0.muon: AdamW takes no 'muon'; "),
        ({"params": 3}, "optimizer.groups.0.params: 3 is not a text or a list (a text each)"),
        ({"weight_decay": 0.1}, "optimizer.groups.0: needs 'params', a pattern of names or a list of them"),
        (
            {"params": "*", "lr": 0.5},
            "optimizer.groups.0.lr: OneCycleLR sets the rate itself; change lr_scheduler.args",
        ),
    ],
)
def test_a_group_says_only_what_the_optimizer_goes_by(faults, group, line):
    found = faults(("optimizer.groups", [group]))
    assert len(found) == 1, found
    assert found[0].startswith(line)


def test_a_group_may_have_arguments_of_the_optimizer_and_a_rate_where_the_schedule_leaves_it(faults):
    schedule = ("lr_scheduler", {"type": "StepLR", "args": {"step_size": 1}})
    group = {"params": ["linear.*", "norm*"], "lr": 0.1, "betas": [0.8, 0.9]}
    assert faults(("optimizer.groups", [group]), schedule) == []


def test_a_group_of_muon_and_adamw_says_only_which_of_them_takes_it(faults):
    section = {"type": "MuonAndAdamW", "groups": [{"params": "linear.*", "muon": False}]}
    assert faults(("optimizer", section), optimizer=(module_optimizer,)) == []
    section["groups"][0] |= {"lr": 0.1}
    found = faults(("optimizer", section), ("lr_scheduler", None), optimizer=(module_optimizer,))
    assert found == ["optimizer.groups.0.lr: a group of MuonAndAdamW takes no 'lr'; there is muon, params"]


def test_a_trainer_for_optimizers_with_an_average_takes_no_other(faults):
    line = 'trainer: AdamW keeps no average to be judged: write "type": "Trainer"'
    assert faults(("trainer.type", "schedule_free.ScheduleFreeTrainer")) == [line]


def test_what_a_function_that_builds_an_optimizer_asks_of_a_trainer_is_not_guessed(faults):
    def quick(params: Any, lr: float = 0.1) -> torch.optim.Optimizer:
        return torch.optim.AdamW(params, lr=lr)

    mine = ModuleType(__name__)
    mine.quick = quick  # type: ignore[attr-defined]
    assert faults(("optimizer", {"type": "quick", "args": {"lr": 0.2}}), optimizer=(mine,)) == []


def test_only_sections_with_a_module_are_looked_up(digits_config):
    config = changed(digits_config, ("optimizer.type", "Nonsense"))
    check(read_json(json.dumps(config), "c"), {"arch": (module_arch,)})
