"""Every optimizer with every schedule and feature: killed in the middle of the second epoch, resumed, compared."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import EVERYTHING, Trainings

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.003, "amsgrad": True},
    "AdamW": {"lr": 0.003, "fused": True},
    "RMSprop": {"lr": 0.001, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.01},
    "NAdam": {"lr": 0.002},
}
SCHEDULES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "StepLR": {"args": {"step_size": 1, "gamma": 0.5}},
    "MultiStepLR": {"interval": "step", "args": {"milestones": [3, 5, 7], "gamma": 0.5}},
    "CosineAnnealingWarmRestarts": {"interval": "step", "args": {"T_0": 3}},
    "ReduceLROnPlateau": {"monitor": "val_loss", "args": {"patience": 0, "factor": 0.5}},
    "OneCycleLR": {"interval": "step", "args": {"max_lr": 0.01, "total_steps": "auto"}},
    "ExponentialLR": {"interval": "step", "warmup": 3, "args": {"gamma": 0.9}},
}
FEATURES: dict[str, dict[str, Any]] = {
    "average": {"ema_decay": 0.9},
    "accumulation": {"ema_decay": None, "accumulation": 3},
    "clipping": {"ema_decay": None, "clip_grad_norm": 0.1},
    "bfloat16": {"ema_decay": None, "amp": "bfloat16"},
}
EVERY = list(product(OPTIMIZERS, SCHEDULES, FEATURES))
FEW = [EVERY[(17 * index) % len(EVERY)] for index in range(12)]


def trial(folder: Path, start_command: Callable, optimizer: str, schedule: str, feature: str) -> None:
    config = json.loads(json.dumps(EVERYTHING))
    config["optimizer"] = {"type": optimizer, "args": OPTIMIZERS[optimizer]}
    del config["lr_scheduler"]
    if (settings := SCHEDULES[schedule]) is not None:
        config["lr_scheduler"] = json.loads(json.dumps({"type": schedule, **settings}))
    if (schedule, optimizer) == ("OneCycleLR", "Adagrad"):  # which has no momentum
        config["lr_scheduler"]["args"]["cycle_momentum"] = False
    config["trainer"] |= FEATURES[feature]
    trainings = Trainings(folder, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#6")


@pytest.mark.parametrize(("optimizer", "schedule", "feature"), FEW)
def test_killed(optimizer: str, schedule: str, feature: str, tmp_path: Path, start_command: Callable) -> None:
    trial(tmp_path, start_command, optimizer, schedule, feature)


@pytest.mark.long
@pytest.mark.parametrize(("optimizer", "schedule", "feature"), [one for one in EVERY if one not in FEW])
def test_killed_with_any(optimizer: str, schedule: str, feature: str, tmp_path: Path, start_command: Callable) -> None:
    trial(tmp_path, start_command, optimizer, schedule, feature)
