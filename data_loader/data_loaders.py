"""The data loaders that a config can name."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Subset

from base import BaseDataLoader, TensorDataLoader
from data_loader import image_cache
from data_loader.files import read_cifar10, read_digits, read_mnist
from data_loader.transforms import CenterCrop, Normalize, RandomAffine, RandomCrop, RandomCropFlip
from utils.batch_order import Place
from utils.cores import loader_processes
from utils.errors import ConfigError
from utils.seed import generator

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # mean and standard deviation of each colour
ROOM_TO_CROP = 1.15  # the side of a kept square, in sides of what the model sees


class DigitsDataLoader(TensorDataLoader):
    """The digits that come with the project: 1,437 training and 360 test images of 8x8 pixels, 10 classes.

    Batches: images [B, 1, 8, 8], classes [B].
    """

    def __init__(
        self,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        augment: bool = True,
        **options: Any,
    ) -> None:
        shift = RandomAffine(shift=1, degrees=15, scale=0.15) if augment and training else None
        normalize = Normalize([0.305], [0.376], largest=16)
        tensors = self.read(training)
        super().__init__(tensors, batch_size, shuffle, validation_split, augment=shift, transform=normalize, **options)

    @staticmethod
    def read(training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Images [n, 1, 8, 8] of bytes up to 16, and classes [n]."""
        return read_digits(training)


class ImbalancedDigitsDataLoader(DigitsDataLoader):
    """The digits with few examples of five classes: of 5 to 9 every twentieth. The test part is whole."""

    @staticmethod
    def read(training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = read_digits(training)
        classes = [(labels == number).nonzero().squeeze(1) for number in range(10)]
        kept = torch.cat(
            [places[::20] if number >= 5 and training else places for number, places in enumerate(classes)]
        )
        return images[kept], labels[kept]


class MnistDataLoader(TensorDataLoader):
    """MNIST: 60,000 training and 10,000 test images of 28x28 pixels, 10 classes.

    Batches: images [B, 1, 28, 28], classes [B].

    :param num_workers: taken for the sake of older configs; data in memory needs none
    :param augment: shift, turn and scale the training images a little
    """

    name, mean, std = "MNIST", 0.1307, 0.3081

    def __init__(
        self,
        data_dir: str,
        batch_size: int = 128,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        num_workers: int = 0,
        training: bool = True,
        augment: bool = False,
        **options: Any,
    ) -> None:
        tensors = read_mnist(data_dir, training, self.name)
        moves = self.moves() if augment and training else None
        normalize = Normalize([self.mean], [self.std])
        super().__init__(tensors, batch_size, shuffle, validation_split, augment=moves, transform=normalize, **options)

    @staticmethod
    def moves() -> Any:
        """The augmentation of training images."""
        return RandomAffine(shift=2, degrees=10, scale=0.1)


class FashionMnistDataLoader(MnistDataLoader):
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): clothes in MNIST's format."""

    name, mean, std = "FashionMNIST", 0.2860, 0.3530

    @staticmethod
    def moves() -> Any:
        return RandomCropFlip(padding=2)


class Cifar10DataLoader(TensorDataLoader):
    """CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 pixels, 10 classes.

    Batches: images [B, 3, 32, 32], classes [B].

    :param augment: shift the training images by up to 4 pixels and mirror every second one
    """

    def __init__(
        self,
        data_dir: str,
        batch_size: int = 128,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        augment: bool = True,
        **options: Any,
    ) -> None:
        tensors = read_cifar10(data_dir, training)
        moves = RandomCropFlip(padding=4) if augment and training else None
        normalize = Normalize([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
        super().__init__(tensors, batch_size, shuffle, validation_split, augment=moves, transform=normalize, **options)


class ImageFolderDataLoader(BaseDataLoader):
    """Image files of your own, one folder a class: `data_dir/train/CLASS/*.png`, and `data_dir/test` likewise.

    Without these two, `data_dir/CLASS/*.png` is divided into training and test part, the same each time.
    Batches: images [B, 3, size, size], classes [B] in the order of the folders' names.

    :param size: pixels of the square that the model sees
    :param test_split: the part of the images that is for testing, where there is no folder for them
    :param cache: decode each image once and keep its middle as a square of 1.15 times `size`, in "memory" or on "disk"
        (`data_dir/.hotplate-cache`, else the user's cache folder); training then sees random crops of the squares,
        mirrored or not, validation and test their centres, and the workers are there to decode only
    """

    def __init__(
        self,
        data_dir: str,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        num_workers: int | Literal["auto"] = "auto",
        training: bool = True,
        size: int = 64,
        test_split: float = 0.2,
        cache: Literal["disk", "memory"] | None = None,
        **options: Any,
    ) -> None:
        from torchvision.datasets import ImageFolder

        num_workers = loader_processes(num_workers)
        folder, is_divided = Path(data_dir), (Path(data_dir) / "train").is_dir()
        if is_divided:
            folder = folder / ("train" if training else "test")
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: no such folder; images belong in {data_dir}/train/CLASS and {data_dir}/test/CLASS"
            )
        try:
            plain = ImageFolder(str(folder), transform=_image_transform(size, augment=False))
        except FileNotFoundError as error:
            raise ConfigError(f"{folder}: {str(error).splitlines()[0]}") from None
        augmented = ImageFolder(str(folder), transform=_image_transform(size, augment=training))
        self.classes = plain.classes
        part = list(range(len(plain))) if is_divided else _part(len(plain), test_split, training)
        self._kept: TensorDataLoader | None = None
        if cache is not None and part:
            files, classes = zip(*(plain.samples[index] for index in part))
            context = options.get("multiprocessing_context")
            squares = image_cache.Squares(folder, files, round(size * ROOM_TO_CROP), num_workers, context)
            beside = Path(data_dir) if is_divided else None  # among folders of classes it would count as one
            images = squares.on_disk(beside) if cache == "disk" else squares.in_memory()
            self._kept = _loader_of_squares(images, torch.tensor(classes), batch_size, size, augment=training)
        super().__init__(
            Subset(augmented, part),
            batch_size,
            shuffle,
            validation_split,
            num_workers,
            valid_dataset=Subset(plain, part),
            **options,
        )

    def to(self, device: torch.device) -> "ImageFolderDataLoader":
        """Keeps the images on the device if they are kept in memory; of a file, each batch is moved as bytes."""
        if self._kept is not None:
            self._kept.to(device)
        return self

    def _make(self, order: Iterable[Place]) -> Iterator[Any]:
        return super()._make(order) if self._kept is None else self._kept._make(order)

    def _valid_loader(self, indices: Any) -> DataLoader:
        return super()._valid_loader(indices) if self._kept is None else self._kept._valid_loader(indices)


def _part(n: int, test_split: float, training: bool) -> list[int]:
    order = torch.randperm(n, generator=generator("test part")).tolist()
    n_test = int(n * test_split)
    return sorted(order[n_test:] if training else order[:n_test])


def _loader_of_squares(
    images: Any, classes: torch.Tensor, batch_size: int, size: int, augment: bool
) -> TensorDataLoader:
    """Batches of squares of bytes: cut at random if that is asked for, else in the middle."""
    from torchvision.transforms import v2

    crop = RandomCrop(size) if augment else None
    transform = v2.Compose([CenterCrop(size), Normalize(*IMAGENET)])
    return TensorDataLoader([images, classes], batch_size, shuffle=False, augment=crop, transform=transform)


def _image_transform(size: int, augment: bool) -> Any:
    from torchvision.transforms import v2

    if augment:
        crop = [v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True), v2.RandomHorizontalFlip()]
    else:
        crop = [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    scale = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET)]
    return v2.Compose([v2.ToImage(), *crop, *scale])
