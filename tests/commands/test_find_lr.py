"""--find-lr: suggests a rate that trains, draws the curve, and leaves nothing else behind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SUGGESTED = re.compile(r"Suggested: (\S+), where the smoothed loss falls most steeply")
LOSSES = """
import torch

def falling(output, target):
    return -output.float().pow(2).mean()          # below zero, and falling for ever

def constant(output, target):
    return 0 * output.sum() + 1

def refusing(output, target):
    if not output.isfinite().all():
        raise ValueError("not finite")
    return torch.nn.functional.cross_entropy(output, target).clamp(max=3)
"""
SILENT = """
from trainer.trainer import Trainer

class Silent(Trainer):
    def _train_step(self, batches):
        pass
"""


@pytest.fixture
def project(
    old_trainer: Path, project_copy: Path, digits_config: dict[str, Any], run_command: Callable
) -> Callable[..., Any]:
    """Runs --find-lr in a copy of the project with losses and trainers of its own."""

    def run(*options: str) -> Any:
        (project_copy / "model" / "odd.py").write_text(LOSSES)
        (project_copy / "trainer" / "silent.py").write_text(SILENT)
        (project_copy / "mine.json").write_text(json.dumps(digits_config | {"metrics": []}))
        sets = [part for option in ("trainer.monitor=off", *options) for part in ("-s", option)]
        done = run_command("train.py", "-c", "mine.json", "--find-lr", *sets, cwd=project_copy)
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_rate_is_suggested_the_same_each_time_and_only_the_picture_is_left(command: Callable, tmp_path: Path) -> None:
    first = command(None, "--find-lr")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    picture = tmp_path / "runs" / "find_lr" / "Digits.png"
    assert f"The curve: {picture}" in first.stdout
    assert first.left == [tmp_path / "runs", picture.parent, picture]
    with Image.open(picture) as image:
        image.verify()
        assert image.format == "PNG"
    drawn = picture.read_bytes()
    second = command(None, "--find-lr")
    assert second.stdout == first.stdout
    assert second.left == []
    assert picture.read_bytes() == drawn


def test_what_it_says_to_paste_trains_with_and_without_a_schedule_that_has_a_highest_rate(
    command: Callable, digits_config: dict[str, Any], tmp_path: Path
) -> None:
    for key in ("lr_scheduler.args.max_lr", "optimizer.args.lr"):
        if key == "optimizer.args.lr":
            del digits_config["lr_scheduler"]
        found = command(None, "--find-lr", "-s", "trainer.verbosity=0")
        rate = SUGGESTED.search(found.stdout)[1]
        assert 1e-3 < float(rate) < 1e-1  # five epochs with AdamW end best between 0.003 and 0.1
        assert f"Use it: -s {key}={rate}, or" in found.stdout
        trained = command(None, "-s", f"{key}={rate}")
        assert trained.returncode == 0, trained.stderr
    assert len(list((tmp_path / "runs" / "models" / "Digits").iterdir())) == 2


def test_a_run_that_follows_is_the_one_it_would_have_been(command: Callable, tmp_path: Path) -> None:
    for run_id in ("before", "after"):
        assert command(None, "--run-id", run_id).returncode == 0
        assert command(None, "--find-lr").returncode == 0
    logs = [tmp_path / "runs" / "log" / "Digits" / run_id / "metrics.jsonl" for run_id in ("before", "after")]
    assert logs[0].read_bytes() == logs[1].read_bytes()
    assert command(None, "-r", tmp_path / "runs" / "models" / "Digits" / "before", "--find-lr").lines == [
        "--find-lr tries rates on a new model: give it -c CONFIG without -r"
    ]


def test_rates_that_are_too_high_are_not_tried(command: Callable) -> None:
    done = command(None, "--find-lr", "-s", "optimizer.type=SGD", "-s", "+optimizer.args.momentum=0.9")
    assert done.stdout.splitlines()[0] == "   rate   smoothed loss"
    assert "stopped there: the loss is more than 4 times its best" in done.stdout
    assert "\n  1e+01 " not in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["loss=odd.constant"], 1, "the loss fell at no rate by more than it varies"),
        (["loss=odd.falling"], 0, "Suggested: "),
        (["loss=odd.refusing", "optimizer.type=SGD", "optimizer.args.lr=1"], 0, "Suggested: "),
        (["+trainer.type=silent.Silent"], 2, "trainer: a step has no loss: let _train_step call self.train_metrics.up"),
        (["+trainer.type=old.Old"], 2, "--find-lr makes steps; Old has a loop of its own"),
        (["arch.args.num_classes=3"], 2, "trainer: a step: IndexError: Target"),
        (["lr_scheduler.args.max_lrr=3"], 2, "max_lr"),
    ],
    ids=["constant", "negative", "refusing", "silent", "own loop", "fault", "fault of the schedule"],
)
def test_odd_losses_and_trainers(project: Callable, options: list[str], code: int, said: str) -> None:
    done = project(*options)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_a_picture_that_cannot_be_written_is_one_line(command: Callable, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, where a folder should be")
    done = command(None, "--find-lr")
    assert done.returncode == 1
    assert re.fullmatch(r"runs/find_lr/Digits.png: cannot be written: .+", *done.lines)
