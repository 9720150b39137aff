"""The shipped configs with trainers of their own, killed and resumed, end as the unbroken run ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.faults.harness import EVERYTHING, ROOT, Trainings, assert_same_runs


@pytest.mark.parametrize("name", ["gan", "distill", "autoencoder"])
def test_a_recipe_killed_in_two_epochs_ends_as_the_unbroken_run(
    name: str, tmp_path: Path, start_command: Callable
) -> None:
    config = json.loads((ROOT / "configs" / f"{name}.json").read_text())
    config["trainer"] |= {"epochs": 3, "log_step": 1, "save_steps": 4, "threads": 1}
    if "teacher" in config:
        config["teacher"]["epochs"] = 2
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.kill_after_rows(trainings.begin("broken"), "broken", 10)
    trainings.kill_after_rows(trainings.resume("broken"), "broken", 31)
    assert "Resume training from step" in trainings.finish(trainings.resume("broken"))
    assert_same_runs(tmp_path, config["name"], "whole", "broken")


def test_tied_weights_buffers_and_lazy_modules_survive_a_kill(tmp_path: Path, start_command: Callable) -> None:
    config = EVERYTHING | {"arch": {"type": "TiedModel"}}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#6")
    state = torch.load(trainings.models("whole") / "checkpoint-last.pth", weights_only=True)
    assert torch.equal(state["state_dict"]["read.weight"], state["state_dict"]["write.weight"])
    assert len(state["optimizer"]["state"]) == 7, "one for both tied weights"
    assert state["state_dict"]["calls"] == 8
