"""Small data sets in the formats of their makers."""

from pathlib import Path

import numpy as np
from PIL import Image

N_TRAIN, N_TEST = 50, 20


def idx_bytes(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_mnist(folder: Path, name: str = "MNIST") -> None:
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", N_TRAIN), ("t10k", N_TEST)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        images[0, 0, :2] = [255, 0]
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def cifar10_records(count: int, label: int) -> np.ndarray:
    """Records whose pixels count up within each colour, from 0 in red, 100 in green, 200 in blue."""
    colours = [(start + np.arange(1024) % 50).astype(np.uint8) for start in (0, 100, 200)]
    return np.tile(np.concatenate([np.array([label], np.uint8), *colours]), (count, 1))


def write_cifar10(folder: Path) -> None:
    batches = folder / "cifar-10-batches-bin"
    batches.mkdir()
    for number in range(1, 6):
        cifar10_records(N_TRAIN // 5, number).tofile(batches / f"data_batch_{number}.bin")
    cifar10_records(N_TEST, 9).tofile(batches / "test_batch.bin")


def write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 2)):
        for name in ("bee", "ant"):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (40, 30, 3), np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
