"""What goes wrong while a run is running: one line, the checkpoints intact, and the run goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.harness import EVERYTHING, ROOT, Trainings

DATA = """
import os
import torch
from base import BaseDataLoader

class Faulty(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        if index == 37 and not os.path.exists("mended"):
            {fault}
        return torch.rand(1, 8, 8), index % 10

class FaultyLoader(BaseDataLoader):
    def __init__(self, batch_size: int = 8, num_workers: int = 0):
        super().__init__(Faulty(), batch_size, False, 0, num_workers)
"""
SAMPLE = r"sample 37 of Faulty: ValueError: broken image \(.*faulty.py:11\); go on with: python train.py -r "
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.fixture
def project(project_copy: Path, digits_config: dict[str, Any]) -> Callable[..., Path]:
    def make(fault: str, num_workers: int = 0) -> Path:
        folder = project_copy
        (folder / "data_loader" / "faulty.py").write_text(DATA.format(fault=fault))
        config = digits_config | {"data_loader": {"type": "faulty.FaultyLoader", "args": {"num_workers": num_workers}}}
        config["trainer"] |= {"monitor": "off", "save_steps": 1, "len_epoch": None, "save_dir": "saved/"}
        (folder / "faulty.json").write_text(json.dumps(config))
        return folder

    return make


def status(project: Path) -> dict[str, Any]:
    return json.loads((project / "saved" / "log" / "Digits" / "run" / "status.json").read_text())


@pytest.mark.parametrize(
    ("fault", "num_workers", "line"),
    [
        (
            'raise ValueError("broken image")',
            0,
            r"sample 37 of Faulty: ValueError: broken image \(.*faulty.py:11\); go on",
        ),
        (
            'raise ValueError("broken image")',
            2,
            r"sample 37 of Faulty: ValueError: broken image \(.*faulty.py:11\); go on",
        ),
        ("os.kill(os.getpid(), 9)", 1, r"a loader worker was killed \(out of memory\?\): lower data_loader.args.num_w"),
    ],
)
def test_a_fault_of_the_data_is_one_line_and_the_run_goes_on_when_it_is_mended(
    project: Callable, run_command: Callable, fault: str, num_workers: int, line: str
) -> None:
    folder = project(fault, num_workers)
    done = run_command("train.py", "-c", "faulty.json", "--run-id", "run", cwd=folder)
    assert done.returncode == 1, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert re.match(line, done.stderr), done.stderr
    assert status(folder)["state"] == "failed"
    assert status(folder)["why"] in done.stderr
    (folder / "mended").touch()
    again = run_command("train.py", "-r", "saved/models/Digits/run", cwd=folder)
    assert again.returncode == 0, again
    assert status(folder)["state"] == "done"


def test_a_full_disk_shows_before_the_first_step(
    digits_config: dict[str, Any], tmp_path: Path, run_command: Callable
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    done = run_command("-c", LIMITED, "-c", tmp_path / "config.json", "--run-id", "run")
    assert done.returncode == 1, done
    assert re.match(r".*checkpoint-last.pth: cannot be written: the disk is full \(.* MB free\), or", done.stderr), done
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "models" / "Digits" / "run").glob("*.pth"))


def test_a_disk_that_is_full_for_a_while_costs_nothing(
    digits_config: dict[str, Any], tmp_path: Path, start_command: Callable
) -> None:
    digits_config["trainer"] |= {"epochs": 60, "save_period": 100}
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    process = start_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    run, log = (tmp_path / kind / "Digits" / "run" for kind in ("models", "log"))
    process.wait_for_rows(log / "metrics.jsonl", 6)
    (run / ".tmp-checkpoint-last.pth").mkdir()  # nothing can be written under this name
    before = (run / "checkpoint-last.pth").read_bytes()
    process.wait_for_rows(log / "metrics.jsonl", (log / "metrics.jsonl").read_bytes().count(b"\n") + 6)
    assert (run / "checkpoint-last.pth").read_bytes() == before
    (run / ".tmp-checkpoint-last.pth").rmdir()
    done = process.wait()
    assert done.returncode == 0, done
    assert "cannot be written" in done.stdout
    assert "training goes on, and the next save tries again" in done.stdout
    assert torch.load(run / "checkpoint-last.pth", weights_only=True)["epoch"] == 60


def test_a_run_that_is_killed_says_that_it_was_running(
    digits_config: dict[str, Any], tmp_path: Path, start_command: Callable
) -> None:
    digits_config["trainer"]["epochs"] = 60
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    process = start_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    process.wait_for_rows(tmp_path / "log" / "Digits" / "run" / "metrics.jsonl", 8)
    process.signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.05)
    found = json.loads((tmp_path / "log" / "Digits" / "run" / "status.json").read_text())
    assert (found["state"], found["step"] % 5) == ("running", 0)
    assert os.path.exists(tmp_path / "models" / "Digits" / "run" / "checkpoint-last.pth")


MODEL = """
import time
import torch
from model.model import DigitsModel

class Odd(DigitsModel):
    calls = 0
    def forward(self, x):
        Odd.calls += 1
        if Odd.calls == 7 and self.training:
            {fault}
        return super().forward(x)
"""


@pytest.fixture
def odd_model(project_copy: Path, digits_config: dict[str, Any], run_command: Callable) -> Callable[..., Any]:
    """Trains a model to which something happens in its seventh step."""

    def train(fault: str, **trainer: Any) -> Any:
        (project_copy / "model" / "odd.py").write_text(MODEL.format(fault=fault))
        config = digits_config | {"arch": {"type": "odd.Odd"}}
        config["trainer"] |= {"save_steps": 1, "len_epoch": 10, "save_dir": "saved/"} | trainer
        (project_copy / "odd.json").write_text(json.dumps(config))
        return run_command("train.py", "-c", "odd.json", "--run-id", "run", cwd=project_copy)

    return train


@pytest.mark.parametrize("save_steps", [None, 1, 4])
@pytest.mark.parametrize("log_step", [1, 3, 50])
def test_the_first_step_whose_loss_is_no_number_is_told(
    odd_model: Callable, project_copy: Path, save_steps: int | None, log_step: int
) -> None:
    done = odd_model("x = x * float('nan')", save_steps=save_steps, log_step=log_step)
    assert done.returncode == 1
    assert re.match(r"the loss is nan at step 7; the last good checkpoint is .*checkpoint-last.pth\. Try ", done.stderr)
    state = torch.load(project_copy / "saved/models/Digits/run/checkpoint-last.pth", weights_only=True)
    assert state["step"] < 7
    assert all(weights.isfinite().all() for weights in state["state_dict"].values())


def test_a_gpu_without_memory_is_told_with_what_to_turn_down(odd_model: Callable, project_copy: Path) -> None:
    done = odd_model('raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")')
    assert done.returncode == 1
    assert re.match(r"out of memory on the GPU: lower data_loader.args.batch_size \(and raise trainer", done.stderr), (
        done
    )
    assert len(done.stderr.strip().splitlines()) == 1
    assert status(project_copy)["state"] == "failed"


def test_what_no_checkpoint_can_hold_is_told_before_the_first_step(
    project_copy: Path, digits_config: dict[str, Any], run_command: Callable
) -> None:
    (project_copy / "trainer" / "odd.py").write_text(
        "from pathlib import Path\nfrom trainer.trainer import Trainer\n\n\nclass Part:\n"
        "    def state_dict(self):\n        return {'list': [1, {'where': Path('here')}]}\n\n\n"
        "class OddTrainer(Trainer):\n    def _stateful(self):\n        return super()._stateful() | {'mine': Part()}\n"
    )
    digits_config["trainer"] |= {"type": "odd.OddTrainer", "save_dir": "saved/"}
    (project_copy / "odd.json").write_text(json.dumps(digits_config))
    done = run_command("train.py", "-c", "odd.json", "--run-id", "run", cwd=project_copy)
    assert done.returncode == 1
    assert re.match(
        r"checkpoint\.extra\.mine\.list\[1\]\.where: a pathlib\.\w+ cannot go into a checkpoint; ", done.stderr
    )
    assert (project_copy / "saved/log/Digits/run/metrics.jsonl").read_bytes() == b""


def test_starts_in_one_second_make_as_many_runs(
    digits_config: dict[str, Any], tmp_path: Path, start_command: Callable
) -> None:
    digits_config["trainer"]["epochs"] = 1
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    commands = [sys.executable, "train.py", "-c", str(tmp_path / "config.json"), "--run-id", "run"]
    starts = [subprocess.Popen(commands, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [start.wait() for start in starts] == [0] * 4
    runs = sorted(path.name for path in (tmp_path / "models" / "Digits").iterdir())
    assert runs == ["run", *(f"run_{number}" for number in range(1, 4))]
    logs = {(tmp_path / "log" / "Digits" / run / "metrics.jsonl").read_bytes() for run in runs}
    assert len(logs) == 1


def test_a_clock_that_is_set_back_changes_nothing(
    digits_config: dict[str, Any], tmp_path: Path, start_command: Callable
) -> None:
    """Files of the future, as after a clock that was wrong: the step inside a checkpoint counts, not its date."""
    trainings = Trainings(tmp_path, EVERYTHING, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.die(trainings.begin("broken", fault="update#6=kill"))
    for path, year in (("checkpoint-previous.pth", 2099), ("checkpoint-last.pth", 1999)):
        then = time.mktime((year, 1, 1, 0, 0, 0, 0, 0, 0))
        os.utime(trainings.models("broken") / path, (then, then))
    assert "Resume training from step 5" in trainings.finish(trainings.resume("broken"))
    trainings.compare("broken")


def test_tensorboard_has_each_point_once_after_any_number_of_kills(tmp_path: Path, start_command: Callable) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = EVERYTHING | {"trainer": EVERYTHING["trainer"] | {"tensorboard": True, "save_steps": 3}}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#3", "update#3", "row#4", "validate#1")
    points = []
    for run in ("whole", "broken"):
        events = EventAccumulator(str(trainings.log(run)), size_guidance={"scalars": 0, "images": 0})
        events.Reload()
        tags = [
            tag for tag in events.Tags()["scalars"] if tag.rpartition("/")[2] in ("loss", "val_loss", "accuracy", "lr")
        ]
        points.append({tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in sorted(tags)})
        points[-1]["input"] = [event.step for event in events.Images("input")]
    assert len(points[0]) == 8
    assert points[0] == points[1]
