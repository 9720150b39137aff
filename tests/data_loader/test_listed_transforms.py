"""Transforms that a config lists, for training and for evaluation, through the front door."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from base import BaseDataLoader
from data_loader.made import ShapeLabelsDataLoader
from parse_config import ConfigParser

V2 = "torchvision.transforms.v2"
ROTATED = {"type": f"{V2}.RandomRotation", "args": {"degrees": 30}}
CROPPED = {"type": f"{V2}.RandomResizedCrop", "args": {"size": 16}}
CENTRE = {"type": f"{V2}.CenterCrop", "args": {"size": 16}}
SHIFTED = {"type": "transforms.RandomCropFlip", "args": {"padding": 1}}
FLIPPED = {"type": "albumentations.HorizontalFlip", "args": {"p": 0.5}}
COMPOSED = {
    "type": "albumentations.Compose",
    "args": {"transforms": [FLIPPED, {"type": "albumentations.AdditiveNoise"}]},
}


@pytest.fixture
def folder_config(digits_config: dict[str, Any], image_folder: Path) -> dict[str, Any]:
    """Images of a folder, with a list of transforms for training and one for evaluation."""
    (image_folder / "test").symlink_to(image_folder / "train")
    args = {"data_dir": str(image_folder), "batch_size": 7, "num_workers": 0, "validation_split": 9}
    args |= {"transforms": [CROPPED, ROTATED], "valid_transforms": [CENTRE]}
    return digits_config | {
        "arch": {"type": "ResNet", "args": {"num_classes": 3, "widths": [4, 8]}},
        "data_loader": {"type": "ImageFolderDataLoader", "args": args},
        "metrics": ["accuracy"],
    }


def with_args(config: dict[str, Any], **args: Any) -> dict[str, Any]:
    loader = config["data_loader"]
    return config | {"data_loader": loader | {"args": loader["args"] | args}}


def loader_of(config: dict[str, Any], **args: Any) -> BaseDataLoader:
    """The loader that the front door builds."""
    import data_loader.data_loaders

    return ConfigParser(with_args(config, **args)).init_obj("data_loader", data_loader.data_loaders)


def images_of(loader: Any) -> torch.Tensor:
    return torch.cat([portion.batch[0] for portion in loader.one_pass()])


@pytest.fixture
def run_config(tmp_path: Path, run_command: Callable) -> Callable[..., Any]:
    """Runs train.py on a config."""

    def run(config: dict[str, Any]) -> Any:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")

    return run


# -- they train -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "augment", [SHIFTED, ROTATED, [SHIFTED, ROTATED], [FLIPPED, COMPOSED, ROTATED], []], ids=json.dumps
)
def test_digits_train_and_test_with_a_list(augment, digits_config, run_config, run_command, tmp_path):
    if "albumentations" in json.dumps(augment):
        pytest.importorskip("albumentations")
    done = run_config(with_args(digits_config, augment=augment))
    assert done.returncode == 0, done.stderr
    assert run_command("test.py", "-r", tmp_path / "models" / digits_config["name"] / "run").returncode == 0


@pytest.mark.parametrize("listed", [[CROPPED, ROTATED], [CROPPED, FLIPPED, COMPOSED]], ids=["v2", "albumentations"])
def test_an_image_folder_trains_and_tests_with_its_lists(listed, folder_config, run_config, run_command, tmp_path):
    if "albumentations" in json.dumps(listed):
        pytest.importorskip("albumentations")
    done = run_config(with_args(folder_config, transforms=listed, num_workers=2))
    assert done.returncode == 0, done.stderr
    assert run_command("test.py", "-r", tmp_path / "models" / folder_config["name"] / "run").returncode == 0


# -- exactness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [[CROPPED, ROTATED], [CROPPED, COMPOSED]], ids=["v2", "albumentations"])
def test_each_image_file_is_transformed_the_same_by_any_number_of_workers(listed, folder_config):
    if "albumentations" in json.dumps(listed):
        pytest.importorskip("albumentations")
    alone, helped = (loader_of(folder_config, transforms=listed, num_workers=number) for number in (0, 2))
    for first, second, _ in zip(alone.stream(5), helped.stream(5), range(12)):
        assert torch.equal(first[0], second[0])
    assert not torch.equal(next(alone.stream(5))[0], next(alone.stream(6))[0])


def test_a_batch_of_tensors_is_transformed_the_same_whatever_came_before(digits_config):
    loader, again = (loader_of(digits_config, augment=[SHIFTED, ROTATED]) for _ in range(2))
    stream = loader.stream()
    batches = [next(stream)[0] for _ in range(4)]
    assert torch.equal(next(again.stream(3))[0], batches[3])
    assert not torch.equal(images_of(loader_of(digits_config, augment=[SHIFTED])), images_of(loader))


def test_an_augmentation_alone_in_a_list_draws_as_it_does_without_one(digits_config):
    one, listed = (loader_of(digits_config, augment=augment) for augment in (SHIFTED, [SHIFTED]))
    assert torch.equal(images_of(one), images_of(listed))


# -- training and evaluation ------------------------------------------------------------------------------------------


def test_digits_for_validation_and_test_are_left_alone(digits_config):
    for training in (True, False):
        plain, augmented = (
            loader_of(digits_config, augment=augment, training=training) for augment in (False, [ROTATED])
        )
        assert torch.equal(images_of(plain), images_of(augmented)) is not training
        if training:
            assert torch.equal(images_of(plain.split_validation()), images_of(augmented.split_validation()))


def test_made_images_for_the_test_are_left_alone():
    from torchvision.transforms import v2

    for training in (True, False):
        plain, augmented = (
            ShapeLabelsDataLoader(training=training, augment=augment) for augment in (None, v2.RandomRotation(30))
        )
        assert torch.equal(images_of(plain), images_of(augmented)) is not training


def test_each_list_is_for_its_own_part_of_an_image_folder(folder_config):
    dark = {"type": f"{V2}.ColorJitter", "args": {"brightness": [0, 0]}}
    black = -0.485 / 0.229
    listed = {"transforms": [CENTRE, dark], "valid_transforms": [CENTRE]}
    training = loader_of(folder_config, **listed)
    validation, test = training.split_validation(), loader_of(folder_config, **listed, training=False)
    assert float(images_of(training)[:, 0].max()) == pytest.approx(black, abs=1e-4)
    assert float(images_of(validation)[:, 0].max()) > 1
    assert float(images_of(test)[:, 0].max()) > 1
    other_way = {"transforms": [CENTRE], "valid_transforms": [CENTRE, dark]}
    training = loader_of(folder_config, **other_way)
    validation, test = training.split_validation(), loader_of(folder_config, **other_way, training=False)
    assert float(images_of(training)[:, 0].max()) > 1
    assert float(images_of(validation)[:, 0].max()) == pytest.approx(black, abs=1e-4)
    assert float(images_of(test)[:, 0].max()) == pytest.approx(black, abs=1e-4)


def test_a_list_that_is_left_out_is_the_built_in_one(folder_config):
    given = loader_of(folder_config, size=16, valid_transforms=None)
    built_in = loader_of(folder_config, size=16, transforms=None, valid_transforms=None)
    assert torch.equal(images_of(given.split_validation()), images_of(built_in.split_validation()))
    assert not torch.equal(images_of(given), images_of(built_in))


def test_bytes_are_normalised_and_numbers_are_not(folder_config):
    scaled = {"type": f"{V2}.ToDtype", "args": {"dtype": "float32", "scale": True}}
    numbers, normalised = (
        images_of(loader_of(folder_config, transforms=listed)) for listed in ([CENTRE, scaled], [CENTRE])
    )
    assert 0 <= float(numbers.min()) < float(numbers.max()) <= 1
    torch.testing.assert_close((numbers[:, 0] - 0.485) / 0.229, normalised[:, 0])


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("augment", "line"),
    [
        ([{"type": f"{V2}.RandomRotatoin"}], "augment.0.type: no 'RandomRotatoin' in .* did you mean 'RandomRotation'"),
        ([ROTATED, {"type": f"{V2}.RandomRotation", "args": {"degres": 3}}], "augment.1.args.degres: .* 'degrees'"),
        (3, "augment: 3 is not true or false or a function"),
        (["RandomRotation"], "augment: .* is not true or false or a function"),
        ([{"type": "os.system"}], "augment.0.type: 'os.system': a config may name"),
        ([{"type": f"{V2}.RandomCrop", "args": {"size": 20}}], r"RandomCrop fails on images \[1, 8, 8\]: ValueError: "),
    ],
    ids=str,
)
def test_a_mistake_in_a_list_for_digits_is_one_line(augment, line, digits_config, run_config):
    done = run_config(with_args(digits_config, augment=augment))
    assert done.returncode in (1, 2)
    [said] = done.stderr.splitlines()
    assert re.search(line, said), said


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ({"transforms": [{"type": "albumentations.HorizontalFlop"}]}, "transforms.0.type: "),
        ({"transforms": CROPPED}, "transforms: .* is not a list"),
        ({"transforms": [CROPPED, SHIFTED]}, "sample .* 'RandomCropFlip' object is not callable"),
        (
            {"transforms": [{"type": f"{V2}.RandomCrop", "args": {"size": 90}}]},
            r"sample [0-9]+ \(.*\.png\) of ImageFolder: ValueError",
        ),
        (
            {"transforms": [{"type": f"{V2}.RandomResize", "args": {"min_size": 8, "max_size": 24}}]},
            "must be of one size, not",
        ),
        ({"cache": "memory"}, "cache has its own crops and batches"),
    ],
    ids=str,
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_a_list_for_an_image_folder_is_one_line(args, line, workers, folder_config, run_config):
    done = run_config(with_args(folder_config, num_workers=workers, **args))
    assert done.returncode in (1, 2)
    [said] = done.stderr.splitlines()
    assert re.search(line, said), said
