"""SIGTERM, SIGUSR1 and Ctrl-C: the run stops between two steps, saved, and ends as the unbroken one when it goes on."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Trainings, assert_same_runs
from tests.forked import Forked

ROOT = Path(__file__).parents[2]
SLOW = """
import time
import torch
from base import BaseDataLoader

class Waiting(torch.utils.data.Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, index):
        time.sleep({seconds} if torch.rand(()) < {part} else 0)
        return torch.rand(1, 8, 8), index % 10

class WaitingLoader(BaseDataLoader):
    def __init__(self, batch_size: int = 8, validation_split: int = 0, num_workers: int = 0):
        super().__init__(Waiting(), batch_size, True, validation_split, num_workers)
"""


@pytest.fixture
def config() -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    config["trainer"] |= {"epochs": 3, "log_step": 1, "save_steps": 7, "threads": 1, "tensorboard": False}
    return config


def status(folder: Path, run: str = "broken") -> dict[str, Any]:
    return json.loads((folder / "log" / "Digits" / run / "status.json").read_text())


@pytest.mark.parametrize(
    ("number", "code", "group"),
    [(signal.SIGTERM, 75, True), (signal.SIGUSR1, 75, False), (signal.SIGINT, 130, True)],
    ids=["TERM", "USR1", "INT"],
)
def test_a_signal_saves_at_the_step_and_the_run_ends_as_the_unbroken_one(
    config: dict[str, Any], tmp_path: Path, start_command: Callable, number: int, code: int, group: bool
) -> None:
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    process = trainings.begin("broken")
    process.wait_for_rows(tmp_path / "log" / "Digits" / "broken" / "metrics.jsonl", 26)
    began = time.monotonic()
    process.signal(number, group)
    done = process.wait()
    assert time.monotonic() - began < 4
    assert done.returncode == code, done
    name = signal.Signals(number).name
    line = done.stderr.strip().splitlines()[-1]
    match = re.fullmatch(rf"stopped by {name} at step (\d+) and saved; go on with: python train.py -r .*/broken", line)
    assert match, done.stderr
    assert "Traceback" not in done.stderr
    assert {"state": "stopped", "step": int(match[1]), "why": name}.items() <= status(tmp_path).items()
    output = trainings.finish(trainings.resume("broken"))
    assert f"Resume training from step {match[1]}," in output
    assert status(tmp_path)["state"] == "done"
    assert_same_runs(tmp_path, "Digits", "whole", "broken")


def slow(project: Path, config: dict[str, Any], seconds: float, part: float, **args: Any) -> Path:
    """A copy of the project whose data takes long, and its config."""
    (project / "data_loader" / "waiting.py").write_text(SLOW.format(seconds=seconds, part=part))
    config["data_loader"] = {"type": "waiting.WaitingLoader", "args": args}
    config["trainer"] |= {"save_dir": str(project.parent), "monitor": "off"}
    (project / "slow.json").write_text(json.dumps(config))
    return project


def started(process: Forked, folder: Path) -> None:
    while process.poll() is None and not (folder / "log" / "Digits" / "broken" / "status.json").exists():
        time.sleep(0.005)
    time.sleep(0.5)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_signal_while_waiting_for_slow_data_does_not_wait_for_it(
    config: dict[str, Any], tmp_path: Path, project_copy: Path, start_command: Callable, num_workers: int
) -> None:
    project = slow(project_copy, config, seconds=30, part=1.0, num_workers=num_workers)
    process = start_command("train.py", "-c", "slow.json", "--run-id", "broken", cwd=project)
    started(process, tmp_path)
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    done = process.wait(60)
    assert time.monotonic() - began < 3
    assert done.returncode == 75, done
    assert "stopped by SIGTERM at step 0 and saved" in done.stderr
    assert "Traceback" not in done.stderr
    time.sleep(0.2)
    assert not group_is_alive(process.pid)


def group_is_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_signal_within_validation_leaves_the_validation_to_the_resume(
    config: dict[str, Any], tmp_path: Path, project_copy: Path, start_command: Callable
) -> None:
    config["trainer"] |= {"epochs": 2, "save_steps": None}
    project = slow(project_copy, config, seconds=0.3, part=0.2, validation_split=20)
    whole = start_command("train.py", "-c", "slow.json", "--run-id", "whole", cwd=project).wait()
    assert whole.returncode == 0, whole
    process = start_command("train.py", "-c", "slow.json", "--run-id", "broken", cwd=project)
    process.wait_for_rows(tmp_path / "log" / "Digits" / "broken" / "metrics.jsonl", 3)  # the steps of the first epoch
    time.sleep(0.1)
    process.signal(signal.SIGTERM)
    done = process.wait()
    assert done.returncode == 75, done
    assert status(tmp_path)["step"] == 3
    resumed = start_command("train.py", "-r", tmp_path / "models" / "Digits" / "broken", cwd=project).wait()
    assert resumed.returncode == 0, resumed
    assert_same_last(tmp_path)


def assert_same_last(folder: Path) -> None:
    logs = [(folder / "log" / "Digits" / run / "metrics.jsonl").read_bytes() for run in ("whole", "broken")]
    assert logs[0] == logs[1]


def test_a_second_interrupt_leaves_at_once(
    config: dict[str, Any], tmp_path: Path, project_copy: Path, start_command: Callable
) -> None:
    config["trainer"]["save_steps"] = None
    project = slow(project_copy, config, seconds=0, part=0.0)
    (project / "model" / "long.py").write_text(
        "import time\nfrom model.model import DigitsModel\n\n\nclass Long(DigitsModel):\n"
        "    def forward(self, x):\n        end = time.monotonic() + 20\n"
        "        while time.monotonic() < end:\n            pass\n        return super().forward(x)\n"
    )
    config["arch"] = {"type": "long.Long"}
    (project / "slow.json").write_text(json.dumps(config))
    process = start_command("train.py", "-c", "slow.json", "--run-id", "broken", cwd=project)
    started(process, tmp_path)
    process.signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    began = time.monotonic()
    process.signal(signal.SIGINT)
    done = process.wait(60)
    assert time.monotonic() - began < 1.5
    assert done.returncode == 130
    assert "press Ctrl-C again to leave at once" in done.stderr
    assert "Traceback" not in done.stderr


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_under_torchrun_all_stop_at_one_step_and_a_fault_is_still_a_line(
    config: dict[str, Any], tmp_path: Path, start_command: Callable
) -> None:
    launcher = (*TORCHRUN, "--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
    trainings = Trainings(tmp_path, config, start_command, launcher)
    process = trainings.begin("broken")
    log = tmp_path / "log" / "Digits" / "broken" / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 26):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGUSR1)  # to torchrun, which passes it on
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1, output  # torchrun's own
    found = status(tmp_path)
    assert found["state"] == "stopped", output
    assert output.count(f"at step {found['step']} and saved; go on with") == 1
    assert not group_is_alive(process.pid)
    refused = trainings.resume("broken", "-s", "trainer.epochs=1")
    output = refused.communicate(timeout=60)[0]
    assert "the run has done" in output
