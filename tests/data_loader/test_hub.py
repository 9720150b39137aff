"""Datasets of Hugging Face, on the disk: in memory and mapped, through the command line, and what is refused."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_loader.hub import HubDataLoader, HubDataset
from data_loader.transforms import RandomCropFlip
from tests.data_loader.test_arrays import ROOT
from tests.faults.harness import Trainings, assert_same_runs
from utils.errors import UserError

datasets = pytest.importorskip("datasets")
CLASSES = ["cat", "dog", "owl"]
TO_FLOAT = {"type": "transforms.Normalize", "args": {"mean": [0.5], "std": [0.25]}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def images(n: int, sizes: tuple[int, ...] = (8,)) -> Any:
    pixels = [
        np.random.default_rng(index).integers(0, 256, [sizes[index % len(sizes)]] * 2, np.uint8) for index in range(n)
    ]
    columns = {"id": list(range(n)), "image": [Image.fromarray(each) for each in pixels]}
    columns["label"] = [index % 3 for index in range(n)]
    kinds = {"id": datasets.Value("int64"), "image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


def saved(folder: Path, **options: Any) -> str:
    datasets.DatasetDict(train=images(100, **options), test=images(40, **options)).save_to_disk(folder)
    return str(folder)


def write_config(folder: Path, **sections: Any) -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    config["arch"] = {"type": "linear.LinearModel", "args": {"num_classes": "${data.num_classes}"}}
    config["trainer"] = {"epochs": 2, "save_steps": 4, "log_step": 1, "threads": 1, "save_dir": str(folder / "saved")}
    config |= {"metrics": ["accuracy"]} | sections
    (folder / "config.json").write_text(json.dumps(config))
    return config


# -- samples ----------------------------------------------------------------------------------------------------------


def test_images_are_bytes_and_classes_have_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "images")
    loader = HubDataLoader(path, "image", "label", batch_size=100, shuffle=False)
    (pixels, labels), dataset = next(iter(loader)), HubDataset(path, "image", "label")
    expected = np.random.default_rng(5).integers(0, 256, (8, 8), np.uint8)
    assert pixels[5, 0].tolist() == dataset[5][0][0].tolist() == expected.tolist()
    assert (pixels.shape, pixels.dtype, labels.dtype) == ((100, 1, 8, 8), torch.uint8, torch.int64)
    assert labels.tolist() == [dataset[index][1].item() for index in range(100)] == [index % 3 for index in range(100)]
    assert loader.classes == dataset.classes == CLASSES
    assert HubDataLoader(path, "image", "label", training=False).n_samples == 40
    assert HubDataLoader(path, "image", "label", splits=["test", "train"]).n_samples == 40
    assert HubDataset(path, "image", "label").fingerprint == dataset.fingerprint
    assert HubDataset(path, "image", "label", "test").fingerprint != dataset.fingerprint


def test_the_fingerprint_is_that_of_the_contents_not_of_the_files_state(tmp_path: Path) -> None:
    def fingerprint(text: str) -> str:
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / "train.csv").write_text(f"text,class\n{text},0\nmore,1\n")
        return HubDataset(str(tmp_path / "files"), "text", "class").fingerprint

    first = fingerprint("some")
    os.utime(tmp_path / "files" / "train.csv", (1, 1))
    assert HubDataset(str(tmp_path / "files"), "text", "class").fingerprint == first
    assert fingerprint("same") != first


def test_only_training_images_are_augmented(tmp_path: Path) -> None:
    path, augment = saved(tmp_path / "images"), RandomCropFlip(padding=1)
    assert HubDataLoader(path, "image", "label", augment=augment).augment == [augment]
    assert HubDataLoader(path, "image", "label", augment=augment, training=False).augment == []


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_in_memory_is_exact_and_is_tested_on_the_other_split(
    tmp_path: Path, start_command: Callable, run_command: Callable
) -> None:
    args = {"path": saved(tmp_path / "images"), "input": "image", "target": "label", "batch_size": 16}
    args |= {"validation_split": 0.2, "transform": TO_FLOAT, "augment": {"type": "transforms.RandomCropFlip"}}
    config = write_config(tmp_path, data_loader={"type": "hub.HubDataLoader", "args": args})
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.die(trainings.begin("broken", fault="update#10=kill"))  # in the second of two epochs of five steps
    assert "Resume training from step 8, epoch 2" in trainings.finish(trainings.resume("broken"))
    assert_same_runs(tmp_path, config["name"], "whole", "broken")
    tested = run_command("test.py", "-r", trainings.models("whole"))
    assert tested.returncode == 0, tested.stderr
    assert json.loads((trainings.models("whole") / "test.json").read_text())["n_samples"] == 40


def test_a_folder_of_files_trains_and_classes_are_counted(tmp_path: Path, run_command: Callable) -> None:
    for split, n in (("train", 60), ("test", 20)):
        columns = {"numbers": torch.rand(n, 64).tolist(), "class": [index % 4 for index in range(n)]}
        datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "files" / f"{split}.parquet")
    args = {"path": str(tmp_path / "files"), "input": "numbers", "target": "class", "batch_size": 20}
    write_config(tmp_path, data_loader={"type": "hub.HubDataLoader", "args": args})
    trained = run_command("train.py", "-c", tmp_path / "config.json", "-s", "trainer.monitor=off", "--run-id", "files")
    assert trained.returncode == 0, trained.stderr
    assert "weight 4x64" in trained.stdout
    assert run_command("test.py", "-r", tmp_path / "saved" / "models" / "Digits" / "files").returncode == 0


def test_images_of_several_sizes_stay_on_the_disk_and_are_made_one_size(tmp_path: Path, run_command: Callable) -> None:
    path = saved(tmp_path / "images", sizes=(8, 11))
    with pytest.raises(
        UserError, match="'image' or 'label' makes no tensor: texts, gaps or several shapes; put a Base"
    ):
        HubDataLoader(path, "image", "label")
    steps = [{"type": "torchvision.transforms.v2.Resize", "args": {"size": [8, 8]}}]
    steps += [{"type": "torchvision.transforms.v2.ToDtype", "args": {"dtype": "float32", "scale": True}}]
    one_size = {"type": "torchvision.transforms.v2.Compose", "args": {"transforms": steps}}
    sections = {}
    for split, section in (("train", "data_loader"), ("test", "test_data_loader")):
        args = {"path": path, "input": "image", "target": "label", "split": split, "transform": one_size}
        dataset = {"type": "hub.HubDataset", "args": args}
        sections[section] = {"type": "BaseDataLoader", "args": {"dataset": dataset, "batch_size": 20, "num_workers": 2}}
    write_config(tmp_path, **sections)
    trained = run_command("train.py", "-c", tmp_path / "config.json", "-s", "trainer.monitor=off", "--run-id", "mapped")
    assert trained.returncode == 0, trained.stderr
    tested = run_command("test.py", "-r", tmp_path / "saved" / "models" / "Digits" / "mapped")
    assert tested.returncode == 0, tested.stderr


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_had_is_one_line(tmp_path: Path, run_command: Callable) -> None:
    args = {"path": "nobody/nothing", "input": "image", "target": "label"}
    write_config(tmp_path, data_loader={"type": "hub.HubDataLoader", "args": args})
    refused = run_command("train.py", "-c", tmp_path / "config.json")
    assert refused.returncode != 0
    assert "nobody/nothing: its split 'train' cannot be read: Couldn't reach 'nobody/nothing'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "train.csv").write_text("text,class\nhello,0\nbye,1\n")
    for asked, line in (
        (("words", "class"), "no column 'words'; there are text, class"),
        (("text", "class"), "'text' or 'class' makes no tensor: texts"),
        (("text", "class", 1, True, 0, False), "its split 'test' cannot be read: "),
    ):
        with pytest.raises(UserError, match=line) as caught:
            HubDataLoader(str(tmp_path / "texts"), *asked)
        assert "\n" not in str(caught.value)
    assert HubDataset(str(tmp_path / "texts"), "text", "class")[1] == ("bye", 1)


def test_no_code_and_no_pickle_of_a_dataset_is_run(tmp_path: Path) -> None:
    mark, folder = tmp_path / "ran", tmp_path / "stranger"
    folder.mkdir()
    pickled = f"cposix\nsystem\n(S'touch {mark}'\ntR.".encode()
    for name in ("train.pkl", "train.pickle"):
        (folder / name).write_bytes(pickled)
    with pytest.raises(UserError, match="its split 'train' cannot be read"):
        HubDataset(str(folder), "a", "b")
    (folder / "train.csv").write_text("a,b\n1,2\n")
    (folder / "stranger.py").write_text(f"open({str(mark)!r}, 'w')")
    with pytest.raises(UserError, match="Dataset scripts are no longer supported"):
        HubDataset(str(folder), "a", "b")
    assert not mark.exists()


def test_without_the_package_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not there
    with pytest.raises(UserError, match=r"need its package: pip install -e '.\[datasets\]'$"):
        HubDataset("ylecun/mnist", "image", "label")
