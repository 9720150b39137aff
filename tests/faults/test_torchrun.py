"""Two processes under torchrun that restarts them: a rank is killed, and the run ends as the unbroken one."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import COUNTS, EVERYTHING, TORCHRUN, Trainings

RESTARTING = (*TORCHRUN, "--max-restarts", "3", "--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")


def processes_of_rank(group: int, rank: int) -> list[int]:
    """The processes of a group that torchrun has given a rank."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() in environment and os.getpgid(int(entry.name)) != 0:
                found += [int(entry.name)] if f"GROUP_OF_TEST={group}".encode() in environment else []
        except (OSError, ValueError):
            continue
    return found


@pytest.fixture
def trainings(tmp_path: Path, start_command: Callable, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """With the remedy for torchrun's restarts, which otherwise may find the address of the dead process."""
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    monkeypatch.setenv("GROUP_OF_TEST", "1")
    config = json.loads(json.dumps(EVERYTHING))
    config["trainer"] |= {"len_epoch": 60, "save_steps": 5, "ema_decay": None}
    return Trainings(tmp_path, config, start_command, RESTARTING)


def wait_for_rows(trainings: Trainings, process: Any, run: str, rows: int) -> None:
    log = trainings.log(run) / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= rows):
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[0]


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("rows", [1, 33, 90])
def test_a_rank_is_killed_and_torchrun_goes_on(rank: int, rows: int, trainings: Trainings) -> None:
    COUNTS["trials"] += 1
    trainings.finish(trainings.begin("whole"))
    process = trainings.start(
        "-c", trainings.folder / "config.json", "--run-id", "broken", "-r", "auto", "-s", "name=Broken"
    )
    trainings.name = "Broken"
    wait_for_rows(trainings, process, "broken", rows)
    for number in processes_of_rank(1, rank):
        os.kill(number, signal.SIGKILL)
        COUNTS["kills"] += 1
    output = trainings.finish(process)
    assert "Resume training from step" in output
    logs = [
        (trainings.folder / "log" / name / run / "metrics.jsonl").read_bytes()
        for name, run in (("Digits", "whole"), ("Broken", "broken"))
    ]
    assert logs[0] == logs[1]


@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
@pytest.mark.parametrize("to_all", [False, True], ids=["to torchrun", "to all"])
def test_a_signal_stops_all_ranks_at_one_step(name: str, to_all: bool, trainings: Trainings) -> None:
    COUNTS["trials"] += 1
    process = trainings.begin("broken")
    wait_for_rows(trainings, process, "broken", 33)
    began = time.monotonic()
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    output = process.communicate(timeout=60)[0]
    assert time.monotonic() - began < 10
    status = trainings.status("broken")
    assert status["state"] == "stopped", output
    assert output.count(f"at step {status['step']} and saved; go on with") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    COUNTS["signals"] += 1
