"""A run that is killed and resumed ends as the unbroken run ends: every tensor, every row, bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.faults.harness import DIGITS, ROOT, TORCHRUN, Trainings, assert_same_runs


@pytest.fixture
def break_and_compare(tmp_path: Path, start_command: Callable) -> Callable[..., None]:
    """Trains once unbroken, and once killed at each of these numbers of rows and resumed with these options."""

    def compare(config: dict[str, Any], kill_at: tuple[int, ...], options: tuple = (), launcher: tuple = ()) -> None:
        trainings = Trainings(tmp_path, config, start_command, launcher)
        trainings.finish(trainings.begin("whole"))
        trainings.kill_after_rows(trainings.begin("broken", *options), "broken", kill_at[0])
        for rows in kill_at[1:]:
            trainings.kill_after_rows(trainings.resume("broken", *options), "broken", rows)
        output = trainings.finish(trainings.resume("broken", *options))
        assert "Resume training from step" in output
        assert_same_runs(tmp_path, config["name"], "whole", "broken")

    return compare


def test_the_default_job_killed_in_the_middle_of_epoch_three(break_and_compare: Callable) -> None:
    config = json.loads((ROOT / "config.json").read_text())
    config["trainer"] |= {"epochs": 5, "log_step": 1, "tensorboard": False}
    break_and_compare(config, kill_at=(51,))


def test_tensor_loader_augmentation_and_schedule_by_step_killed_twice(break_and_compare: Callable) -> None:
    break_and_compare(json.loads(json.dumps(DIGITS)), kill_at=(6, 30))


def test_accumulation_bfloat16_moving_average_and_clipping(break_and_compare: Callable) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["data_loader"]["args"] |= {"batch_size": 24, "drop_last": False}
    config["trainer"] |= {"accumulation": 3, "amp": "bfloat16", "ema_decay": 0.9, "clip_grad_norm": 1.0}
    break_and_compare(config, kill_at=(25,))


def test_epochs_by_steps_warmup_and_a_schedule_by_epoch(break_and_compare: Callable) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["lr_scheduler"] = {"type": "CosineAnnealingLR", "args": {"T_max": "auto"}, "warmup": 2}
    config["trainer"] |= {"epochs": 5, "len_epoch": 13, "max_steps": 60}
    break_and_compare(config, kill_at=(33,))


def test_plateau_schedule_without_validation(break_and_compare: Callable) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["data_loader"]["args"]["validation_split"] = 0.0
    config["lr_scheduler"] = {"type": "ReduceLROnPlateau", "args": {"patience": 0, "factor": 0.5}, "monitor": "loss"}
    config["trainer"]["monitor"] = "max accuracy"
    break_and_compare(config, kill_at=(30,))


def test_worker_processes_come_and_go_between_kills(break_and_compare: Callable, image_folder: Path) -> None:
    config = json.loads(json.dumps(DIGITS)) | {
        "name": "Images",
        "arch": {"type": "ResNet", "args": {"num_classes": 3, "widths": [4, 8]}},
        "data_loader": {
            "type": "ImageFolderDataLoader",
            "args": {
                "data_dir": str(image_folder),
                "batch_size": 7,
                "size": 16,
                "num_workers": 0,
                "validation_split": 9,
            },
        },
    }
    config["metrics"] = ["accuracy"]
    config["lr_scheduler"]["args"]["max_lr"] = 0.01
    break_and_compare(config, kill_at=(6, 14), options=("-s", "data_loader.args.num_workers=2"))


V2 = "torchvision.transforms.v2"
LISTED = [
    {"type": f"{V2}.RandomRotation", "args": {"degrees": 20}},
    {"type": "albumentations.RandomBrightnessContrast", "args": {"p": 0.5}},
]


@pytest.mark.parametrize("listed", [LISTED[:1], LISTED], ids=["torchvision", "albumentations"])
def test_listed_augmentations_of_tensors(break_and_compare: Callable, listed: list) -> None:
    pytest.importorskip("albumentations" if listed is LISTED else "torchvision")
    config = json.loads(json.dumps(DIGITS))
    config["data_loader"]["args"]["augment"] = [{"type": "transforms.RandomCropFlip"}, *listed]
    break_and_compare(config, kill_at=(20,))


@pytest.mark.parametrize("listed", [LISTED[:1], LISTED], ids=["torchvision", "albumentations"])
def test_listed_transforms_of_image_files(break_and_compare: Callable, image_folder: Path, listed: list) -> None:
    pytest.importorskip("albumentations" if listed is LISTED else "torchvision")
    crops = [{"type": f"{V2}.{name}", "args": {"size": 16}} for name in ("RandomResizedCrop", "CenterCrop")]
    config = json.loads(json.dumps(DIGITS)) | {
        "name": "Images",
        "arch": {"type": "ResNet", "args": {"num_classes": 3, "widths": [4, 8]}},
        "data_loader": {
            "type": "ImageFolderDataLoader",
            "args": {"data_dir": str(image_folder), "batch_size": 7, "num_workers": 0, "validation_split": 9}
            | {"transforms": [crops[0], *listed], "valid_transforms": crops[1:]},
        },
        "metrics": ["accuracy"],
    }
    break_and_compare(config, kill_at=(6, 14), options=("-s", "data_loader.args.num_workers=2"))


def test_two_processes_under_torchrun(break_and_compare: Callable) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["data_loader"]["args"] |= {"batch_size": 97, "drop_last": False}  # the last batch of a pass has 33 samples
    break_and_compare(config, kill_at=(20,), launcher=TORCHRUN)


def test_float16_with_a_gradient_scaler_and_channels_last(break_and_compare: Callable, tmp_path: Path) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["trainer"] |= {"amp": "float16", "channels_last": True, "save_minutes": 0.0001}
    break_and_compare(config, kill_at=(30,))
    run = tmp_path / "models" / "Digits" / "whole" / "checkpoint-last.pth"
    assert torch.load(run, weights_only=True)["scaler"]["scale"] > 0


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_with_a_short_last_batch(break_and_compare: Callable) -> None:
    config = json.loads(json.dumps(DIGITS))
    config["data_loader"]["args"] |= {"drop_last": False}
    config["trainer"] |= {"compile": True, "ema_decay": 0.9, "save_steps": 1}
    break_and_compare(config, kill_at=(20,))


@pytest.mark.long
@pytest.mark.parametrize("trial", range(10))
def test_any_moments(break_and_compare: Callable, trial: int) -> None:
    moments = sorted(np.random.default_rng(trial).choice(np.arange(1, 60), size=3, replace=False).tolist())
    config = json.loads(json.dumps(DIGITS))
    config["trainer"] |= {"ema_decay": 0.99, "accumulation": 1 + trial % 3, "max_steps": 60, "epochs": 9}
    break_and_compare(config, kill_at=tuple(moments))
