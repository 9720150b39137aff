"""Several losses as one, each in the log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    {"type": "cross_entropy", "weight": 0.5},
    {"type": "MultiMarginLoss", "weight": 2.0, "name": "margin"},
    "multi_margin_loss",
]


def train(loss: Any, folder: Path, run_command: Callable, *options: str) -> Any:
    config = json.loads((ROOT / "config.json").read_text()) | {"loss": loss}
    config["trainer"] |= {"max_steps": 4, "save_dir": str(folder), "log_step": 1}
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    return run_command("train.py", "-c", file, "--run-id", "run", *options)


def test_the_loss_is_the_weighted_sum_and_every_part_is_logged(tmp_path: Path, run_command: Callable) -> None:
    done = train(PARTS, tmp_path, run_command, "-s", "trainer.monitor=min val_margin")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(row) for row in (tmp_path / "log" / "Digits" / "run" / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        for part in ("", "val_") if row["kind"] == "epoch" else ("",):
            values = [row[part + name] for name in ("cross_entropy", "margin", "multi_margin_loss")]
            assert row[part + "loss"] == pytest.approx(0.5 * values[0] + 2 * values[1] + values[2], rel=1e-5)
            assert values[1] == pytest.approx(values[2])
    tested = run_command("test.py", "-r", tmp_path / "models" / "Digits" / "run")
    assert tested.returncode == 0, tested.stderr
    assert "margin" in tested.stdout


def test_two_of_one_name_are_one_line(tmp_path: Path, run_command: Callable) -> None:
    done = train(["cross_entropy", {"type": "cross_entropy", "weight": 2.0}], tmp_path, run_command)
    assert done.returncode == 2
    assert "'cross_entropy' is the name of loss.0 too" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


GROWING = """
import torch

class Growing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, output, target):
        if torch.is_grad_enabled():
            self.steps += 1
        return torch.nn.functional.cross_entropy(output, target) + 100 * self.steps
"""


def test_a_loss_with_a_state_is_tested_with_that_of_its_checkpoint(
    tmp_path: Path, project_copy: Path, run_command: Callable
) -> None:
    (project_copy / "model" / "growing.py").write_text(GROWING)
    config = json.loads((ROOT / "config.json").read_text()) | {"loss": {"type": "growing.Growing"}}
    config["trainer"] |= {"max_steps": 4, "save_dir": str(tmp_path), "monitor": "off"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run", cwd=project_copy)
    assert trained.returncode == 0, trained.stderr
    run = tmp_path / "models" / "Digits" / "run"
    tested = run_command("test.py", "-r", run, cwd=project_copy)
    assert tested.returncode == 0, tested.stderr
    assert 400 < json.loads((run / "test.json").read_text())["metrics"]["loss"] < 500
