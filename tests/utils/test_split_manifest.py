"""A run stays with its data and its parts; what leaks between them is told."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.datasets import ImageFolder

from base import BaseDataLoader, TensorDataLoader
from data_loader.text import TextDataset
from utils.datasets import fingerprint_of, samples_of
from utils.errors import UserError
from utils.leaks import warn_of_leaks
from utils.split_manifest import SplitManifest, check_test_part

ROOT = Path(__file__).parents[2]


def test_the_parts_are_told_by_number_and_do_not_overlap(tmp_path: Path, run_command: Callable) -> None:
    options = ("-s", "trainer.max_steps=2", "-s", f"trainer.save_dir={tmp_path}", "--run-id", "run")
    assert run_command("train.py", "-c", "config.json", *options).returncode == 0
    run = tmp_path / "models" / "Digits" / "run"
    split = json.loads((run / "split.json").read_text())
    assert sorted(split["train"] + split["valid"]) == list(range(1437))
    assert len(split["valid"]) == 143
    assert run_command("test.py", "-r", run).stderr == ""
    section = json.dumps({"type": "DigitsDataLoader", "args": {"augment": False}})
    before = (run / "test.json").read_bytes()
    on_training = ("test.py", "-r", run, "-s", f"+test_data_loader={section}")
    refused = run_command(*on_training)
    assert refused.returncode != 0
    assert "1437 of 1437 test samples trained or validated this model" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert (run / "test.json").read_bytes() == before
    allowed = run_command(*on_training, "--allow")
    assert allowed.returncode == 0
    assert "1437 of 1437" in allowed.stdout + allowed.stderr


@pytest.fixture
def image_run(tmp_path: Path, image_folder: Path, run_command: Callable) -> Callable:
    """Begins a run on a folder of images, or goes on with it."""
    folder = image_folder
    config = json.loads((ROOT / "config.json").read_text())
    config["arch"] = {"type": "ResNet", "args": {"num_classes": 3, "widths": [4, 8]}}
    args = {"data_dir": str(folder), "batch_size": 7, "size": 16, "num_workers": 0, "validation_split": 0.2}
    config["data_loader"] = {"type": "ImageFolderDataLoader", "args": args}
    config["metrics"] = ["accuracy"]
    config["trainer"] = {"epochs": 2, "max_steps": 2, "save_dir": str(tmp_path), "threads": 1}
    del config["lr_scheduler"]
    (tmp_path / "config.json").write_text(json.dumps(config))

    def run(*options: str) -> Any:
        begun = (tmp_path / "models").exists()
        how = (
            ("-r", tmp_path / "models" / "Digits" / "run")
            if begun
            else ("-c", tmp_path / "config.json", "--run-id", "run")
        )
        return run_command("train.py", *how, *options)

    run.folder = folder  # type: ignore[attr-defined]
    return run


def test_a_resume_with_other_data_is_refused_and_named(image_run: Callable) -> None:
    assert image_run().returncode == 0
    more = ("-s", "trainer.max_steps=3")
    assert image_run(*more).returncode == 0
    picture = next(image_run.folder.rglob("*.png"))
    shutil.copy(picture, picture.with_name("another.png"))
    refused = image_run("-s", "trainer.max_steps=4")
    assert refused.returncode != 0
    assert "not what the run has trained on: the data of train, the data of valid" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    picture.with_name("another.png").unlink()
    assert image_run("-s", "trainer.max_steps=4").returncode == 0


def test_another_split_is_refused_unless_it_is_allowed(image_run: Callable) -> None:
    assert image_run().returncode == 0
    other = ("-s", "trainer.max_steps=3", "-s", "+data_loader.args.split_seed=1")
    assert "--allow" in image_run(*other).stderr
    assert image_run(*other, "--allow").returncode == 0


@pytest.mark.parametrize("is_divided", [True, False])
def test_a_test_on_a_folder_that_has_changed_is_refused(
    is_divided: bool, image_run: Callable, run_command: Callable, tmp_path: Path
) -> None:
    folder, run = image_run.folder, tmp_path / "models" / "Digits" / "run"
    if is_divided:
        shutil.copytree(folder / "train", folder / "test")
    else:
        for classes in list((folder / "train").iterdir()):
            classes.rename(folder / classes.name)
        (folder / "train").rmdir()
    assert image_run().returncode == 0
    if is_divided:  # the folder of the test part may be another one, until it has been tested on
        assert run_command("test.py", "-r", run).returncode == 0
    picture = sorted((folder / "test" if is_divided else folder).rglob("*.png"))[0]
    picture.rename(picture.with_name("aaa.png"))
    picture = sorted((folder / "test" if is_divided else folder).rglob("*.png"))[-1]
    picture.unlink()
    refused = run_command("test.py", "-r", run)
    assert refused.returncode != 0
    said = (
        "the test part is another one than that of the last test" if is_divided else "has changed since the run began"
    )
    assert said in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert run_command("test.py", "-r", run, "--allow").returncode == 0
    assert run_command("test.py", "-r", run).returncode == 0 if is_divided else True
    assert image_run("-s", "trainer.max_steps=3").returncode == 0 if is_divided else True
    samples = json.loads((run / "split.json").read_text())["test"]["samples"]
    assert samples == {"from": 0, "to": 59} if is_divided else len(samples) == 11


@pytest.mark.parametrize("content", ["", "[", "[]", '{"data": 3}', '{"data": {}, "train": {}}', "[" * 100_000])
def test_a_damaged_manifest_is_one_line(content: str, tmp_path: Path) -> None:
    loader = TensorDataLoader([torch.rand(6, 2)], 2)
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(UserError, match=r"split\.json: damaged; delete it"):
        check_test_part(loader, {}, tmp_path / "split.json", allowed=True)
    with pytest.raises(UserError, match=r"split\.json: damaged; delete it"):
        SplitManifest(loader, None).write(tmp_path / "split.json")


def test_other_classes_than_those_trained_on_are_refused(tmp_path: Path) -> None:
    loaders = [TensorDataLoader([torch.rand(6, 2), torch.zeros(6)], 2) for _ in range(3)]
    for loader, classes in zip(loaders, (["blue", "green", "red"], ["green", "red"], ["blue", "green", "red"])):
        loader.classes = classes
    note = tmp_path / "split.json"
    SplitManifest(loaders[0], None).write(note)
    with pytest.raises(UserError, match=r"its classes are \['green', 'red'\], and those that were trained on \['blue'"):
        check_test_part(loaders[1], {}, note, allowed=False)
    check_test_part(loaders[2], {}, note, allowed=False)


def test_copies_across_the_parts_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = torch.arange(20.0).view(10, 2)
    loader = TensorDataLoader([torch.cat([rows, rows[:4]]), torch.zeros(14)], 2, validation_split=7)
    valid = set(loader.valid_sampler)
    train = set(range(14)) - valid
    copies = sum((index + 10 in train) for index in valid if index < 4) + sum(
        index - 10 in train for index in valid if index >= 10
    )
    assert copies > 0
    warn_of_leaks(loader, loader.split_validation())
    assert f"{copies} of 7 validation samples are exact copies" in caplog.text


def test_validation_samples_that_are_drawn_are_told(caplog: pytest.LogCaptureFixture) -> None:
    class Drawn(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> Any:
            return torch.rand(2), index

    loader = BaseDataLoader(Drawn(), 2, validation_split=3)
    state = torch.get_rng_state()
    warn_of_leaks(loader, loader.split_validation())
    assert "drawn at random" in caplog.text
    assert torch.equal(torch.get_rng_state(), state)
    caplog.clear()
    loader = BaseDataLoader(
        Drawn(), 2, validation_split=3, valid_dataset=torch.utils.data.TensorDataset(torch.ones(10, 2))
    )
    warn_of_leaks(loader, loader.split_validation())
    assert caplog.text == ""


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    images, classes = torch.rand(5, 2), torch.arange(5)
    first = fingerprint_of(torch.utils.data.TensorDataset(images, classes))
    assert first == fingerprint_of(torch.utils.data.TensorDataset(images.clone(), classes.clone()))
    changed = images.clone()
    changed[3, 1] += 1
    assert first != fingerprint_of(torch.utils.data.TensorDataset(changed, classes))
    subset = torch.utils.data.Subset(list(range(100)), [50, 60, 70])
    assert samples_of(BaseDataLoader(subset, 1, sampler=[2, 0])).tolist() == [50, 70]


class Odd(torch.utils.data.Dataset):
    """A dataset with names of its own for other things."""

    samples = ({"file": "a"}, {"file": "b"}, {"file": "c"}, {"file": "d"})
    tensors = "no tensors"

    def __init__(self) -> None:
        self.samples = list(self.samples)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        raise OSError("a torn file")


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self) -> Any:
        return iter(int, 1)


@pytest.mark.parametrize(
    "loaders",
    [
        lambda: (TensorDataLoader([torch.rand(6, 2)], 2), BaseDataLoader(Odd(), 2)),
        lambda: (BaseDataLoader(Odd(), 2), TensorDataLoader([torch.rand(6, 2)], 2)),
        lambda: (BaseDataLoader(Odd(), 2, validation_split=2), BaseDataLoader(Odd(), 2, sampler=[1, 2])),
        lambda: (
            TensorDataLoader([torch.rand(6, 2).bfloat16(), torch.tensor(1.0).expand(6)], 2, validation_split=2),
            None,
        ),
        lambda: ([1, 2, 3], [4]),
        lambda: (iter(()), None),
        lambda: (torch.utils.data.DataLoader(torch.utils.data.ChainDataset([Endless()])), None),
    ],
    ids=["tensors and others", "others and tensors", "torn", "bfloat16", "lists", "a stream", "a chain of streams"],
)
def test_data_of_any_kind_has_a_manifest(loaders: Callable, tmp_path: Path) -> None:
    manifest = SplitManifest(*loaders())
    manifest.write(tmp_path / "split.json")
    manifest.load_state_dict(json.loads(json.dumps(manifest.state_dict())))
    assert json.loads((tmp_path / "split.json").read_text())["data"].keys() == manifest.data.keys()


def noted(folder: Path, loader: Any, valid: Any = None) -> Path:
    SplitManifest(loader, valid).write(folder / "split.json")
    return folder / "split.json"


def is_refused(loader: Any, path: Path) -> str:
    """What a test is refused with, else nothing; it is noted nowhere."""
    before = path.read_bytes()
    try:
        check_test_part(loader, {}, path, allowed=False)
    except UserError as error:
        return str(error)
    finally:
        path.write_bytes(before)
    return ""


def images(folder: Path, size: int = 1, n: int = 20) -> ImageFolder:
    """Files that are no images but are called as such, of `size` bytes and some more each."""
    for index in range(n):
        (folder / f"class{index % 2}").mkdir(parents=True, exist_ok=True)
        (folder / f"class{index % 2}" / f"{index}.png").write_bytes(b"." * (size + index))
    return ImageFolder(str(folder))


class Counted(torch.utils.data.Dataset):
    """Of its contents only their number is known."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        return torch.zeros(1), 0


def test_two_datasets_of_equal_length_are_not_one(tmp_path: Path) -> None:
    assert is_refused(BaseDataLoader(Counted(9)), noted(tmp_path, BaseDataLoader(Counted(9)))) == ""
    state, fewer = SplitManifest(BaseDataLoader(Counted(9)), None).state_dict(), BaseDataLoader(Counted(8))
    with pytest.raises(UserError, match="the data of train"):  # while a resume goes by the number
        SplitManifest(fewer, None).load_state_dict(state)


def test_images_of_equal_names_but_of_another_folder_or_size_are_others(tmp_path: Path) -> None:
    train = images(tmp_path / "train")
    path = noted(tmp_path, BaseDataLoader(train))
    assert is_refused(BaseDataLoader(images(tmp_path / "test")), path) == ""
    other = images(tmp_path / "other" / "train", size=100)
    assert is_refused(BaseDataLoader(other), path) == ""
    assert "20 of 20 test samples trained" in is_refused(BaseDataLoader(train), path)
    assert manifest_data(other) != manifest_data(train)
    assert manifest_data(ImageFolder(f"{train.root}/")) == manifest_data(train)


def manifest_data(dataset: Any) -> str:
    return SplitManifest(BaseDataLoader(dataset), None).data["train"]


def test_images_that_trained_are_known_in_a_folder_that_has_moved_and_grown(tmp_path: Path) -> None:
    dataset = images(tmp_path / "images")
    path = noted(tmp_path, BaseDataLoader(torch.utils.data.Subset(dataset, range(15))))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").rename(tmp_path / "elsewhere" / "images")
    (tmp_path / "elsewhere" / "images" / "class0" / "00.png").write_bytes(b"new")
    moved = ImageFolder(str(tmp_path / "elsewhere" / "images"))
    trained = {file[len(str(tmp_path)) :] for file, _ in dataset.samples[:15]}
    tested = [index for index, (file, _) in enumerate(moved.samples) if index >= 10]
    n = sum(moved.samples[index][0][len(f"{tmp_path}/elsewhere") :] in trained for index in tested)
    assert 0 < n < 11
    assert f"{n} of 11 test" in is_refused(BaseDataLoader(torch.utils.data.Subset(moved, tested)), path)


def test_texts_that_trained_are_known_in_another_part(tmp_path: Path) -> None:
    texts = [("a", f"text {index}") for index in range(20)]
    path = noted(tmp_path, BaseDataLoader(TextDataset(texts, ["a"], 5)))
    again = TextDataset([*texts[:3], ("a", "a new text")], ["a"], 5)
    assert "3 of 4 test samples trained" in is_refused(BaseDataLoader(again), path)
    assert is_refused(BaseDataLoader(TextDataset([("a", "a new text")], ["a"], 5)), path) == ""


def test_what_trained_earlier_is_remembered_also_by_a_run_from_its_weights(tmp_path: Path) -> None:
    first, second, third = (TensorDataLoader([torch.rand(6, 2)], 2) for _ in range(3))
    path = noted(tmp_path, first)
    before = path.read_bytes()
    assert noted(tmp_path, first).read_bytes() == before
    noted(tmp_path, second)
    assert len(json.loads(path.read_text())["earlier"]) == 1
    (tmp_path / "new").mkdir()
    SplitManifest(third, None).write(tmp_path / "new" / "split.json", tmp_path / "checkpoint-last.pth")
    for loader in (first, second, third):
        assert "6 of 6 test samples trained" in is_refused(loader, tmp_path / "new" / "split.json")
    assert is_refused(TensorDataLoader([torch.rand(6, 2)], 2), tmp_path / "new" / "split.json") == ""


def test_the_data_before_an_allowed_change_is_no_test_data(image_run: Callable, run_command: Callable) -> None:
    assert image_run().returncode == 0
    old, new = image_run.folder, image_run.folder.with_name("others")
    for index, file in enumerate(sorted((old / "train").rglob("*.png"))):
        (new / "train" / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, new / "train" / file.parent.name / f"new{index}.png")
    change = ("-s", "trainer.max_steps=3", "-s", f"data_loader.args.data_dir={new}")
    assert image_run(*change, "--allow").returncode == 0
    run = image_run.folder.parent / "models" / "Digits" / "run"
    weights = ("-r", run / "checkpoint-last.pth", "-c", image_run.folder.parent / "config.json", *change)
    assert run_command("train.py", *weights, "--run-id", "new").returncode == 0
    section = {"type": "BaseDataLoader", "args": {}}
    section["args"]["dataset"] = {"type": "torchvision.datasets.ImageFolder", "args": {"root": str(old / "train")}}
    for name in ("run", "new"):
        refused = run_command("test.py", "-r", run.with_name(name), "-s", f"+test_data_loader={json.dumps(section)}")
        assert "60 of 60 test samples trained" in refused.stderr


def test_consecutive_samples_are_kept_as_their_ends(tmp_path: Path) -> None:
    n = 20_000_000
    data = torch.utils.data.TensorDataset(torch.zeros(1).expand(n))
    data.fingerprint = "zeros"
    path = noted(tmp_path, torch.utils.data.DataLoader(data))
    assert path.stat().st_size < 1000
    assert json.loads(path.read_text())["train"] == {"from": 0, "to": n}
    some = torch.utils.data.Subset(data, [3, 5])
    assert "2 of 2 test" in is_refused(torch.utils.data.DataLoader(some), path)


def test_a_batch_sampler_of_the_training_part_tells_that_part(caplog: pytest.LogCaptureFixture) -> None:
    named = partial(torch.utils.data.BatchSampler, batch_size=4, drop_last=False)
    loader = TensorDataLoader([torch.rand(20, 2), torch.zeros(20)], validation_split=5, batch_sampler=named)
    valid = loader.split_validation()
    assert sorted([*samples_of(loader), *samples_of(valid)]) == list(range(20))
    warn_of_leaks(loader, valid)
    assert caplog.text == ""


def test_nothing_is_opened_that_workers_would_get(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    monkeypatch.setattr(Odd, "__getitem__", lambda self, index: opened.append(index) or torch.ones(1))
    for workers in (0, 1):
        loader = BaseDataLoader(Odd(), 2, validation_split=2, num_workers=workers)
        warn_of_leaks(loader, loader.split_validation())
        assert bool(opened) == (workers == 0)
        opened.clear()
