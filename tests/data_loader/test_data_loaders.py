"""The shipped data loaders: what their batches are, what training changes, which part is tested."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from base import BaseDataLoader
from data_loader import data_loaders
from data_loader.data_loaders import DigitsDataLoader, ImageFolderDataLoader, MnistDataLoader
from tests.data_loader.write_files import write_cifar10, write_images, write_mnist
from utils.errors import ConfigError

SHAPES = {
    "DigitsDataLoader": (1, 8, 8),
    "MnistDataLoader": (1, 28, 28),
    "FashionMnistDataLoader": (1, 28, 28),
    "Cifar10DataLoader": (3, 32, 32),
    "ImageFolderDataLoader": (3, 64, 64),
}
SIZES = {"DigitsDataLoader": (1437, 360), "ImageFolderDataLoader": (10, 4)}  # the other ones are made of 50 and 20


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., BaseDataLoader]:
    """A loader by name, over small files of its format."""
    write_mnist(tmp_path)
    write_mnist(tmp_path, "FashionMNIST")
    write_cifar10(tmp_path)
    write_images(tmp_path)

    def build(name: str, **options: Any) -> BaseDataLoader:
        folder = {} if name == "DigitsDataLoader" else {"data_dir": str(tmp_path)}
        workers = {"num_workers": 0} if name == "ImageFolderDataLoader" else {}
        return getattr(data_loaders, name)(**{**folder, **workers, "batch_size": 8} | options)

    return build


def images_of(loader: Any) -> torch.Tensor:
    return torch.cat([images for images, _ in loader])


@pytest.mark.parametrize("name", SHAPES)
def test_batches_are_normalised_images_and_classes(name, make):
    images, classes = next(iter(make(name)))
    assert (images.shape, images.dtype) == ((8, *SHAPES[name]), torch.float32)
    assert (classes.shape, classes.dtype) == ((8,), torch.int64)
    assert float(images.min()) < 0 < float(images.max())


@pytest.mark.parametrize("name", SHAPES)
def test_training_false_gives_the_test_part(name, make):
    train, test = SIZES.get(name, (50, 20))
    assert make(name).n_samples == train
    loader = make(name, training=False, shuffle=False)
    assert loader.n_samples == test == len(images_of(loader))


@pytest.mark.parametrize("name", SHAPES)
def test_training_images_change_from_pass_to_pass_those_of_test_and_validation_never(name, make):
    options = {} if name == "ImageFolderDataLoader" else {"augment": True}
    train, test = (make(name, shuffle=False, training=training, **options) for training in (True, False))
    validation = make(name, validation_split=4, **options).split_validation()
    assert not torch.equal(images_of(train), images_of(train))
    assert torch.equal(images_of(test), images_of(test))
    assert torch.equal(images_of(validation), images_of(validation))


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "ImageFolderDataLoader"])
def test_augmentation_can_be_switched_off(name, make):
    loader = make(name, shuffle=False, augment=False)
    assert torch.equal(images_of(loader), images_of(loader))


def test_the_digits_have_mean_0_and_standard_deviation_1():
    images = images_of(DigitsDataLoader(augment=False))
    assert float(images.mean()) == pytest.approx(0, abs=0.01)
    assert float(images.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "mean", "std"), [("MnistDataLoader", 0.1307, 0.3081), ("FashionMnistDataLoader", 0.2860, 0.3530)]
)
def test_each_set_of_mnists_format_is_normalised_with_its_own_mean(name, mean, std, make):
    images, _ = next(iter(make(name, shuffle=False, augment=False)))
    assert images[0, 0, 0, :2].tolist() == pytest.approx([(1 - mean) / std, -mean / std])


def test_mnist_takes_the_arguments_of_the_old_templates_config(tmp_path):
    write_mnist(tmp_path)
    old = {"data_dir": str(tmp_path), "batch_size": 16, "shuffle": True, "validation_split": 0.1, "num_workers": 2}
    loader = MnistDataLoader(**old)
    assert (loader.n_samples, len(next(iter(loader))[0])) == (45, 16)


def test_an_image_folder_names_its_classes_and_takes_the_size(make):
    loader = make("ImageFolderDataLoader", size=20, shuffle=False, training=False)
    images, classes = next(iter(loader))
    assert isinstance(loader, ImageFolderDataLoader)
    assert loader.classes == ["ant", "bee"]
    assert classes.tolist() == [0, 0, 1, 1]
    assert images.shape == (4, 3, 20, 20)


def image_set(loader: BaseDataLoader) -> set[tuple[float, ...]]:
    """The images of a loader as validation sees them."""
    images: Any = loader.valid_dataset
    return {tuple(image.flatten().tolist()) for image, _ in images}


def test_an_image_folder_that_is_not_divided_is_divided_the_same_way_each_time(tmp_path):
    write_images(tmp_path)
    train, test, test_again = (
        image_set(ImageFolderDataLoader(str(tmp_path / "train"), training=training, size=8, num_workers=0))
        for training in (True, False, False)
    )
    assert (len(train), len(test), len(train | test)) == (8, 2, 10)
    assert test == test_again


def test_an_image_folder_gives_the_same_images_with_workers(make):
    with_workers, alone = (make("ImageFolderDataLoader", num_workers=workers) for workers in (2, 0))
    for ours, others in zip(with_workers.one_pass(), alone.one_pass(), strict=True):
        assert all(map(torch.equal, ours.batch, others.batch))


def test_a_folder_that_is_not_there_is_refused_in_one_line(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(ConfigError, match="no such folder; images belong in ") as error:
        ImageFolderDataLoader(str(tmp_path), training=False)
    assert str(error.value).startswith(str(tmp_path / "test"))
    assert "\n" not in str(error.value)


def test_a_folder_without_class_folders_is_refused_in_one_line(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(ConfigError) as error:
        ImageFolderDataLoader(str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_test_folder_has_the_numbers_of_the_classes_that_are_trained_on(image_folder: Path) -> None:
    test = image_folder / "test"
    for name in ("class1", "class2"):
        shutil.copytree(image_folder / "train" / name, test / name)
    loader = ImageFolderDataLoader(str(image_folder), size=16, training=False, num_workers=0)
    assert loader.classes == ["class0", "class1", "class2"]
    assert {label for _, labels in loader for label in labels.tolist()} == {1, 2}
    (test / "class2").rename(test / "strange")
    with pytest.raises(ConfigError, match=r"test/strange: no such class in .*train, to train on"):
        ImageFolderDataLoader(str(image_folder), size=16, training=False, num_workers=0)
