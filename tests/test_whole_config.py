"""Inheritance, references, objects inside args and files of one's own together: what a run stores, and goes on from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

MODEL = """
from torch import nn

class Headed(nn.Module):
    def __init__(self, backbone: nn.Module, width: int, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.backbone(x.flatten(1)))
"""
TRAINER = """
from trainer.trainer import Trainer

class Noting(Trainer):
    def _train_epoch(self, epoch):
        self.logger.info("noted %s", self.config["mine"]["note"])
        return super()._train_epoch(epoch)
"""
BASE: dict[str, Any] = {
    "name": "base",
    "seed": 7,
    "mine": {"note": "seed ${seed} of $${seed}", "width": 64},
    "data_loader": {"type": "DigitsDataLoader", "args": {"batch_size": "${env:BATCH:-32}", "validation_split": 0.2}},
    "optimizer": {"type": "AdamW", "args": {"lr": 0.01, "betas": [0.9, 0.99]}},
    "loss": {"type": "CrossEntropyLoss", "args": {"weight": {"type": "torch.tensor", "args": {"data": [0.5] * 10}}}},
    "trainer": {"type": "noting.Noting", "epochs": 1, "threads": 1, "save_dir": "saved/"},
}
OWN: dict[str, Any] = {
    "extends": "base.json",
    "name": "whole",
    "arch": {
        "type": "headed.Headed",
        "args": {
            "backbone": {"type": "torch.nn.Linear", "args": {"in_features": 64, "out_features": "${mine.width}"}},
            "width": "${mine.width}",
            "num_classes": "${data.num_classes}",
        },
    },
    "optimizer": {"type": "SGD", "args": {"lr": 0.1}},
    "metrics": ["accuracy"],
    "lr_scheduler": {
        "type": "SequentialLR",
        "interval": "step",
        "args": {
            "schedulers": [
                {"type": "ConstantLR", "args": {"factor": 1, "total_iters": 3}},
                {
                    "type": "LinearLR",
                    "args": {"start_factor": 1, "end_factor": 0.5, "total_iters": "${run.total_steps}"},
                },
            ],
            "milestones": [3],
        },
    },
}


@pytest.fixture
def project(project_copy: Path) -> Path:
    folder = project_copy
    (folder / "model" / "headed.py").write_text(MODEL)
    (folder / "trainer" / "noting.py").write_text(TRAINER)
    (folder / "base.json").write_text(json.dumps(BASE))
    (folder / "own.json").write_text(json.dumps(OWN))
    return folder


def test_a_run_stores_the_resolved_whole_and_goes_on_from_it(project: Path, run_command: Callable) -> None:
    trained = run_command("train.py", "-c", "own.json", "--run-id", "run", cwd=project, BATCH="48")
    assert trained.returncode == 0, trained.stderr
    assert "noted seed 7 of ${seed}" in trained.stdout
    run = project / "saved" / "models" / "whole" / "run"
    stored = torch.load(run / "checkpoint-last.pth", weights_only=True)["config"]
    assert "extends" not in stored
    assert stored["optimizer"] == {"type": "SGD", "args": {"lr": 0.1, "fused": True}}
    assert stored["arch"]["args"]["num_classes"] == 10
    assert stored["arch"]["args"]["backbone"]["args"]["out_features"] == 64
    assert stored["data_loader"]["args"]["batch_size"] == 48
    steps = -(-1150 // 48)
    assert stored["lr_scheduler"]["args"]["schedulers"][1]["args"]["total_iters"] == steps
    assert stored["mine"]["note"] == "seed 7 of ${seed}"
    for name in ("base.json", "own.json"):
        (project / name).unlink()
    longer = run_command("train.py", "-r", run, "-s", "trainer.epochs=${trainer.threads}", cwd=project)
    assert "The run is finished" in longer.stdout, longer.stderr
    longer = run_command("train.py", "-r", run, "-s", "trainer.epochs=2", cwd=project)
    assert longer.returncode == 0, longer.stderr
    assert "noted seed 7 of ${seed}" in longer.stdout
    tested = run_command("test.py", "-r", run, cwd=project)
    assert tested.returncode == 0, tested.stderr
    written = json.loads((run / "config.json").read_text())
    assert written["mine"]["note"] == "seed 7 of $${seed}"
    again = run_command("train.py", "-c", run / "config.json", "--check", cwd=project)
    assert again.returncode == 0, again.stderr
