"""--find-batch-size: the largest that fits and what to write; what failed stays nowhere, and no run is touched."""

import json
import logging
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from commands import find_batch_size
from commands.find_batch_size import Facts, Row
from parse_config import ConfigParser
from utils.errors import ConfigError

ROW = re.compile(r" *(\d+) +[\d,]+ +[\d,]+ MB")
MODELS = """
import torch
from model.model import DigitsModel

class Small(DigitsModel):
    most, why = 32, staticmethod(lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    def forward(self, x):
        if len(x) > self.most:
            raise self.why()
        return super().forward(x)

class Unallocatable(Small):
    why = staticmethod(lambda: torch.empty(2**60))   # what torch says on the CPU

class Nothing(Small):
    most = 0

class Many(Small):
    def forward(self, x):
        if len(x) < 2:
            raise ValueError("Expected more than 1 value per channel when training")
        return super().forward(x)

class Wrong(Small):
    def forward(self, x):
        raise ValueError("wrong")

class Hungry(Small):
    most = 4
    def forward(self, x):
        self.training or (_ for _ in ()).throw(self.why()) if len(x) > 2 else None
        return super().forward(x)
"""
LOADER = """
import torch

class Plain(torch.utils.data.DataLoader):
    def __init__(self, batch_size: int = 16, drop_last: bool = False):
        data = torch.utils.data.TensorDataset(torch.rand(40, 1, 8, 8), torch.arange(40) % 10)
        super().__init__(data, batch_size, drop_last=drop_last)

class Fixed:
    def __len__(self):
        return 3
    def __iter__(self):
        return iter([(torch.rand(4, 1, 8, 8), torch.arange(4))] * 3)
"""


@pytest.fixture
def project(project_copy: Path, digits_config: dict[str, Any], run_command: Callable) -> Callable[..., Any]:
    """Runs --find-batch-size in a copy of the project with models and loaders of its own."""

    def run(*options: str) -> Any:
        (project_copy / "model" / "sized.py").write_text(MODELS)
        (project_copy / "data_loader" / "others.py").write_text(LOADER)
        (project_copy / "mine.json").write_text(json.dumps(digits_config))
        sets = [part for option in ("trainer.monitor=off", *options) for part in ("-s", option)]
        done = run_command("train.py", "-c", "mine.json", "--find-batch-size", *sets, cwd=project_copy)
        assert "Traceback" not in done.stderr
        done.sizes = [int(match[1]) for match in map(ROW.fullmatch, done.stdout.splitlines()) if match]
        return done

    return run


def test_sizes_are_tried_until_the_samples_end_and_nothing_is_left(command: Callable) -> None:
    done = command(None, "--find-batch-size")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.left == []
    title, *rows, end, largest, fits, larger = done.stdout.splitlines()
    assert title == "batch size   samples/s      memory"
    assert [int(ROW.fullmatch(row)[1]) for row in rows] == [2**power for power in range(11)]
    assert end == "stopped there: there are 1,294 samples"
    assert largest == "The largest batch that fits: 1024"
    assert fits == "The config's 64 fit, nothing to accumulate."
    assert larger.endswith("another rate: -s data_loader.args.batch_size=1024")


@pytest.mark.parametrize("model", ["Small", "Unallocatable"])
def test_a_batch_that_does_not_fit_ends_it_and_the_steps_samples_are_kept(project: Callable, model: str) -> None:
    done = project(f"arch.type=sized.{model}", "data_loader.args.batch_size=96", "trainer.accumulation=2")
    assert done.returncode == 0, done.stderr
    assert done.sizes == [1, 2, 4, 8, 16, 32]
    assert done.stdout.splitlines()[-4:] == [
        "stopped there: 64 does not fit",
        "The largest batch that fits: 32",
        "The 192 samples of a step fit in 6 batches: -s data_loader.args.batch_size=32 -s trainer.accumulation=6",
        'or in the config: "batch_size": 32, "accumulation": 6',
    ]


def test_what_it_says_to_paste_trains(project: Callable, project_copy: Path, run_command: Callable) -> None:
    said = project("arch.type=sized.Small", "data_loader.args.batch_size=90").stdout
    options = re.search(r"in 3 batches: (.+)", said)[1].split()
    assert options == ["-s", "data_loader.args.batch_size=30", "-s", "trainer.accumulation=3"]
    wanted = ["-s", "arch.type=sized.Small", *options, "--run-id", "it", "-s", "trainer.tensorboard=false"]
    trained = run_command("train.py", "-c", "mine.json", *wanted, cwd=project_copy)
    assert trained.returncode == 0, trained.stderr


@pytest.mark.parametrize(
    ("options", "code", "sizes", "said"),
    [
        (["arch.type=sized.Nothing"], 1, [], "no batch size fits: try a smaller model"),
        (["arch.type=sized.Many"], 0, [2, 4, 8, 16, 32], "1   not possible: mine.json:"),
        (["arch.type=sized.Wrong"], 2, [], "trainer: a step with a batch of 2: wrong"),
        (["arch.type=sized.Hungry"], 0, [1, 2], "stopped there: 4 does not fit"),
        (["data_loader.type=others.Plain"], 0, [1, 2, 4, 8, 16, 32], "there are 40 samples"),
        (["data_loader.type=others.Fixed", "data_loader.args={}"], 2, [], "a Fixed has no batch_size"),
        (["trainer.accumulation=4"], 0, [2**power for power in range(11)], "in one batch: -s data_loader.args.batch_"),
        (["trainer.overfit=2", "trainer.max_steps=2"], 0, [2**power for power in range(11)], "64 fit, nothing"),
    ],
    ids=["none", "batchnorm", "fault", "validation", "plain loader", "no batch size", "accumulation", "overfit"],
)
def test_other_models_and_loaders(project: Callable, options: list, code: int, sizes: list, said: str) -> None:
    plain = ["data_loader.args={}"] if "Plain" in options[0] else []
    done = project(*options, *plain)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.sizes == sizes
    assert said in done.stdout + done.stderr


def test_a_run_that_follows_is_the_one_it_would_have_been(command: Callable, tmp_path: Path) -> None:
    for run_id in ("before", "after"):
        assert command(None, "--run-id", run_id).returncode == 0
        assert command(None, "--find-batch-size").returncode == 0
    logs = [tmp_path / "runs" / "log" / "Digits" / run_id / "metrics.jsonl" for run_id in ("before", "after")]
    assert logs[0].read_bytes() == logs[1].read_bytes()
    refused = command(None, "-r", tmp_path / "runs" / "models" / "Digits" / "before", "--find-batch-size")
    assert refused.lines == ["--find-batch-size makes steps of a new model: give it -c CONFIG without -r"]
    assert refused.returncode == 2
    several = command(None, "--find-batch-size", WORLD_SIZE="2", RANK="0")
    assert several.lines == ["--find-batch-size tries one process: start it without torchrun"]


def test_nothing_of_a_failed_attempt_stays_in_memory(digits_config: dict[str, Any]) -> None:
    held: list[weakref.ref] = []

    def build(config: ConfigParser) -> Any:
        trainer = train.build(config)

        def fail(module: Any, args: tuple[torch.Tensor]) -> None:
            held.append(weakref.ref(args[0]))  # the activations before the last layer
            raise torch.OutOfMemoryError("CUDA out of memory")

        trainer.itself = trainer  # as a user's may, so that only the collector ends it
        trainer.model.linear.register_forward_pre_hook(fail)
        held.extend(map(weakref.ref, (trainer, trainer.optimizer, *trainer.model.parameters())))
        return trainer

    logging.disable(logging.INFO)
    try:
        assert find_batch_size.attempt(ConfigParser(digits_config), build, 8) is None
    finally:
        logging.disable(logging.NOTSET)
    assert len(held) > 5
    assert [kept() for kept in held if kept() is not None] == []


def test_on_the_cpu_what_would_not_fit_is_not_tried() -> None:
    facts = Facts(batch_size=64, accumulation=1, n_samples=10**6)
    huge = 10**15
    assert find_batch_size._refusal([], 1, facts) is None
    assert find_batch_size._refusal([Row(1, 0.01, 10**6)], 2, facts) is None
    refused = find_batch_size._refusal([Row(1, 0.01, 10**6), Row(2, 0.01, huge)], 4, facts)
    assert re.fullmatch(r"4 would take about [\d,]{13,} MB, and [\d,]+ MB are free", refused)
    # the optimizer's state does not grow with the batch
    assert find_batch_size._expected_memory([Row(1, 1.0, 1010), Row(2, 1.0, 1020)], 4) == 1040
    assert find_batch_size._expected_memory([Row(1, 1.0, 1010)], 4) == 4040
    slow = find_batch_size._refusal([Row(8, 20.0, 10)], 16, facts)
    assert slow == "a step of 16 would take about 40 s"


def test_a_loop_of_its_own_is_refused(digits_config: dict[str, Any]) -> None:
    class Own:
        options = None

    with pytest.raises(ConfigError, match="Own has a loop of its own"):
        find_batch_size._facts(ConfigParser(digits_config), lambda config: Own())
