"""The data loaders that a config can name."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Subset, default_collate

from base import BaseDataLoader, TensorDataLoader
from data_loader import image_cache
from data_loader.files import read_cifar10, read_digits, read_mnist
from data_loader.transforms import CenterCrop, Normalize, RandomAffine, RandomCrop, RandomCropFlip
from utils.batch_order import Place
from utils.cores import loader_processes
from utils.errors import ConfigError
from utils.failures import SampleError
from utils.image_transforms import transformed
from utils.seed import generator

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # mean and standard deviation of each colour
ROOM_TO_CROP = 1.15  # the side of a kept square, in sides of what the model sees


class DigitsDataLoader(TensorDataLoader):
    """The digits that come with the project: 1,437 training and 360 test images of 8x8 pixels, 10 classes.

    Batches: images [B, 1, 8, 8], classes [B].

    :param augment: of the training images, which are bytes up to 16: true shifts, turns and scales them a little; or
        augmentations and transforms of your own
    """

    def __init__(
        self,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        augment: bool | Callable | list[Callable] = True,
        **options: Any,
    ) -> None:
        moves = _moves(augment, RandomAffine(shift=1, degrees=15, scale=0.15), training)
        normalize = Normalize([0.305], [0.376], largest=16)
        tensors = self.read(training)
        super().__init__(tensors, batch_size, shuffle, validation_split, augment=moves, transform=normalize, **options)

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
    :param augment: of the training images: true shifts, turns and scales them a little; or augmentations and transforms
        of your own
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
        augment: bool | Callable | list[Callable] = False,
        **options: Any,
    ) -> None:
        tensors = read_mnist(data_dir, training, self.name)
        moves = _moves(augment, self.moves(), training)
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

    :param augment: of the training images: true shifts them by up to 4 pixels and mirrors every second one; or
        augmentations and transforms of your own
    """

    def __init__(
        self,
        data_dir: str,
        batch_size: int = 128,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        augment: bool | Callable | list[Callable] = True,
        **options: Any,
    ) -> None:
        tensors = read_cifar10(data_dir, training)
        moves = _moves(augment, RandomCropFlip(padding=4), training)
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
    :param transforms: of training images, in place of the random crop and the mirroring; they get bytes [3, H, W], all
        they give must be of one size, and what they give as bytes is normalised, what they give as numbers is not
    :param valid_transforms: the same of validation and test images, in place of the crop of the middle
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
        transforms: list[Callable] | None = None,
        valid_transforms: list[Callable] | None = None,
        **options: Any,
    ) -> None:
        from torchvision.datasets import ImageFolder

        never = (transforms, valid_transforms, options.get("collate_fn"), options.get("valid_collate_fn"))
        if cache is not None and any(given is not None for given in never):
            raise ConfigError("cache has its own crops and batches; leave it out, or both transforms and collate_fn")
        num_workers = loader_processes(num_workers)
        folder, is_divided = Path(data_dir), (Path(data_dir) / "train").is_dir()
        if is_divided:
            folder = folder / ("train" if training else "test")
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: no such folder; images belong in {data_dir}/train/CLASS and {data_dir}/test/CLASS"
            )
        try:
            plain = ImageFolder(str(folder), transform=_image_transform(valid_transforms, size, augment=False))
        except FileNotFoundError as error:
            raise ConfigError(f"{folder}: {str(error).splitlines()[0]}") from None
        own = transforms if training else valid_transforms
        augmented = ImageFolder(str(folder), transform=_image_transform(own, size, augment=training))
        if is_divided and not training:
            for dataset in (plain, augmented):
                _number_as(dataset, Path(data_dir) / "train")
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
        options.setdefault("collate_fn", _of_one_size)
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


def _moves(augment: bool | Callable | list[Callable], built_in: Any, training: bool) -> Any:
    """The augmentation that a loader's `augment` asks for; none of the test part."""
    if augment is False or not training:
        return None
    return built_in if augment is True else augment


def _number_as(dataset: Any, folder: Path) -> None:
    """Gives classes the numbers they have in another folder, which may have more of them."""
    numbers = {
        name: number for number, name in enumerate(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    }
    if unknown := [name for name in dataset.classes if name not in numbers]:
        raise ConfigError(f"{dataset.root}/{unknown[0]}: no such class in {folder}, to train on")
    samples = [(file, numbers[dataset.classes[number]]) for file, number in dataset.samples]
    dataset.samples = dataset.imgs = samples
    dataset.targets = [number for _, number in samples]
    dataset.classes, dataset.class_to_idx = list(numbers), numbers


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


def _of_one_size(samples: list[tuple[torch.Tensor, int]]) -> Any:
    """A batch of images and classes; SampleError if the images cannot stand in one."""
    shapes = sorted({tuple(image.shape) for image, _ in samples})
    if len(shapes) > 1:
        raise SampleError(f"images of a batch must be of one size, not {shapes[0]} and {shapes[1]}; transform them so")
    return default_collate(samples)


def _image_transform(own: list[Callable] | None, size: int, augment: bool) -> Any:
    """An image file's content as the model sees it, by transforms of one's own or the built-in ones."""
    from torchvision.transforms import v2

    if own is not None:
        steps = own
    elif augment:
        steps = [v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True), v2.RandomHorizontalFlip()]
    else:
        steps = [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    return v2.Compose([v2.ToImage(), *(partial(transformed, step) for step in steps), _normalized])


def _normalized(image: torch.Tensor) -> torch.Tensor:
    """Bytes scaled and normalised; numbers as they are."""
    from torchvision.transforms.v2.functional import normalize, to_dtype

    return image if image.is_floating_point() else normalize(to_dtype(image, torch.float32, scale=True), *IMAGENET)
