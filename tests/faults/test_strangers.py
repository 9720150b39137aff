"""Checkpoints, run folders and data from a stranger: refused in one line, nothing run, nothing written elsewhere."""

import gzip
import io
import json
import os
import pickle
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from utils import checkpoint

ROOT = Path(__file__).parents[2]
GIB = 2**30


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def state(**more: Any) -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    parts = {"format": 1, "name": "Digits", "arch": "DigitsModel", "epoch": 0, "step": 0, "state_dict": {}}
    return parts | {"config": config, "log": {}, "fingerprint": {}, "extra": {}} | more


def as_zip(path: Path, evil: Evil) -> None:
    torch.save(state(extra={"a": evil}), path)


def as_legacy(path: Path, evil: Evil) -> None:
    torch.save(state(extra={"a": evil}), path, _use_new_zipfile_serialization=False)


def as_pickle(path: Path, evil: Evil) -> None:
    path.write_bytes(pickle.dumps(state(extra={"a": evil})))


def as_old_pickle(path: Path, evil: Evil) -> None:
    path.write_bytes(pickle.dumps(evil, protocol=0))


def as_tar(path: Path, evil: Evil) -> None:
    """As torch wrote in 2016."""
    with tarfile.open(path, "w") as archive:
        for name, value in (("sys_info", {}), ("storages", 0), ("tensors", 0), ("pickle", evil)):
            content = pickle.dumps(value, protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("write", [as_zip, as_legacy, as_pickle, as_old_pickle, as_tar])
@pytest.mark.parametrize("command", ["train", "train from weights", "test", "rescue"])
def test_a_checkpoint_that_would_run_code_is_refused_even_where_safe_loading_is_switched_off(
    write: Callable, command: str, tmp_path: Path, run_command: Callable
) -> None:
    evil = tmp_path / "evil.pth"
    write(evil, Evil(tmp_path / "owned"))
    arguments = {
        "train": ("train.py", "-r", evil),
        "train from weights": ("train.py", "-r", evil, "-c", "config.json", "-s", f"trainer.save_dir={tmp_path}"),
        "test": ("test.py", "-r", evil),
        "rescue": ("rescue.py", evil, tmp_path / "new.pth"),
    }[command]
    done = run_command(*arguments, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    assert not (tmp_path / "owned").exists()
    assert done.returncode == 2 or (command == "rescue" and done.returncode == 0), done  # which may leave it out
    assert len(done.stderr.strip().splitlines()) <= 1, done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"evil.pth", "new.pth"}


def test_the_proof_works(tmp_path: Path) -> None:
    for write in (as_zip, as_legacy):
        write(tmp_path / "evil.pth", Evil(tmp_path / "owned"))
        torch.load(tmp_path / "evil.pth", weights_only=False)
        (tmp_path / "owned").rmdir()


def repacked(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes the entries of an archive anew, changed, with checksums that fit."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def larger_storage(name: str, content: bytes) -> bytes:
    """A tensor that says it has 10 GiB of numbers."""
    if not name.endswith("data.pkl"):
        return content
    assert content.count(b"K\x07") > 0
    return content.replace(b"K\x07", b"\x8a\x05" + (10 * GIB // 4).to_bytes(5, "little"))


def bomb(name: str, content: bytes) -> bytes:
    return bytes(64 * 2**20) if name.endswith("data/0") else content


@pytest.mark.parametrize(
    ("change", "compression"),
    [(larger_storage, zipfile.ZIP_STORED), (bomb, zipfile.ZIP_DEFLATED)],
    ids=["10 GiB", "bomb"],
)
def test_a_checkpoint_that_promises_more_than_it_has_is_refused(
    change: Callable, compression: int, tmp_path: Path, run_command: Callable
) -> None:
    path = tmp_path / "large.pth"
    torch.save(state(state_dict={"w": torch.arange(7.0)}), path)
    repacked(path, change, compression)
    done = run_command("train.py", "-r", path, timeout=20)
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1


def idx(*shape: int, content: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


FILES: dict[str, Callable[[Path], Any]] = {
    "10 GB header": lambda raw: (raw / "train-images-idx3-ubyte").write_bytes(
        idx(13_000_000, 28, 28, content=b"x" * 99)
    ),
    "2^96 header": lambda raw: (raw / "train-images-idx3-ubyte").write_bytes(idx(*[2**32 - 1] * 3, content=b"x" * 99)),
    "10 GB compressed": lambda raw: (raw / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx(13_000_000, 28, 28, content=bytes(2**24)))
    ),
    "compressed bomb": lambda raw: (raw / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx(2, 28, 28, content=bytes(2**26)))
    ),
    "no idx file": lambda raw: (raw / "train-images-idx3-ubyte").write_bytes(pickle.dumps(Evil(raw / "owned"))),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_data_file_that_is_not_what_it_says_is_refused(kind: str, tmp_path: Path, run_command: Callable) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    FILES[kind](raw)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(2, content=b"01"))
    config = json.loads((ROOT / "config.json").read_text())
    config |= {"data_loader": {"type": "MnistDataLoader", "args": {"data_dir": str(tmp_path)}}}
    config["trainer"]["save_dir"] = str(tmp_path / "saved")
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run_command("train.py", "-c", tmp_path / "config.json", timeout=20)
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"MNIST", "config.json"}
    assert not (raw / "owned").exists()


def png(width: int, height: int, content: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [png(60_000, 60_000, b"x"), b"GIF89a", pickle.dumps({"an": "image"}), b"<svg onload='x'/>", b""],
    ids=["10 GB header", "half a GIF", "pickle", "SVG", "empty"],
)
def test_an_image_that_is_not_what_it_says_is_named(content: bytes, tmp_path: Path, run_command: Callable) -> None:
    folder = tmp_path / "images" / "train" / "bee"
    folder.mkdir(parents=True)
    for index in range(3):
        (folder / f"{index}.png").write_bytes(content)
    config = json.loads((ROOT / "config.json").read_text())
    args = {"data_dir": str(tmp_path / "images"), "batch_size": 2, "num_workers": 0}
    config |= {"data_loader": {"type": "ImageFolderDataLoader", "args": args}}
    config |= {"arch": {"type": "ResNet", "args": {"num_classes": 10, "widths": [4]}}, "metrics": ["accuracy"]}
    config["trainer"]["save_dir"] = str(tmp_path / "saved")
    config["trainer"] |= {"monitor": "off", "tensorboard": False}
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run_command("train.py", "-c", tmp_path / "config.json", timeout=60)
    assert done.returncode in (1, 2), done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert re.search(r"sample \d \(.*\.png\) of ImageFolder: ", done.stderr)


@pytest.fixture
def run(tmp_path: Path, digits_config: dict[str, Any], run_command: Callable) -> Path:
    """A finished run, as a stranger might give it away."""
    digits_config["trainer"] |= {"epochs": 1, "len_epoch": 2, "save_dir": str(tmp_path / "saved")}
    del digits_config["lr_scheduler"]
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    assert run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run").returncode == 0
    return tmp_path / "saved" / "models" / "Digits" / "run"


@pytest.mark.parametrize(
    "name", ["models/.tmp-checkpoint-last.pth", "log/.tmp-status.json", "log/metrics.jsonl", "log/info.log"]
)
def test_a_run_folder_with_links_in_it_is_refused(name: str, run: Path, tmp_path: Path, run_command: Callable) -> None:
    (tmp_path / "mine").write_text("mine")
    part, file = name.split("/")
    place = (run if part == "models" else tmp_path / "saved" / "log" / "Digits" / "run") / file
    place.unlink(missing_ok=True)
    place.symlink_to(tmp_path / "mine")
    done = run_command("train.py", "-r", run, "-s", "trainer.epochs=2")
    assert done.returncode == 2, done
    assert f"{place.name}: a link to {tmp_path / 'mine'}" in done.stderr
    assert (tmp_path / "mine").read_text() == "mine"


def test_where_a_new_run_is_kept_is_not_a_strange_checkpoints_to_say(
    run: Path, tmp_path: Path, run_command: Callable
) -> None:
    given = checkpoint.read(run / "checkpoint-last.pth")
    given["config"]["trainer"]["save_dir"] = str(tmp_path / "home")
    checkpoint.write(given, tmp_path / "given.pth")
    done = run_command("train.py", "-r", tmp_path / "given.pth")
    assert done.returncode == 2, done
    assert f"its config keeps runs in {tmp_path / 'home'}; say where: -s trainer.save_dir=" in done.stderr
    assert not (tmp_path / "home").exists()
    said = run_command("train.py", "-r", tmp_path / "given.pth", "-s", f"trainer.save_dir={tmp_path / 'new'}")
    assert said.returncode == 0, said
    assert (tmp_path / "new" / "models").is_dir()


@pytest.mark.parametrize("content", [b"{}", b"\xff", b"[" * 100_000], ids=["object", "no text", "endless"])
def test_a_record_of_starts_that_is_none_is_one_line(content: bytes, run: Path, run_command: Callable) -> None:
    record = run.parents[2] / "log" / "Digits" / "run" / "run.json"
    record.write_bytes(content)
    done = run_command("train.py", "-r", run, "-s", "trainer.epochs=2")
    assert done.returncode == 1, done
    assert "run.json: not the list of starts" in done.stderr
    assert record.read_bytes() == content
