"""Runs of the shipped configs that have a trainer of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[2]


class Trained(NamedTuple):
    """What a run left: its epochs' rows, its folders, and what it said."""

    epochs: list[dict[str, Any]]
    models: Path
    log: Path
    said: str

    def images(self, tag: str) -> list[Any]:
        """The images under a tag of TensorBoard, in order."""
        return EventAccumulator(str(self.log), size_guidance={"images": 0}).Reload().Images(tag)


@pytest.fixture
def train_config(tmp_path: Path, run_command: Callable) -> Callable[..., Trained]:
    """Trains configs/NAME.json with values set, as `run-id` "run" or the one given."""

    def train(name: str, *values: str, run_id: str = "run") -> Trained:
        values = ("trainer.threads=1", f"trainer.save_dir={tmp_path}", *values)
        options = [option for value in values for option in ("-s", value)]
        done = run_command("train.py", "-c", ROOT / "configs" / f"{name}.json", "--run-id", run_id, *options)
        assert done.returncode == 0, done.stderr
        title = json.loads((ROOT / "configs" / f"{name}.json").read_text())["name"]
        log = tmp_path / "log" / title / run_id
        rows = [json.loads(row) for row in (log / "metrics.jsonl").read_text().splitlines()]
        epochs = [row for row in rows if row["kind"] == "epoch"]
        return Trained(epochs, tmp_path / "models" / title / run_id, log, done.stdout + done.stderr)

    return train


@pytest.fixture
def tested(run_command: Callable) -> Callable[[Path], dict[str, float]]:
    """What test.py finds of a run."""

    def test(models: Path) -> dict[str, float]:
        done = run_command("test.py", "-r", models)
        assert done.returncode == 0, done.stderr
        return json.loads((models / "test.json").read_text())["metrics"]

    return test
