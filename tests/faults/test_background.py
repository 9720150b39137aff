"""`trainer.save_in_background`: the same files, the same guarantees, while a thread writes."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.harness import DRAWN, EVERYTHING, SPOILT, Trainings, assert_same
from utils import background_save, checkpoint
from utils.background_save import BackgroundCheckpoints
from utils.checkpoint_folder import LAST
from utils.failures import SaveError


def in_background(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"trainer": config["trainer"] | {"save_in_background": True}}


@pytest.fixture(scope="module")
def unbroken(start_command: Callable, tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    folder = tmp_path_factory.mktemp("background")
    trainings = Trainings(folder, in_background(EVERYTHING), start_command)
    trainings.finish(trainings.begin("whole"))
    return trainings


def test_it_writes_what_a_save_in_the_foreground_writes(unbroken: Trainings) -> None:
    unbroken.finish(unbroken.begin("foreground", "-s", "trainer.save_in_background=false"))
    unbroken.compare("foreground")


POINTS = ("step#5", "update#6", "write:checkpoint-last.pth#1500", "fsync:checkpoint-last.pth#4", "validate#1", "row#5")
NAMES = (
    "link:checkpoint-previous.pth#3",
    "replace:checkpoint-last.pth#5",
    "replace:model_best.pth#2",
    "fsync:folder#9",
)


@pytest.mark.parametrize("point", [*POINTS, *NAMES])
def test_killed_before(point: str, unbroken: Trainings) -> None:
    unbroken.trial(point.replace(":", "-"), point)


def test_killed_with_workers_and_a_loader_of_every_epochs_own(tmp_path: Path, start_command: Callable) -> None:
    trainings = Trainings(tmp_path, in_background(DRAWN), start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#3", "row#4")


def test_a_signal_waits_for_the_save(unbroken: Trainings) -> None:
    done = unbroken.begin("stopped", fault="update#3=SIGTERM").wait()
    assert done.returncode == 75, done
    assert checkpoint.read(unbroken.models("stopped") / LAST)["step"] == 3
    unbroken.finish(unbroken.resume("stopped"))
    unbroken.compare("stopped")


def test_a_weight_that_is_no_number_is_in_no_checkpoint(tmp_path: Path, start_command: Callable) -> None:
    Trainings(tmp_path, in_background(SPOILT), start_command).trial_of_a_weight()


def state(step: int) -> dict[str, Any]:
    return {"format": 1, "state_dict": {"w": torch.full((1000,), float(step))}, "config": {}, "step": step}


def test_what_is_written_is_the_state_at_the_call(tmp_path: Path) -> None:
    folder, weights = BackgroundCheckpoints(tmp_path), torch.zeros(1000)
    for step in range(5):
        weights.fill_(step)
        folder.save(state(step) | {"state_dict": {"w": weights}})
        weights.fill_(-1)
    folder.wait()
    assert_same(checkpoint.read(tmp_path / LAST)["state_dict"]["w"], torch.full((1000,), 4.0))
    assert_same(checkpoint.read(tmp_path / "checkpoint-previous.pth")["state_dict"]["w"], torch.full((1000,), 3.0))


def test_there_is_one_write_at_a_time_and_no_fork_within_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, going_on, most, forked_within = BackgroundCheckpoints(tmp_path), [0], [0], [False]
    hold = threading.Event()
    write = background_save.CheckpointFolder.save

    def slow(self: Any, *arguments: Any) -> Path:
        going_on[0] += 1
        most[0] = max(most[0], going_on[0])
        hold.wait(0.1)
        path = write(self, *arguments)
        going_on[0] -= 1
        return path

    monkeypatch.setattr(background_save.CheckpointFolder, "save", slow)
    for step in range(4):
        folder.save(state(step))
    pid = os.fork()
    if pid == 0:
        os._exit(going_on[0])
    forked_within[0] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
    assert (most, forked_within) == ([1], [False])


def test_a_disk_that_is_full_is_told_at_the_next_save_which_tries_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = BackgroundCheckpoints(tmp_path)
    (tmp_path / ".tmp-checkpoint-last.pth").mkdir()  # nothing can be written under this name
    folder.save(state(1))
    folder._join()
    (tmp_path / ".tmp-checkpoint-last.pth").rmdir()
    folder.save(state(2))
    assert "cannot be written" in caplog.text
    assert checkpoint.read(tmp_path / LAST)["step"] == 2
    (tmp_path / ".tmp-checkpoint-last.pth").mkdir()
    folder.save(state(3))
    with pytest.raises(SaveError, match="cannot be written"):
        folder.wait()
