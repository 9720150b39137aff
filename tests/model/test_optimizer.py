"""Optimizers of several kinds: they learn, and a resumed run ends bit for bit the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import model.model as module_arch
from model.optimizer import MuonAndAdamW
from parse_config import ConfigParser
from tests.faults.harness import Trainings
from train import build

ROOT = Path(__file__).parents[2]
CLOSURE = {"type": "closure.ClosureTrainer"}
KINDS: dict[str, dict[str, Any]] = {
    "Muon": {
        "optimizer": {
            "type": "MuonAndAdamW",
            "args": {"lr": 0.005, "muon_lr": 0.002},
            "groups": [{"params": "linear.bias", "muon": False}],
        },
        "lr_scheduler": {"type": "CosineAnnealingLR", "interval": "step", "warmup": 2, "args": {"T_max": "auto"}},
    },
    "LBFGS": {
        "optimizer": {"type": "LBFGS", "args": {"lr": 0.5, "max_iter": 4, "history_size": 5}},
        "arch": {"type": "DigitsModel", "args": {"dropout": 0.0}},
        "data_loader": {
            "type": "DigitsDataLoader",
            "args": {"batch_size": 640, "validation_split": 0.1, "augment": False},
        },
        "trainer": CLOSURE | {"accumulation": 2, "epochs": 8},  # a step an epoch
    },
    "schedule-free": {
        "optimizer": {"type": "schedulefree.AdamWScheduleFree", "args": {"lr": 0.01, "warmup_steps": 4}},
        "trainer": {"type": "schedule_free.ScheduleFreeTrainer"},
    },
    "recomputed": {"arch": {"type": "DigitsModel", "recompute": ["conv2", "conv3"]}, "trainer": {"ema_decay": 0.9}},
}


def config_of(folder: Path, kind: dict[str, Any]) -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    del config["lr_scheduler"]
    config["data_loader"]["args"] |= {"batch_size": 128, "augment": False}
    more = {"epochs": 3, "save_dir": str(folder), "log_step": 3, "save_steps": 4, "tensorboard": False}
    return config | kind | {"trainer": config["trainer"] | more | kind.get("trainer", {})}


@pytest.mark.parametrize("name", KINDS)
def test_it_learns_and_a_killed_run_ends_the_same(name: str, tmp_path: Path, start_command: Callable) -> None:
    if name == "schedule-free":
        pytest.importorskip("schedulefree")
    trainings = Trainings(tmp_path, config_of(tmp_path, KINDS[name]), start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#6")
    rows = (tmp_path / "log" / "Digits" / "whole" / "metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, rows) if row["kind"] == "epoch"]
    assert losses[-1] < 0.9 * losses[0]


def test_judged_and_tested_is_the_average_of_a_schedule_free_optimizer(tmp_path: Path, run_command: Callable) -> None:
    schedulefree = pytest.importorskip("schedulefree")
    config = config_of(tmp_path, KINDS["schedule-free"])
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "models" / "Digits" / "run"
    state = torch.load(run / "checkpoint-last.pth", weights_only=True)
    trained = build(ConfigParser(config)).model
    trained.load_state_dict(state["state_dict"])
    optimizer = schedulefree.AdamWScheduleFree(trained.parameters())
    optimizer.load_state_dict(state["optimizer"])
    optimizer.eval()
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(state["ema"][name], value, rtol=0, atol=0)
    assert not torch.equal(state["ema"]["linear.weight"], state["state_dict"]["linear.weight"])


def test_a_schedule_free_run_is_the_same_however_often_it_saves(tmp_path: Path, run_command: Callable) -> None:
    pytest.importorskip("schedulefree")
    (tmp_path / "config.json").write_text(json.dumps(config_of(tmp_path, KINDS["schedule-free"])))
    ends = []
    for run, often in (("often", "1"), ("seldom", "null")):
        options = ("-s", f"trainer.save_steps={often}", "--run-id", run)
        assert run_command("train.py", "-c", tmp_path / "config.json", *options).returncode == 0
        file = tmp_path / "models" / "Digits" / run / "checkpoint-last.pth"
        ends.append(torch.load(file, weights_only=True)["state_dict"])
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


def test_a_schedule_free_optimizer_asks_for_its_trainer(tmp_path: Path, run_command: Callable) -> None:
    pytest.importorskip("schedulefree")
    config = config_of(tmp_path, KINDS["schedule-free"])
    for trainer, said in (
        ({"type": "Trainer"}, 'AdamWScheduleFree keeps an average to be judged: write "type": "schedule_free.'),
        ({"ema_decay": 0.9}, "trainer.ema_decay: the optimizer has an average of its own"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | {"trainer": config["trainer"] | trainer}))
        refused = run_command("train.py", "-c", tmp_path / "config.json")
        assert refused.returncode == 2
        assert said in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_muon_takes_the_matrices_that_are_not_left_to_adamw() -> None:
    matrix, head, bias, kernel = (
        torch.nn.Parameter(torch.rand(shape)) for shape in ((3, 2), (2, 3), (3,), (2, 1, 3, 3))
    )
    optimizer = MuonAndAdamW([{"params": [matrix, bias, kernel]}, {"params": [head], "muon": False}])
    names = {
        name: [id(p) for group in part.param_groups for p in group["params"]] for name, part in optimizer.parts.items()
    }
    assert names == {"muon": [id(matrix)], "adamw": [id(bias), id(kernel), id(head)]}


def test_an_optimizer_that_needs_a_closure_says_which_trainer_gives_it(tmp_path: Path, run_command: Callable) -> None:
    config = config_of(tmp_path, {"optimizer": KINDS["LBFGS"]["optimizer"]})
    (tmp_path / "config.json").write_text(json.dumps(config))
    refused = run_command("train.py", "-c", tmp_path / "config.json")
    assert refused.returncode == 2
    assert 'LBFGS asks for the loss several times a step: write "type": "closure.ClosureTrainer"' in refused.stderr


def test_recomputing_activations_changes_no_weight(tmp_path: Path) -> None:
    """Of layers without batch normalisation, which would average twice."""
    ends = []
    for name in ("kept", "recomputed"):
        config = config_of(
            tmp_path / name, KINDS["recomputed"] if name == "recomputed" else {"trainer": {"ema_decay": 0.9}}
        )
        trainer = build(
            ConfigParser(config | {"trainer": config["trainer"] | {"max_steps": 3, "verbosity": 0}}, run_id="x")
        )
        trainer.train()
        ends.append(torch.cat([value.flatten().float() for value in trainer.model.state_dict().values()]))
    assert torch.equal(*ends)


def test_sparse_gradients_have_their_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bag(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.EmbeddingBag(64, 10, mode="sum", sparse=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pixels = x.flatten(1)
            return self.embedding(torch.arange(64).expand(len(x), 64), per_sample_weights=pixels)

    Bag.__module__ = module_arch.__name__
    monkeypatch.setattr(module_arch, "Bag", Bag, raising=False)
    config = config_of(tmp_path, {"arch": {"type": "Bag"}, "optimizer": {"type": "SparseAdam", "args": {"lr": 0.2}}})
    log = build(
        ConfigParser(config | {"trainer": config["trainer"] | {"epochs": 6, "verbosity": 0}}, run_id="x")
    ).train()
    assert log["val_accuracy"] > 0.8
