"""Several processes under torchrun train what one process trains."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent

# no batch norm and no dropout: with them, shares of a batch are another computation than the whole
DRIVER = """
import json, sys
sys.path.insert(0, {root!r})
import torch
import model.model
from parse_config import ConfigParser
from train import main
from utils import dist

class Flat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, x):
        return self.layer(x.flatten(1))

model.model.Flat = Flat
file, run, *resume = sys.argv[1:]
main(ConfigParser(json.load(open(file)), resume=resume[0] if resume else None, run_id=run))
dist.stop()
"""


@pytest.fixture
def train_on(tmp_path: Path) -> Any:
    """Trains a linear model with so many processes; gives back its last checkpoint and its rows."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(root=str(ROOT)))

    def train(processes: int, config: dict[str, Any], run: str, resume: Path | None = None) -> tuple[dict, list[dict]]:
        file = tmp_path / f"{run}.json"
        file.write_text(json.dumps(config))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(launcher if processes > 1 else []), str(driver), str(file), run]
        finished = subprocess.run(
            command + ([str(resume)] if resume else []), cwd=ROOT, capture_output=True, text=True, timeout=180
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        rows = (tmp_path / "log" / "Flat" / run / "metrics.jsonl").read_text().splitlines()
        checkpoint = torch.load(tmp_path / "models" / "Flat" / run / "checkpoint-last.pth", weights_only=True)
        return checkpoint, [json.loads(row) for row in rows]

    return train


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Two batches a pass, the second with a single sample: with two processes, one has an empty share."""
    config = json.loads((ROOT / "config.json").read_text()) | {"name": "Flat", "arch": {"type": "Flat"}}
    config["data_loader"]["args"] |= {"batch_size": 1293, "drop_last": False}
    del config["lr_scheduler"]
    config["trainer"] = {"epochs": 3, "save_dir": str(tmp_path), "log_step": 1, "threads": 1, "monitor": "min val_loss"}
    return config


def assert_close(first: tuple[dict, list[dict]], second: tuple[dict, list[dict]]) -> None:
    for key, weights in first[0]["state_dict"].items():
        torch.testing.assert_close(weights, second[0]["state_dict"][key], rtol=1e-4, atol=1e-6)
    for row, other in zip(first[1], second[1], strict=True):
        assert row.keys() == other.keys()
        assert row["kind"] == other["kind"]
        assert row | {"kind": 0} == pytest.approx(other | {"kind": 0}, rel=1e-4)


def test_two_and_three_processes_train_what_one_trains_also_with_empty_shares(train_on: Any, config: Any) -> None:
    alone = train_on(1, config, "alone")
    assert_close(alone, train_on(2, config, "two"))
    assert_close(alone, train_on(3, config, "three"))


def test_accumulated_gradients_are_those_of_one_process(train_on: Any, config: Any) -> None:
    config["data_loader"]["args"]["batch_size"] = 431
    config["trainer"] |= {"accumulation": 2, "clip_grad_norm": 0.5, "epochs": 2}
    assert_close(train_on(1, config, "alone"), train_on(2, config, "two"))


def test_a_checkpoint_goes_from_one_process_to_two_and_back(train_on: Any, config: Any, tmp_path: Path) -> None:
    whole = train_on(1, config, "whole")
    short = json.loads(json.dumps(config))
    short["trainer"]["epochs"] = 1
    train_on(1, short, "first")
    last = tmp_path / "models" / "Flat" / "first" / "checkpoint-last.pth"
    longer = json.loads(json.dumps(config))
    longer["trainer"]["epochs"] = 2
    train_on(2, longer, "second", resume=last)
    last = tmp_path / "models" / "Flat" / "second" / "checkpoint-last.pth"
    again = train_on(1, config, "third", resume=last)
    for key, weights in whole[0]["state_dict"].items():
        torch.testing.assert_close(weights, again[0]["state_dict"][key], rtol=1e-4, atol=1e-6)


def test_two_processes_train_the_teacher_that_one_trains(train_on: Any, config: Any) -> None:
    config |= {"teacher": {"type": "Flat", "epochs": 3}, "optimizer": {"type": "SGD", "args": {"lr": 0.5}}}
    config["data_loader"]["args"]["batch_size"] = 1291  # the last batch has three samples: two and one
    config["trainer"] |= {"type": "distill.DistillTrainer", "epochs": 1}
    (alone, _), (two, _) = train_on(1, config, "alone"), train_on(2, config, "two")
    torch.testing.assert_close(alone["extra"]["teacher"], two["extra"]["teacher"], rtol=1e-4, atol=1e-6)
