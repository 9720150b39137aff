"""ManualTrainer: the gradient as a formula trains what autograd trains."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "manual_backward.json"
UNEVEN = ("data_loader.args.batch_size=1293", "trainer.max_steps=4")  # a pass is 1293 samples and 1


@pytest.fixture
def train(tmp_path: Path, run_command: Callable) -> Callable[..., dict[str, Any]]:
    """Trains the shipped config with other values; gives the last checkpoint."""

    def run(run_id: str, *sets: str, processes: int = 1) -> dict[str, Any]:
        sets = ("trainer.threads=1", "trainer.tensorboard=false", f"trainer.save_dir={tmp_path}", *sets)
        command = ["train.py", "-c", CONFIG, "--run-id", run_id, *(part for value in sets for part in ("-s", value))]
        if processes == 1:
            done = run_command(*command)
        else:
            launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            whole = [*launcher, str(processes), *map(str, command)]
            done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        run = tmp_path / "models" / "ManualBackward" / run_id
        return torch.load(run / "checkpoint-last.pth", weights_only=True)

    return run


def rows_of(folder: Path, run_id: str) -> list[dict[str, Any]]:
    text = (folder / "log" / "ManualBackward" / run_id / "metrics.jsonl").read_text()
    return [json.loads(row) | {"kind": 0} for row in text.splitlines()]


def assert_equal_weights(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, weights in first["state_dict"].items():
        assert weights.dtype == torch.float32
        torch.testing.assert_close(weights, second["state_dict"][name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "sets",
    [
        ("trainer.max_steps=5",),
        ("trainer.epochs=1",),
        ("trainer.epochs=1", "trainer.accumulation=4"),  # the last group of the pass has one batch
        ("trainer.epochs=1", "trainer.clip_grad_norm=0.1", "optimizer.args.momentum=0.9", "trainer.ema_decay=0.5"),
        UNEVEN,
    ],
    ids=["some steps", "an epoch", "accumulation", "clipping, momentum, average", "uneven batches"],
)
def test_it_trains_what_autograd_trains(train: Callable, tmp_path: Path, sets: tuple[str, ...]) -> None:
    manual = train("manual", *sets)
    automatic = train("automatic", "trainer.type=Trainer", *sets)
    assert manual["step"] == automatic["step"]
    assert_equal_weights(manual, automatic)
    for row, other in zip(rows_of(tmp_path, "manual"), rows_of(tmp_path, "automatic"), strict=True):
        assert row == pytest.approx(other, rel=1e-5)


def test_two_processes_train_what_one_trains_also_with_an_empty_share(train: Callable) -> None:
    assert_equal_weights(train("alone", *UNEVEN), train("two", *UNEVEN, processes=2))


@pytest.mark.parametrize(
    "value",
    [
        'loss={"type": "cross_entropy", "args": {"label_smoothing": 0.1}}',
        "loss=nll_loss",
        'arch={"type": "DigitsModel"}',
        'arch={"type": "functions.SwishModel"}',
    ],
)
def test_what_the_formula_is_not_for_is_refused(run_command: Callable, tmp_path: Path, value: str) -> None:
    done = run_command("train.py", "-c", CONFIG, "-s", f"trainer.save_dir={tmp_path / 'runs'}", "-s", value)
    assert done.returncode == 2
    assert "trainer.type: the formula is that of linear.LinearModel with cross_entropy" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
