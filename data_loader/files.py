"""Data sets as their makers publish them, read without running anything, downloaded when they are not there."""

import gzip
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils import dist
from utils.errors import ConfigError

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
MOST_PACKED = 200  # bytes from one of a compressed file; of images it is less than 10, of a bomb more than 1,000


def read_digits(training: bool) -> tuple[Tensor, Tensor]:
    """The digits that come with the project: images uint8 [n, 1, 8, 8] from 0 to 16, classes int64 [n]."""
    part = "train" if training else "test"
    with np.load(Path(__file__).parent.parent / "data" / "digits.npz", allow_pickle=False) as arrays:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()


def read_mnist(data_dir: str | Path, training: bool, name: str = "MNIST") -> tuple[Tensor, Tensor]:
    """MNIST, or a set of its format, from `data_dir/NAME/raw`: images uint8 [n, 1, 28, 28], classes int64 [n]."""
    folder, part = Path(data_dir) / name / "raw", "train" if training else "t10k"
    images, labels = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def download() -> None:
        from torchvision import datasets

        getattr(datasets, name)(str(data_dir), download=True)

    _ensure(folder, [images, labels], name, download)
    return read_idx(folder / images, dimensions=3)[:, None], read_idx(folder / labels, dimensions=1).long()


def read_cifar10(data_dir: str | Path, training: bool) -> tuple[Tensor, Tensor]:
    """CIFAR-10, from `data_dir/cifar-10-batches-bin`: images uint8 [n, 3, 32, 32], classes int64 [n]."""
    folder = Path(data_dir) / "cifar-10-batches-bin"
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] if training else ["test_batch.bin"]

    def download() -> None:
        from torchvision.datasets.utils import download_and_extract_archive

        download_and_extract_archive(CIFAR10_URL, str(data_dir), md5=CIFAR10_MD5)

    _ensure(folder, names, "CIFAR-10", download)
    rows = []
    for name in names:
        content = np.fromfile(folder / name, dtype=np.uint8)
        if len(content) == 0 or len(content) % 3073:
            raise ConfigError(f"{folder / name}: not a CIFAR-10 binary file (records of 3,073 bytes)")
        rows.append(torch.from_numpy(content).view(-1, 3073))
    records = torch.cat(rows)
    return records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), records[:, 0].long()


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The array of bytes in an idx file (LeCun, Cortes, Burges), plain or compressed: uint8.

    No more is read than the header promises, and no promise believed that the file cannot keep.
    """
    packed = path.with_name(f"{path.name}.gz")
    header = 4 + 4 * dimensions
    try:
        with open(path, "rb") if path.exists() else gzip.open(packed, "rb") as file:
            start = file.read(header)
            if start[:4] != bytes([0, 0, 8, dimensions]) or len(start) < header:
                raise ConfigError(f"{path}: not an idx file of bytes with {dimensions} dimensions")
            shape = np.frombuffer(start, dtype=">u4", count=dimensions, offset=4).tolist()
            promised = math.prod(shape)
            most = path.stat().st_size if path.exists() else MOST_PACKED * packed.stat().st_size
            data = bytearray(file.read(min(promised, most) + 1))
    except (EOFError, OSError, zlib.error) as error:
        raise ConfigError(f"{packed}: cannot be unpacked ({error})") from None
    if len(data) != promised or 0 in shape:
        more = "more than " if len(data) > promised else ""
        raise ConfigError(
            f"{path}: {more}{min(len(data), promised):,} bytes of data where its header promises {promised:,}"
        )
    return torch.frombuffer(data, dtype=torch.uint8).view(shape)


def _ensure(folder: Path, names: list[str], title: str, download: Callable[[], None]) -> None:
    """Downloads a data set unless its files, or compressed ones, are there; ConfigError if it cannot be had."""
    if dist.local_rank() > 0:  # one process of a machine downloads, the others wait
        dist.from_main(None)
        return
    _download_unless_there(folder, names, title, download)
    dist.from_main(None)


def _download_unless_there(folder: Path, names: list[str], title: str, download: Callable[[], None]) -> None:
    missing = [name for name in names if not (folder / name).exists() and not (folder / f"{name}.gz").exists()]
    if not missing:
        return
    print(f"{title} is not in {folder}; downloading it")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        download()
    except Exception as error:  # torchvision raises whatever the network did
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"{title} is neither in {folder} (missing: {missing[0]}) nor can it be downloaded ({reason}); "
            "put the files there, or set data_loader.args.data_dir to where they are"
        ) from None
