"""Data sets as their makers publish them: read as they are, refused in one line where they are broken."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_loader.files import read_cifar10, read_digits, read_idx, read_mnist
from tests.data_loader.write_files import cifar10_records, idx_bytes, write_cifar10, write_mnist
from utils.errors import ConfigError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


def refusal(read: Callable[..., Any], *arguments: Any) -> str:
    """The one line of a ConfigError."""
    with pytest.raises(ConfigError) as error:
        read(*arguments)
    line = str(error.value)
    assert "\n" not in line
    return line


# -- idx --------------------------------------------------------------------------------------------------------------


def test_an_idx_file_is_read_plain_or_compressed(tmp_path):
    (tmp_path / "plain").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    for name in ("plain", "packed"):
        array = read_idx(tmp_path / name, dimensions=3)
        assert array.dtype == torch.uint8
        assert array.tolist() == IMAGES.tolist()


def test_an_idx_file_may_be_written_to_without_changing_the_file(tmp_path):
    (tmp_path / "plain").write_bytes(idx_bytes(IMAGES))
    read_idx(tmp_path / "plain", 3).zero_()
    assert read_idx(tmp_path / "plain", 3).tolist() == IMAGES.tolist()


BROKEN = {
    "empty": (b"", "not an idx file of bytes with 3 dimensions"),
    "text": (b"<html>404 Not Found</html>", "not an idx file of bytes with 3 dimensions"),
    "other dimensions": (idx_bytes(IMAGES[0]), "not an idx file of bytes with 3 dimensions"),
    "floats": (b"\0\0\x0d\x03" + idx_bytes(IMAGES)[4:], "not an idx file of bytes with 3 dimensions"),
    "half a header": (idx_bytes(IMAGES)[:10], "not an idx file of bytes with 3 dimensions"),
    "truncated": (idx_bytes(IMAGES)[:-5], "19 bytes of data where its header promises 24"),
    "too long": (idx_bytes(IMAGES) + b"\0", "more than 24 bytes of data where its header promises 24"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_broken_idx_file_is_refused_in_one_line(content, reason, packed, tmp_path):
    path = tmp_path / "images"
    if packed:
        (tmp_path / "images.gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)
    line = refusal(read_idx, path, 3)
    assert line.startswith(str(path))
    assert line.endswith(reason)


PACKED = gzip.compress(idx_bytes(np.zeros((2, 30, 40), np.uint8)), mtime=0)
NOT_PACKED = {
    "cut": PACKED[:-12],
    "text": b"<html>404 Not Found</html>",
    "empty": b"",
    "damaged": PACKED[:12] + b"\xff\xff\xff" + PACKED[15:],
    "checksum": PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:],
}


@pytest.mark.parametrize("content", NOT_PACKED.values(), ids=NOT_PACKED)
def test_a_broken_compressed_file_is_refused_in_one_line(content, tmp_path):
    (tmp_path / "images.gz").write_bytes(content)
    assert str(tmp_path / "images") in refusal(read_idx, tmp_path / "images", 3)


# -- MNIST ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_mnist_is_read_from_its_folder_and_nothing_is_downloaded(name, tmp_path, without_network, capsys):
    write_mnist(tmp_path, name)
    for training, count in ((True, 50), (False, 20)):
        images, classes = read_mnist(tmp_path, training, name)
        assert (images.shape, images.dtype) == ((count, 1, 28, 28), torch.uint8)
        assert (classes.shape, classes.dtype) == ((count,), torch.int64)
        assert images[0, 0, 0, :2].tolist() == [255, 0]
    assert capsys.readouterr().out == ""


def test_compressed_files_of_mnist_are_enough(tmp_path, without_network):
    write_mnist(tmp_path)
    expected = read_mnist(tmp_path, True)
    for path in list((tmp_path / "MNIST" / "raw").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert all(map(torch.equal, read_mnist(str(tmp_path), True), expected))


# -- CIFAR-10 ---------------------------------------------------------------------------------------------------------


def test_cifar10_is_read_colour_by_colour_and_row_by_row_and_nothing_is_downloaded(tmp_path, without_network, capsys):
    write_cifar10(tmp_path)
    images, classes = read_cifar10(tmp_path, training=True)
    assert (images.shape, images.dtype, classes.dtype) == ((50, 3, 32, 32), torch.uint8, torch.int64)
    assert images[0, :, 0, :3].tolist() == [[0, 1, 2], [100, 101, 102], [200, 201, 202]]
    assert images[0, 0, 1, :2].tolist() == [32, 33]
    assert classes.tolist() == [number for number in range(1, 6) for _ in range(10)]
    assert read_cifar10(tmp_path, training=False)[1].tolist() == [9] * 20
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("size", [0, 3072, 3074, 2 * 3073 - 1])
def test_a_cifar10_file_of_a_wrong_size_is_refused_in_one_line(size, tmp_path, without_network):
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(cifar10_records(2, 0).tobytes()[:size] if size < 3074 else bytes(size))
    assert refusal(read_cifar10, tmp_path, True) == f"{path}: not a CIFAR-10 binary file (records of 3,073 bytes)"


def test_cifar10_that_is_incomplete_and_cannot_be_downloaded_is_refused_with_the_missing_file(
    tmp_path: Path, without_network: None
) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    line = refusal(read_cifar10, tmp_path, True)
    assert f"CIFAR-10 is neither in {tmp_path / 'cifar-10-batches-bin'} (missing: data_batch_4.bin)" in line
    assert "data_loader.args.data_dir" in line


# -- digits -----------------------------------------------------------------------------------------------------------


def test_the_digits_are_there_without_any_download(without_network):
    for training, count in ((True, 1437), (False, 360)):
        images, classes = read_digits(training)
        assert (images.shape, images.dtype) == ((count, 1, 8, 8), torch.uint8)
        assert (int(images.min()), int(images.max())) == (0, 16)
        assert (classes.dtype, classes.unique().tolist()) == (torch.int64, list(range(10)))
        assert len(classes) == count


def test_no_digit_of_the_test_part_is_in_the_training_part():
    train, test = (
        {tuple(image.flatten().tolist()) for image in read_digits(training)[0]} for training in (True, False)
    )
    assert not train & test
