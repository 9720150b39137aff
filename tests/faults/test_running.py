"""What goes wrong while a run is running: one line, the checkpoints intact, and the run goes on."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

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


def test_weights_that_are_no_numbers_are_never_saved(
    digits_config: dict[str, Any], tmp_path: Path, project_copy: Path, run_command: Callable
) -> None:
    project = project_copy
    (project / "model" / "odd.py").write_text(
        "import torch\nfrom model.model import DigitsModel\n\n\nclass Odd(DigitsModel):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.unused = torch.nn.Parameter(torch.zeros(2))\n\n"
        "    def forward(self, x):\n        self.unused.data.fill_(float('nan'))\n        return super().forward(x)\n"
    )
    digits_config["arch"] = {"type": "odd.Odd"}
    (project / "odd.json").write_text(json.dumps(digits_config))
    done = run_command("train.py", "-c", "odd.json", "--run-id", "run", cwd=project)
    assert done.returncode == 1
    assert "a weight, or what the optimizer keeps of it, is nan at step 5; the last good checkpoint is" in done.stderr
    state = torch.load(tmp_path / "models" / "Digits" / "run" / "checkpoint-last.pth", weights_only=True)
    assert state["step"] == 0
    assert state["state_dict"]["unused"].isfinite().all()


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
