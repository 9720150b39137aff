"""Samples a second of each way to batches, without a model, against per-sample torchvision: made images, in turn.

python benchmarks/data.py

Images in memory (32 pixels): a random shift by up to 4 pixels, mirrored or not, normalised. Image files (JPEG, 320
pixels, seen at 224): a random crop, mirrored or not, normalised. "Per sample" is torchvision's transforms within a
DataLoader, as its documentation has it; the project's paths give exactly resumable batches. The caches are filled
before the clock starts.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from torch.utils.data import DataLoader, Dataset

from base import TensorDataLoader
from benchmarks.contest import contest, report
from data_loader.data_loaders import ImageFolderDataLoader
from data_loader.transforms import Normalize, RandomCropFlip

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Transformed(Dataset):
    """Images in memory, each transformed by itself."""

    def __init__(self, images: torch.Tensor, classes: torch.Tensor, transform: Callable) -> None:
        self.images, self.classes, self.transform = images, classes, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.transform(self.images[index]), self.classes[index]


def rate(batches: Callable[[], Any]) -> float:
    """Samples a second over some batches."""
    started, n = perf_counter(), 0
    for batch in batches():
        n += len(batch[0])
    return n / (perf_counter() - started)


def in_memory(n: int) -> dict[str, Callable[[], float]]:
    """Ways to augmented batches of `n` images in memory."""
    from torchvision.transforms import v2

    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 32, 32), generator=draw, dtype=torch.uint8)
    classes = torch.randint(0, 10, (n,), generator=draw)
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    steps = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *to_float])
    data = Transformed(images, classes, steps)
    augment, normalize = RandomCropFlip(padding=4), Normalize(MEAN, STD)
    ours = TensorDataLoader([images, classes], 128, augment=augment, transform=normalize)
    plain = TensorDataLoader([images, classes], 128, transform=normalize)
    workers: dict[str, Any] = {"shuffle": True, "num_workers": 2, "persistent_workers": True}
    return {
        "per sample": partial(rate, lambda: DataLoader(data, 128, shuffle=True)),
        "per sample, 2 workers": partial(rate, DataLoader(data, 128, **workers).__iter__),
        "TensorDataLoader": partial(rate, lambda: islice(ours.stream(), len(ours))),
        "TensorDataLoader, not augmented": partial(rate, lambda: islice(plain.stream(), len(plain))),
    }


def make_files(folder: Path, n: int) -> None:
    """JPEG files of smooth noise, in two classes."""
    from torchvision.io import write_jpeg
    from torchvision.transforms.v2.functional import resize

    draw = torch.Generator().manual_seed(0)
    for index in range(n):
        image = resize(torch.randint(0, 256, (3, 20, 20), generator=draw, dtype=torch.uint8), [320, 320])
        path = folder / str(index % 2) / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        write_jpeg(image, str(path))


def files(folder: Path, workers: int) -> dict[str, Callable[[], float]]:
    """Ways to augmented batches of image files."""
    from torchvision import datasets, transforms

    args: dict[str, Any] = {
        "data_dir": str(folder),
        "batch_size": 32,
        "num_workers": workers,
        "size": 224,
        "test_split": 0.0,
    }
    if workers:
        args |= {"persistent_workers": True}
    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    data = datasets.ImageFolder(str(folder), transforms.Compose([*steps, transforms.Normalize(MEAN, STD)]))
    usual = DataLoader(data, 32, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    arms: dict[str, Callable[[], float]] = {"per sample": partial(rate, usual.__iter__)}
    kinds: dict[str, Any] = {"ImageFolderDataLoader": None, 'cache "disk"': "disk", 'cache "memory"': "memory"}
    for name, cache in kinds.items():
        loader = ImageFolderDataLoader(**args, cache=cache)
        arms[name] = partial(rate, partial(a_pass, loader))
    return arms


def a_pass(loader: Any) -> Iterable[Any]:
    return islice(loader.stream(), len(loader))


def show(title: str, arms: dict[str, Callable[[], float]], rounds: int, folder: Path | None) -> None:
    """Measures the arms and reports."""
    turns = contest(arms, rounds)
    floor = turns["per sample"]
    rows = {
        name: {
            "samples/s": statistics.median(values),
            "times": statistics.median(value / least for value, least in zip(values, floor, strict=True)),
        }
        for name, values in turns.items()
    }
    report(title, rows, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="in memory; a tenth as many files")
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    show("in memory, batches of 128", in_memory(options.images), options.rounds, options.json)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, max(40, options.images // 10))
        for workers in (0, 2):
            title = f"files with {workers} workers, batches of 32"
            show(title, files(folder, workers), options.rounds, options.json)


if __name__ == "__main__":
    main()
