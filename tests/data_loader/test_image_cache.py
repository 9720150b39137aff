"""Images decoded once: the same ones as without, kept whole or made anew, and named where they are broken."""

import io
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from data_loader import image_cache
from data_loader.cache_folder import FOLDER
from data_loader.data_loaders import IMAGENET, ImageFolderDataLoader
from data_loader.image_cache import Rows, Squares, decoded
from tests.data_loader.write_files import write_images
from tests.faults.harness import DIGITS, TORCHRUN, Trainings, assert_same_runs
from utils.failures import SampleError

SIZE, KEPT = 20, 23  # pixels of an image that the model sees, and of its square


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hotplate"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten images to train with and four to test, in two classes each."""
    write_images(tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def never_decodes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on decoding is an error."""

    def fail(file: str) -> None:
        raise AssertionError(f"{file} is decoded")

    return lambda: monkeypatch.setattr(image_cache, "decoded", fail)


def loader_of(folder: Path, cache: str | None, **options: Any) -> ImageFolderDataLoader:
    return ImageFolderDataLoader(
        str(folder), **{"batch_size": 4, "size": SIZE, "num_workers": 0, "cache": cache} | options
    )


def batches_of(loader: Any) -> list[torch.Tensor]:
    return [tensor for portion in loader.one_pass() for tensor in portion.batch]


def assert_equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> None:
    assert len(first) == len(second) > 0
    assert all(map(torch.equal, first, second))


def caches(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.uint8"))


BOTH = pytest.mark.parametrize("cache", ["disk", "memory"])


# -- which images -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("workers", [0, 2])
def test_test_images_are_the_centres_of_what_the_transform_makes_of_the_whole_image(cache, workers, images):
    kept = loader_of(images, cache, training=False, shuffle=False, num_workers=workers)
    square = v2.Compose([v2.ToImage(), v2.Resize(KEPT, antialias=True), v2.CenterCrop(KEPT)])
    scale = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET)])
    expected = torch.stack([scale(square(image)[:, 1:-2, 1:-2]) for image, _ in ImageFolder(images / "test")])
    found, classes = next(iter(kept))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert classes.tolist() == [0, 0, 1, 1]


@BOTH
def test_training_images_are_parts_of_the_squares_and_change_from_pass_to_pass(cache, images):
    loader = loader_of(images, cache, shuffle=False)
    first, second = batches_of(loader), [tensor for batch in loader for tensor in batch]
    assert [len(batch) for batch in first[::2]] == [4, 4, 2]
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], second[0])


@BOTH
def test_validation_images_are_not_augmented(cache, images):
    loader = loader_of(images, cache, validation_split=4)
    validation = loader.split_validation()
    assert (loader.n_samples, len(validation.sampler)) == (6, 4)
    assert_equal([tensor for batch in validation for tensor in batch], batches_of(validation))
    without = loader_of(images, None, validation_split=4)
    assert torch.equal(batches_of(validation)[1], batches_of(without.split_validation())[1])
    assert validation.to(torch.device("cpu")) is validation


def test_disk_and_memory_and_any_number_of_workers_give_the_same_batches(images):
    expected = batches_of(loader_of(images, "memory"))
    assert_equal(batches_of(loader_of(images, "memory", num_workers=2)), expected)
    assert_equal(batches_of(loader_of(images, "disk", num_workers=2, prefetch_factor=2)), expected)
    caches(images)[0].unlink()
    assert_equal(batches_of(loader_of(images, "disk")), expected)


@BOTH
def test_batch_number_i_can_be_asked_for_directly(cache, images):
    loader = loader_of(images, cache)
    stream = loader.stream()
    first = [next(stream) for _ in range(7)]
    for number in (2, 6):
        assert_equal(list(next(loader.stream(number))), list(first[number]))


@BOTH
def test_an_empty_part_is_as_it_is_without(cache, images):
    def sizes(cache: str | None) -> Any:
        loader = loader_of(images / "test", cache, training=False, test_split=0.0, shuffle=False)
        return loader.n_samples, batches_of(loader)

    assert sizes(cache) == sizes(None) == (0, [])


FORMATS = ["RGB.jpg", "CMYK.jpg", "L.png", "RGBA.png", "P.png", "1.png", "I;16.png", "RGB.webp", "RGB.bmp"]


@pytest.mark.parametrize("name", [*FORMATS, "RGB.tiff", "RGB.ppm"])
def test_an_image_of_any_format_is_what_it_is_without(name, tmp_path):
    file, mode = tmp_path / "a class" / name, name.split(".")[0]
    file.parent.mkdir()
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30))
    (small.convert("L").convert("I").convert(mode) if mode == "I;16" else small.convert(mode)).save(file)
    [(image, _)] = ImageFolder(tmp_path)
    assert torch.equal(decoded(str(file)), v2.functional.pil_to_tensor(image))


# -- where it is kept -------------------------------------------------------------------------------------------------


def test_the_second_construction_decodes_nothing_and_leaves_the_files_alone(images, never_decodes):
    expected = batches_of(loader_of(images, "disk"))
    before = {path: path.stat().st_mtime_ns for path in (images / FOLDER).iterdir()}
    never_decodes()
    assert_equal(batches_of(loader_of(images, "disk")), expected)
    assert {path: path.stat().st_mtime_ns for path in (images / FOLDER).iterdir()} == before
    assert sorted(path.suffix for path in before) == [".json", ".uint8"]


def test_only_memory_leaves_no_file(images, home):
    loader_of(images, "memory")
    assert not (images / FOLDER).exists()
    assert not home.exists()


@pytest.mark.parametrize("change", ["content", "time", "new file", "name", "size of the square"])
def test_what_is_changed_gets_a_cache_of_its_own(change, images):
    loader_of(images, "disk")
    file, size = images / "train" / "ant" / "0.png", SIZE
    if change == "content":
        Image.new("RGB", (50, 50), "red").save(file)
    elif change == "time":
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    elif change == "new file":
        Image.new("RGB", (50, 50), "red").save(file.with_name("new.png"))
    elif change == "name":
        file.rename(file.with_name("5.png"))
    else:
        size = 2 * SIZE
    changed = loader_of(images, "disk", size=size, shuffle=False)
    assert len(caches(images)) == 2
    if change == "content":
        assert len(next(iter(changed))[0][0].unique()) == 3  # one colour


def test_a_renamed_data_folder_keeps_its_cache(images, never_decodes):
    loader_of(images, "disk")
    never_decodes()
    loader_of(images.rename(images.with_name("renamed")), "disk")


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "flipped": lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:-1] + b"\1"),
    "without its note": lambda path: path.with_suffix(".json").unlink(),
    "with a torn note": lambda path: os.truncate(path.with_suffix(".json"), 9),
    "with a strange note": lambda path: path.with_suffix(".json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_that_is_not_whole_is_made_anew_with_a_warning(damage, images, caplog, never_decodes):
    expected = batches_of(loader_of(images, "disk"))
    [path] = caches(images)
    DAMAGES[damage](path)
    assert_equal(batches_of(loader_of(images, "disk")), expected)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{path}: not whole; its images are decoded anew"
    ]
    never_decodes()
    assert_equal(batches_of(loader_of(images, "disk")), expected)


def test_it_may_be_deleted_before_a_start_and_while_it_is_mapped(images):
    loader = loader_of(images, "disk")
    expected = batches_of(loader)
    for path in (images / FOLDER).iterdir():
        path.unlink()
    assert_equal(batches_of(loader), expected)
    assert_equal(batches_of(loader_of(images, "disk")), expected)


def test_it_is_no_class_where_the_data_folder_holds_the_classes(images, home):
    before = sorted((images / "train").iterdir())
    for training in (True, False):
        loader = loader_of(images / "train", "disk", training=training)
        assert loader.classes == ["ant", "bee"]
    assert sorted((images / "train").iterdir()) == before
    assert len(list(home.glob("*.uint8"))) == 2
    assert not (images / FOLDER).exists()


def test_it_is_no_class_beside_train_and_test(images):
    loader_of(images, "disk")
    assert loader_of(images, "disk", training=False).classes == ["ant", "bee"]
    assert len(caches(images)) == 2
    assert ImageFolder(images / "train").classes == ["ant", "bee"]


def test_where_the_data_cannot_be_written_to_the_users_folder_has_it(images, home, never_decodes):
    (images / FOLDER).write_text("no folder")  # as root a folder without rights can be written to
    expected = batches_of(loader_of(images, "disk"))
    assert len(list(home.glob("*.uint8"))) == 1
    never_decodes()
    assert_equal(batches_of(loader_of(images, "disk")), expected)


def test_where_nothing_can_be_written_to_one_line_says_so(images, home):
    (images / FOLDER).write_text("no folder")
    home.parent.write_text("no folder")
    with pytest.raises(image_cache.UserError, match=r"cannot be written to .*cache to .memory.") as error:
        loader_of(images, "disk")
    assert "\n" not in str(error.value)


def test_scraps_of_killed_builds_are_removed_after_a_day(images):
    (images / FOLDER).mkdir()
    old, new = images / FOLDER / ".tmp-old", images / FOLDER / ".tmp-new"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    loader_of(images, "disk")
    assert (old.exists(), new.exists()) == (False, True)


# -- what can go wrong ------------------------------------------------------------------------------------------------


def png_bytes() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def jpeg_bytes() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


BROKEN = {
    "half a PNG": png_bytes()[:900],
    "half a JPEG": jpeg_bytes()[:2000],
    "empty": b"",
    "text": b"<html>404</html>",
}


@BOTH
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_image_is_named_in_one_line_and_leaves_no_file(cache, workers, content, images):
    file = images / "train" / "bee" / "3.png"
    file.write_bytes(content)
    with pytest.raises(SampleError) as error:
        loader_of(images, cache, num_workers=workers)
    line = str(error.value)
    assert line.startswith(f"{file}: cannot be read as an image: ")
    assert "\n" not in line
    assert "0x" not in line
    assert not list(images.glob(f"{FOLDER}/*"))


@BOTH
def test_an_image_that_is_gone_is_named(cache, images, monkeypatch):
    monkeypatch.setattr(Squares, "_key", lambda squares: "key")
    files = [str(images / "train" / "bee" / "0.png"), str(images / "gone.png")]
    squares = Squares(images, files, 8)
    with pytest.raises(SampleError, match=r"gone\.png: cannot be read"):
        squares.on_disk(images) if cache == "disk" else squares.in_memory()


def test_a_full_disk_is_told_in_one_line_and_leaves_no_file(images, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_cache, "sync_file", full)
    with pytest.raises(image_cache.UserError, match="uint8: cannot be written: No space left on device"):
        loader_of(images, "disk")
    assert not list((images / FOLDER).iterdir())


def construct(folder: Path, barrier: Any, answers: Any) -> None:
    barrier.wait()
    answers.put([tensor.sum().item() for tensor in batches_of(loader_of(folder, "disk"))])


def test_processes_that_build_at_once_all_work(images):
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [context.Process(target=construct, args=(images, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert found == [[tensor.sum().item() for tensor in batches_of(loader_of(images, "disk"))]] * 3
    assert sorted(path.suffix for path in (images / FOLDER).iterdir()) == [".json", ".uint8"]


def test_the_bytes_of_a_file_stay_and_a_batch_moves():
    rows = Rows(torch.arange(5, dtype=torch.uint8)).to(torch.device("meta"))
    assert isinstance(rows, Rows)
    assert rows.device.type == "cpu"
    assert rows[torch.tensor([1, 3])].device.type == "meta"
    assert isinstance(Rows(torch.zeros(2), may_move=True).to(torch.device("meta")), torch.Tensor)


def test_images_that_do_not_fit_on_the_device_stay():
    class TooMany(torch.Tensor):
        def to(self, *arguments: Any) -> Any:
            raise torch.OutOfMemoryError

    rows = Rows(TooMany(), may_move=True).to(torch.device("meta"))
    assert isinstance(rows, Rows)


# -- runs -------------------------------------------------------------------------------------------------------------


def config_of(images: Path, cache: str | None) -> dict[str, Any]:
    args = {"data_dir": str(images), "batch_size": 7, "size": 16, "num_workers": 0, "validation_split": 9}
    config = json.loads(json.dumps(DIGITS)) | {
        "name": "Images",
        "arch": {"type": "ResNet", "args": {"num_classes": 3, "widths": [4, 8]}},
        "data_loader": {"type": "ImageFolderDataLoader", "args": args | {"cache": cache}},
        "metrics": ["accuracy"],
    }
    config["lr_scheduler"]["args"]["max_lr"] = 0.01
    return config


@BOTH
def test_a_killed_run_goes_on_bit_for_bit_with_other_workers_and_without_its_cache(
    cache: str, image_folder: Path, tmp_path: Path, start_command: Callable
) -> None:
    trainings = Trainings(tmp_path, config_of(image_folder, cache), start_command)
    trainings.finish(trainings.begin("whole"))
    workers = ("-s", "data_loader.args.num_workers=2")
    trainings.kill_after_rows(trainings.begin("broken", *workers), "broken", 6)
    for path in caches(image_folder):
        path.unlink()
    trainings.kill_after_rows(trainings.resume("broken"), "broken", 14)
    assert "Resume training from step" in trainings.finish(trainings.resume("broken", *workers))
    assert_same_runs(tmp_path, "Images", "whole", "broken")


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_a_run_that_is_killed_while_it_builds_leaves_what_the_next_one_takes(
    point: str, image_folder: Path, tmp_path: Path, start_command: Callable
) -> None:
    trainings = Trainings(tmp_path, config_of(image_folder, "disk"), start_command)
    trainings.finish(trainings.begin("whole"))
    [path] = caches(image_folder)
    path.unlink()
    path.with_suffix(".json").unlink()
    # the names of both files have a part drawn at random; what is renamed has not
    faults = {"replace": f"replace:{path.with_suffix('.json').name}#1=kill", "fsync": "fsync:folder#1=kill"}
    trainings.die(trainings.begin("broken", fault=faults[point]))
    assert path.exists()
    assert not path.with_suffix(".json").exists()
    output = trainings.finish(trainings.begin("again"))
    assert f"{path}: not whole; its images are decoded anew" in output
    assert_same_runs(tmp_path, "Images", "whole", "again")


def test_a_broken_image_ends_a_run_with_one_line(image_folder: Path, tmp_path: Path, start_command: Callable) -> None:
    file = image_folder / "train" / "class1" / "1.png"
    file.write_bytes(b"GIF89a")
    trainings = Trainings(tmp_path, config_of(image_folder, "disk"), start_command)
    done = trainings.begin("broken", "-s", "data_loader.args.num_workers=2").wait(60)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"{file}: cannot be read as an image" in done.stderr


def test_one_of_two_processes_builds_for_both(image_folder: Path, tmp_path: Path, start_command: Callable) -> None:
    config = config_of(image_folder, "disk")
    config["trainer"] |= {"epochs": 1}
    trainings = Trainings(tmp_path, config, start_command, TORCHRUN)
    output = trainings.finish(trainings.begin("both"))
    assert output.count("decoding 60 images, once, for") == 1
    assert len(caches(image_folder)) == 1
