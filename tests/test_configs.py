"""Every config that is shipped trains: two steps each, on small files in the real format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from settings.inheritance import read_extended

ROOT = Path(__file__).parent.parent
SHIPPED = [ROOT / "config.json", *sorted((ROOT / "configs").glob("*.*"))]
SMALL = ("trainer.max_steps=2", "trainer.log_step=1", "trainer.threads=1")


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.tobytes())


def write_mnist(folder: Path, name: str, n: int = 300) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", n), ("t10k", 40)):
        write_idx(folder / name / "raw" / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(folder / name / "raw" / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, count, np.uint8))


def write_cifar10(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "cifar-10-batches-bin").mkdir()
    for name in [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]:
        records = rng.integers(0, 256, (120 if name != "test_batch.bin" else 40, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / "cifar-10-batches-bin" / name)


def write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(200):
        target = folder / "images" / ("train" if index < 160 else "test") / f"class{index % 10}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (70, 80, 3), np.uint8)).save(target / f"{index}.png")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that holds every data set the shipped configs name, small and random."""
    write_mnist(tmp_path, "MNIST")
    write_mnist(tmp_path, "FashionMNIST")
    write_cifar10(tmp_path)
    write_images(tmp_path)
    return tmp_path


def test_every_shipped_config_is_told_of() -> None:
    told = "".join((ROOT / name).read_text() for name in ("README.md", "docs/recipes.md", "docs/results.md"))
    assert [path.name for path in SHIPPED if f"configs/{path.name}" not in told and path.parent != ROOT] == []


def options_for(path: Path, config: dict[str, Any], data: Path) -> list[str]:
    """What makes a short run of a shipped config, on the small data."""
    sets = [*SMALL, f"trainer.save_dir={data / 'saved'}"]
    args = config["data_loader"].get("args", {})
    if "validation_split" in args:
        sets.append("data_loader.args.validation_split=10")
    if "data_dir" in args:
        images = config["data_loader"]["type"] == "ImageFolderDataLoader"
        sets.append(f"data_loader.args.data_dir={data / 'images' if images else data}")
    if "warmup" in config.get("lr_scheduler", {}):
        sets.append("lr_scheduler.warmup=0")
    if "teacher" in config:
        sets.append("teacher.epochs=1")
    if "weights" in config["arch"]:
        torch.save(torchvision.models.resnet18().state_dict(), data / "weights.pth")
        sets += [f"arch.weights={data / 'weights.pth'}", "data_loader.args.size=32"]
    return [option for value in sets for option in ("-s", value)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_config_trains_and_tests(path: Path, data: Path, run_command: Callable) -> None:
    config = read_extended(path).tree
    options = options_for(path, config, data)
    trained = run_command("train.py", "-c", path, "--run-id", "two-steps", *options)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    rows = (data / "saved" / "log" / config["name"] / "two-steps" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["kind"] for row in rows] == ["step", "step", "epoch"]
    run = data / "saved" / "models" / config["name"] / "two-steps"
    tested = run_command("test.py", "-r", run)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    n_samples = json.loads((run / "test.json").read_text())["n_samples"]
    assert n_samples == 40 if "data_dir" in config["data_loader"].get("args", {}) else n_samples > 40
    summarized = run_command("train.py", "-c", path, "--summary", *options)
    assert summarized.returncode == 0, summarized.stdout + summarized.stderr
    assert summarized.stdout.splitlines()[-1].startswith("total ")


LEARNT = {  # a shorter run, its last row, and a bound that no constant answer reaches
    "forecast": (["trainer.epochs=2"], lambda row: row["val_mase"] < 0.9),
    "multilabel": (["trainer.epochs=4", "arch.args.widths=[4, 8, 16]"], lambda row: row["val_f1_macro"] > 0.75),
    "regression": (["trainer.epochs=6"], lambda row: row["val_r2"] > 0.7),
    "segmentation": (["trainer.epochs=2"], lambda row: row["val_mean_iou"] > 0.4),
}


@pytest.mark.parametrize(("name", "expected"), LEARNT.items(), ids=LEARNT)
def test_a_config_of_made_data_learns(name: str, expected: tuple, tmp_path: Path, run_command: Callable) -> None:
    changes, is_learnt = expected
    sets = [*changes, "trainer.threads=1", f"trainer.save_dir={tmp_path}"]
    options = [option for each in sets for option in ("-s", each)]
    path = ROOT / "configs" / f"{name}.json"
    trained = run_command("train.py", "-c", path, "--run-id", "short", *options)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    log = tmp_path / "log" / json.loads(path.read_text())["name"] / "short" / "metrics.jsonl"
    assert is_learnt(json.loads(log.read_text().splitlines()[-1])), trained.stdout


def test_data_that_is_nowhere_gives_one_line(tmp_path: Path, run_command: Callable) -> None:
    options = [
        "-s",
        f"data_loader.args.data_dir={tmp_path / 'nothing'}",
        "-s",
        f"trainer.save_dir={tmp_path / 'saved'}",
    ]
    unreachable = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    refused = run_command("train.py", "-c", ROOT / "configs" / "mnist.json", *options, **unreachable)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
    assert "MNIST is neither in" in refused.stderr
    assert not (tmp_path / "saved").exists()
    assert not (tmp_path / "nothing").exists()
