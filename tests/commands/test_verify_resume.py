"""--verify-resume: PASS on the shipped config; a difference and its likely cause where a project breaks the promise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

UNSEEDED = """
import os
import torch
from base import BaseDataLoader

class Drawn(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        return torch.tensor([b / 255 for b in os.urandom(64)]).view(1, 8, 8), index % 10

class Unseeded(BaseDataLoader):
    def __init__(self, batch_size: int = 16):
        super().__init__(Drawn(), batch_size)
"""
FORGETFUL = """
from trainer.trainer import Trainer

class Forgetful(Trainer):
    steps_seen = 0
    def _train_step(self, batches):
        self.steps_seen += 1
        for group in self.optimizer.param_groups:
            group["lr"] = 0.001 * self.steps_seen
        super()._train_step(batches)
"""


@pytest.fixture
def project(project_copy: Path) -> Path:
    folder = project_copy
    (folder / "data_loader" / "unseeded.py").write_text(UNSEEDED)
    (folder / "trainer" / "forgetful.py").write_text(FORGETFUL)
    return folder


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({}, 0, "PASS: after 9 steps weights, optimizer, schedule, batches and rows are equal bit for bit."),
        ({"data_loader": {"type": "unseeded.Unseeded"}}, 1, "likely cause: the data is not the same: a dataset or"),
        ({"trainer": {"type": "forgetful.Forgetful"}}, 1, "likely cause: state that no checkpoint holds: name it in"),
    ],
    ids=["exact", "dataset", "state"],
)
def test_the_proof(
    project: Path, digits_config: dict[str, Any], run_command: Callable, change: dict, code: int, said: str
) -> None:
    del digits_config["lr_scheduler"]
    for section, values in change.items():
        digits_config[section] = values if section == "data_loader" else digits_config[section] | values
    if "data_loader" in change:
        digits_config["trainer"]["monitor"] = "off"
    (project / "mine.json").write_text(json.dumps(digits_config))
    done = run_command("train.py", "-c", "mine.json", "--verify-resume", cwd=project)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list((project / "saved").glob("*")) if (project / "saved").exists() else True
