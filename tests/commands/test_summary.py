"""--summary: every module with what comes out of it and what it holds, and nothing left behind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORDS = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from base import BaseDataLoader, BaseModel
from trainer.trainer import Trainer


class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"words": torch.arange(5) + index % 3, "length": 5, "label": index % 2}


class WordsLoader(BaseDataLoader):
    def __init__(self, batch_size=8, training=True):
        super().__init__(Words(), batch_size)


class Reader(BaseModel):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.embedding = nn.Embedding(10, 4)
        self.embedding.weight.requires_grad = False
        self.recurrent = nn.LSTM(4, 6, batch_first=True)
        self.same = self.twice = weight_norm(nn.Linear(6, 6, bias=False))
        self.tied = nn.Linear(4, 10, bias=False)
        self.tied.weight = self.embedding.weight
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def forward(self, batch):
        x, _ = self.recurrent(self.embedding(batch["words"]))
        x = self.twice(x)
        return {"scores": self.same(x[:, -1:]).squeeze(1)[:, :2] * self.scale, "hidden": (x,)}


class ReaderTrainer(Trainer):
    @staticmethod
    def read_batch(batch):
        return {"words": batch["words"]}, batch["label"]


def loss(output, target):
    return torch.nn.functional.cross_entropy(output["scores"], target)
"""


def table(output: str) -> dict[str, list[str]]:
    """The cells of each row by its first: type, output, parameters, trainable, buffers; of the totals only the last."""
    rows = [re.split(" {2,}", line.strip()) for line in output.splitlines()[1:]]
    return {name: cells for name, *cells in rows}


@pytest.fixture
def project(old_trainer: Path, project_copy: Path, run_command: Callable) -> Callable[..., Any]:
    """Runs --summary in a copy of the project with a model of dicts and tuples and a loop of its own."""

    def run(*options: str) -> Any:
        for folder in ("model", "data_loader", "trainer"):
            (project_copy / folder / "words.py").write_text(WORDS)
        config = {
            "name": "Words",
            "arch": {"type": "words.Reader"},
            "data_loader": {"type": "words.WordsLoader"},
            "optimizer": {"type": "SGD", "args": {"lr": 0.1}},
            "loss": "words.loss",
            "trainer": {"type": "words.ReaderTrainer", "epochs": 1},
        }
        (project_copy / "mine.json").write_text(json.dumps(config))
        done = run_command("train.py", "-c", "mine.json", "--summary", *options, cwd=project_copy)
        assert "Traceback" not in done.stderr
        assert not (project_copy / "saved").exists()
        return done

    return run


def test_the_table_of_the_shipped_config(command: Callable) -> None:
    done = command(None, "--summary")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.left == []
    assert done.stdout.splitlines()[0].split() == ["module", "type", "output", "parameters", "trainable", "buffers"]
    assert table(done.stdout) == {
        "(model)": ["DigitsModel", "[64, 10] float32", "-", "-", "-"],
        "conv1": ["Conv2d", "[64, 16, 8, 8] float32", "144", "144", "-"],
        "norm1": ["BatchNorm2d", "[64, 16, 8, 8] float32", "32", "32", "33"],
        "conv2": ["Conv2d", "[64, 32, 8, 8] float32", "4,608", "4,608", "-"],
        "norm2": ["BatchNorm2d", "[64, 32, 8, 8] float32", "64", "64", "65"],
        "conv3": ["Conv2d", "[64, 32, 4, 4] float32", "9,216", "9,216", "-"],
        "norm3": ["BatchNorm2d", "[64, 32, 4, 4] float32", "64", "64", "65"],
        "dropout": ["Dropout", "[64, 512] float32", "-", "-", "-"],
        "linear": ["Linear", "[64, 10] float32", "5,130", "5,130", "-"],
        "total": ["19,258", "19,258", "163"],
    }


def test_children_are_indented_below_their_parents(command: Callable, digits_config: dict[str, Any]) -> None:
    digits_config["arch"] = {"type": "ResNet", "args": {"in_channels": 1, "widths": [4]}}
    lines = command(None, "--summary").stdout.splitlines()
    depths = [(len(line) - len(line.lstrip()), line.split()[0]) for line in lines[1:8]]
    assert depths == [(0, "(model)"), (2, "stem"), (4, "0"), (4, "1"), (2, "blocks"), (4, "0"), (6, "first")]


def test_mixed_precision_is_shown_and_nothing_is_compiled(
    command: Callable, digits_config: dict[str, Any], tmp_path: Path
) -> None:
    digits_config["trainer"] |= {"compile": True, "amp": "bfloat16", "accumulation": 2}
    done = command(None, "--summary", TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "compiled"))
    assert table(done.stdout)["conv1"][1] == "[64, 16, 8, 8] bfloat16"
    assert done.left == []


def test_dicts_tuples_shared_modules_and_frozen_parameters(project: Callable) -> None:
    done = project()
    assert done.returncode == 0, done.stderr
    rows = table(done.stdout)
    assert rows["(model)"] == [
        "Reader",
        "{scores: [8, 2] float32, hidden: ([8, 5, 6] float32)}",
        *("1", "1", "6"),
    ]
    assert rows["embedding"] == ["Embedding", "[8, 5, 4] float32", "40", "-", "-"]
    sequence, state = "[8, 5, 6] float32", "[1, 8, 6] float32"
    assert rows["recurrent"] == ["LSTM", f"({sequence}, ({state}, {state}))", "288", "288", "-"]
    assert rows["same"][:2] == ["ParametrizedLinear", "[8, 5, 6] float32"]  # of its first call
    assert "twice" not in rows
    assert rows["tied"] == ["Linear", "-", "-", "-", "-"]
    assert rows["total"] == ["371", "331", "6"]  # 1 + 40 + 288 + 6 + 36


def test_a_step_that_fails_shows_how_far_it_came(command: Callable, digits_config: dict[str, Any]) -> None:
    digits_config["arch"] = {"type": "functions.SwishModel", "args": {"hidden": 5, "n_features": 33}}
    done = command(None, "--summary")
    assert done.returncode == 2
    assert table(done.stdout)["hidden"] == ["Linear", "-", "170", "170", "-"]
    (line,) = done.lines
    assert line.startswith("config.json:")
    assert "mat1 and mat2 shapes cannot be multiplied" in line
    assert done.left == []
    digits_config["arch"] = {"type": "DigitsModel", "args": {"num_classes": 3}}
    done = command(None, "--summary")
    assert table(done.stdout)["linear"][1] == "[64, 3] float32"
    assert "Target" in done.lines[0]


def test_a_loop_of_ones_own_has_a_table_without_outputs(project: Callable) -> None:
    done = project("-s", "trainer.type=old.Old")
    assert done.returncode == 0, done.stderr
    first, rest = done.stdout.split("\n", 1)
    assert first == "outputs not tried: Old has a loop of its own"
    assert table(rest)["embedding"] == ["Embedding", "-", "40", "-", "-"]


@pytest.mark.parametrize(
    ("option", "said"),
    [("arch.args.chanels=3", "did you mean 'channels'?"), ("~trainer", "the section 'trainer' is missing")],
)
def test_a_slip_is_one_line_and_no_table(command: Callable, option: str, said: str) -> None:
    done = command(None, "--summary", "-s", option)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.lines[0]
