"""--check: builds everything, tries a step and a checkpoint, reports, and leaves nothing behind."""

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import train
from commands import check
from parse_config import ConfigParser
from settings.reading import read_config
from utils.errors import ConfigError


def test_a_config_that_trains_is_reported_and_leaves_nothing_behind(command: Callable, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    done = command(None, "--check", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert [path for path in done.left if "torchinductor" not in str(path)] == []  # a cache of torch's own
    assert done.stderr == ""
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines()[:-1])
    rows = {name: text.strip() for name, text in rows.items()}
    assert rows["model"] == "DigitsModel: 19,258 parameters, 19,258 of them trainable, 77 kB"
    assert re.match(r"\[64, 1, 8, 8\] float32, \[64\] int64 -> \[64, 10\] float32, loss 2\.", rows["train batch"])
    assert re.match(r"loss [0-9.]+, accuracy [0-9.]+, top_k_acc [0-9.]+ on the first batch", rows["validation"])
    assert rows["steps an epoch"] == "5; 2 epochs, 10 steps"
    assert re.fullmatch(r"about [0-9.]+ s; the run [0-9.]+ s", rows["time an epoch"])
    assert re.match(r"[0-9.]+ [MG]B", rows["peak memory"])
    assert re.match(r"250 kB, 3 kept: 7[45][0-9] kB of [0-9.]+ [MGT]B free", rows["checkpoint"]), rows["checkpoint"]


def wrong_shape(config: dict[str, Any]) -> None:
    config["arch"] = {"type": "ResNet", "args": {"widths": [4]}}


def too_few_classes(config: dict[str, Any]) -> None:
    config["arch"]["args"] = {"num_classes": 3}


def a_metric_that_asks_for_more(config: dict[str, Any]) -> None:
    config["metrics"] = [{"type": "top_k_acc", "args": {"k": 50}}]
    config["trainer"]["monitor"] = "off"


def a_loss_of_many_numbers(config: dict[str, Any]) -> None:
    config["loss"] = {"type": "cross_entropy", "args": {"reduction": "none"}}


def a_constructor_that_refuses(config: dict[str, Any]) -> None:
    config["optimizer"]["args"]["lr"] = -1.0


def no_batches(config: dict[str, Any]) -> None:
    config["data_loader"]["args"]["batch_size"] = 100_000


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (
            wrong_shape,
            r"config.json:\d+:5: arch: the model fails on a batch of \[64, 1, 8, 8\] float32: RuntimeError: ",
        ),
        (
            too_few_classes,
            r"config.json:\d+:5: loss: fails on output \[64, 3\] float32 and target \[64\] int64: IndexE",
        ),
        (a_metric_that_asks_for_more, r"config.json:\d+:9: metrics.0: fails on output \[64, 10\] .*metric.py:\d+\)"),
        (a_loss_of_many_numbers, r"config.json:\d+:5: loss: .*gives \[64\] float32, not one finite number"),
        (a_constructor_that_refuses, r"config.json:\d+:5: optimizer: AdamW: Invalid learning rate: -1.0 "),
        (no_batches, r".*the training data makes no batches: too few samples"),
    ],
)
def test_what_only_trying_can_tell_is_one_line_at_the_section_at_fault(
    digits_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable, line: str
) -> None:
    spoil(digits_config)
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(digits_config, indent=4))
    with pytest.raises(ConfigError) as caught:
        check.run(ConfigParser(read_config(Path("config.json"))), train.modules, train.build)
    logging.disable(logging.NOTSET)
    assert len(caught.value.faults) == 1, caught.value.faults
    assert re.match(line, caught.value.faults[0]), caught.value.faults[0]
    assert os.listdir(tmp_path) == ["config.json"]


def test_the_development_mode_shows_where_it_went_wrong(
    digits_config: dict[str, Any], tmp_path: Path, run_command: Callable
) -> None:
    too_few_classes(digits_config)
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    done = run_command("-X", "dev", "train.py", "-c", tmp_path / "config.json", "--check", PYTHONWARNINGS="ignore")
    assert "Traceback" in done.stderr
    assert "IndexError" in done.stderr
    assert done.returncode == 1
    assert os.listdir(tmp_path) == ["config.json"]
