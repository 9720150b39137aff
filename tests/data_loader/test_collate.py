"""Collate functions by name: what batches they make, the same for any number of workers and after a resume."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from base import BaseDataLoader
from data_loader.collate import cutmix, mixup, pad_sequences, pairs
from parse_config import ConfigParser
from tests.faults.harness import DIGITS, Trainings, assert_same_runs
from train import modules

ROOT = Path(__file__).parents[2]


class Drawn(Dataset):
    """Images of one colour each, but for two pixels that are drawn, and of a class each."""

    def __len__(self) -> int:
        return 22

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.full((1, 16, 16), float(index))
        image[0, 0, :2] = torch.rand(2)
        return image, index


# -- sequences --------------------------------------------------------------------------------------------------------


def test_sequences_are_filled_up_to_the_longest_and_their_lengths_given():
    samples = [(torch.tensor([4, 5]), 1), (torch.tensor([6]), 0), (torch.tensor([7, 8, 9]), 1)]
    (sequences, lengths), targets = pad_sequences(samples)
    assert sequences.tolist() == [[4, 5, 0], [6, 0, 0], [7, 8, 9]]
    assert (sequences.dtype, lengths.tolist(), targets.tolist()) == (torch.int64, [2, 1, 3], [1, 0, 1])


def test_sequences_may_be_lists_or_have_more_dimensions_and_another_padding():
    (numbers, _), _ = pad_sequences([([0.5], 0), ([1.5, 2.5], 1)], padding=-1)
    assert numbers.tolist() == [[0.5, -1], [1.5, 2.5]]
    (rows, lengths), _ = pad_sequences([(torch.ones(2, 3), 0), (torch.ones(4, 3), 1)])
    assert rows.shape == (2, 4, 3)
    assert rows.sum(dim=(1, 2)).tolist() == [6, 12]
    assert lengths.tolist() == [2, 4]


# -- dicts ------------------------------------------------------------------------------------------------------------


def test_dicts_become_pairs_by_the_names_of_their_keys():
    samples = [{"Text": "a", "Class": 2, "id": object()}, {"Text": "b", "Class": 0, "id": object()}]
    data, target = pairs(samples, data="Text", target="Class")
    assert (list(data), target.tolist()) == (["a", "b"], [2, 0])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_key_that_is_not_there_is_one_line_with_those_that_are(tmp_path, run_command, project_copy, num_workers):
    (project_copy / "data_loader" / "dicts.py").write_text(DICTS)
    section = {"type": "dicts.DictsDataLoader", "args": {"batch_size": 4, "num_workers": num_workers}}
    section["args"]["collate_fn"] = {"type": "collate.pairs", "args": {"data": "picture", "target": "class"}}
    config = DIGITS | {"data_loader": section, "trainer": {"epochs": 1, "save_dir": str(tmp_path / "saved")}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = ("train.py", "-c", tmp_path / "config.json")
    refused = run_command(*command, cwd=project_copy)
    assert refused.returncode == 1
    assert refused.stderr.startswith("collate.pairs: a sample has no 'picture'; it has 'image', 'class'; go on with")
    assert len(refused.stderr.splitlines()) == 1
    key = "data_loader.args.collate_fn.args.data=image"
    trained = run_command(*command, "-s", key, cwd=project_copy)
    assert trained.returncode == 0, trained.stderr


DICTS = """
import torch

from base import BaseDataLoader


class Dicts(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"image": torch.rand(1, 8, 8), "class": index % 10}


class DictsDataLoader(BaseDataLoader):
    def __init__(self, batch_size=4, num_workers=0, **options):
        super().__init__(Dicts(), batch_size, num_workers=num_workers, **options)
"""


# -- mixed images -----------------------------------------------------------------------------------------------------


def mixing(function: str, num_workers: int = 0, **options: Any) -> BaseDataLoader:
    """A loader as a config names it."""
    collate = {"type": f"collate.{function}", "args": {"num_classes": 22}}
    config = ConfigParser({"data_loader": {"type": "BaseDataLoader", "args": {"collate_fn": collate}}})
    loader = config.init_obj(
        "data_loader", modules()["data_loader"], dataset=Drawn(), batch_size=4, num_workers=num_workers, **options
    )
    loader.seed = 3
    return loader


def batches(loader: BaseDataLoader, start: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(islice(loader.stream(start), 9))


def same(first: Any, second: Any) -> bool:
    return all(map(torch.equal, first, second))


def test_mixup_blends_images_and_shares_of_classes_alike():
    images, shares = mixup([(torch.full((1, 2, 2), float(index)), index) for index in range(4)], num_classes=4)
    torch.testing.assert_close(images[:, 0, 0, 0], shares @ torch.arange(4.0))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    assert ((shares > 0).sum(dim=1) == 2).all()


def test_cutmix_takes_as_many_pixels_of_another_image_as_its_class_has_shares():
    torch.manual_seed(1)
    images, shares = cutmix([(torch.full((1, 20, 20), float(index)), index) for index in range(4)], num_classes=4)
    for image, share in zip(images, shares):
        counts = torch.bincount(image.flatten().long(), minlength=4)
        torch.testing.assert_close(counts / 400, share)
        assert 0 < counts.count_nonzero() <= 2


@pytest.mark.parametrize("function", ["mixup", "cutmix"])
def test_what_is_drawn_differs_from_batch_to_batch_from_pass_to_pass_and_by_seed(function):
    loader = mixing(function, drop_last=True)
    largest = [shares.max().item() for _, shares in batches(loader)]
    assert len(set(largest)) > 5
    loader.seed = 4
    assert [shares.max().item() for _, shares in batches(loader)] != largest


@pytest.mark.parametrize("function", ["mixup", "cutmix"])
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 5, 7])
def test_batches_are_those_of_one_process_from_any_start(function, num_workers, start):
    expected = batches(mixing(function), 0)[start:]
    torch.rand(start + 1)  # what was drawn before must not count
    found = batches(mixing(function, num_workers), start)
    assert len(expected) >= 2
    assert all(same(*pair) for pair in zip(expected, found))


@pytest.mark.parametrize("alpha", [0.01, 100.0])
def test_alpha_says_how_much_is_blended(alpha):
    torch.manual_seed(0)
    samples = [(torch.zeros(1, 2, 2), index) for index in range(4)]
    largest = torch.stack([mixup(samples, num_classes=4, alpha=alpha)[1].max() for _ in range(20)])
    assert (largest > 0.9).sum() >= 15 if alpha < 1 else (largest < 0.8).all()


def test_validation_and_test_do_not_mix(project_copy: Path, image_folder: Path, run_command: Callable) -> None:
    with open(project_copy / "model" / "metric.py", "a") as file:
        file.write("\n\ndef mixed(output, target):\n    return torch.tensor(float(target.is_floating_point()))\n")
    config = json.loads((ROOT / "configs" / "image_folder.json").read_text())
    config["arch"]["args"] = {"num_classes": 3, "widths": [2, 4]}
    config["data_loader"]["args"] = {
        "data_dir": str(image_folder / "train"),
        "size": 16,
        "batch_size": 4,
        "num_workers": 0,
        "validation_split": 8,
        "collate_fn": {"type": "collate.mixup", "args": {"num_classes": 3}},
        "valid_collate_fn": {"type": "collate.stack"},
    }
    config |= {"metrics": ["mixed"], "lr_scheduler": None}
    config["trainer"] = {"epochs": 1, "threads": 1}
    (project_copy / "mixing.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-c", "mixing.json", "--run-id", "run", cwd=project_copy)
    assert trained.returncode == 0, trained.stderr
    log = project_copy / "saved" / "log" / config["name"] / "run" / "metrics.jsonl"
    row = json.loads(log.read_text().splitlines()[-1])
    assert (row["mixed"], row["val_mixed"]) == (1, 0)
    run = project_copy / "saved" / "models" / config["name"] / "run"
    tested = run_command("test.py", "-r", run, cwd=project_copy)
    assert tested.returncode == 0, tested.stderr
    assert json.loads((run / "test.json").read_text())["metrics"]["mixed"] == 0


def test_a_run_that_mixes_is_exact_when_it_goes_on_with_workers(tmp_path: Path, start_command: Callable) -> None:
    transforms = [
        {"type": "torchvision.transforms.v2.Grayscale"},
        {"type": "torchvision.transforms.v2.ToImage"},
        {"type": "torchvision.transforms.v2.ToDtype", "args": {"dtype": "float32", "scale": True}},
        {"type": "torchvision.transforms.v2.RandomHorizontalFlip"},
    ]
    images = {"size": 48, "image_size": [3, 8, 8]}
    images["transform"] = {"type": "torchvision.transforms.v2.Compose", "args": {"transforms": transforms}}
    args = {"dataset": {"type": "torchvision.datasets.FakeData", "args": images}, "batch_size": 8}
    collate = {"type": "collate.mixup", "args": {"num_classes": 10, "alpha": 0.4}}
    plain = {"type": "BaseDataLoader", "args": args}
    config = DIGITS | {"data_loader": {"type": "BaseDataLoader", "args": args | {"collate_fn": collate}}}
    config |= {"valid_data_loader": plain, "metrics": ["accuracy"]}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.die(trainings.begin("broken", fault="update#9=kill"))  # in the second of three epochs of six steps
    resumed = trainings.finish(trainings.resume("broken", "-s", "data_loader.args.num_workers=2"))
    assert "Resume training from step 8, epoch 2" in resumed
    assert_same_runs(tmp_path, config["name"], "whole", "broken")
