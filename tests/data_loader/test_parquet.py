"""Tables in Parquet: their rows, the array that is kept of them, and training where memory is a third of the table."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from data_loader.cache_folder import FOLDER
from data_loader.parquet import ParquetDataset
from tests.data_loader.test_arrays import LIMITED, ROOT, config_of
from tests.faults.harness import Trainings, assert_same_runs
from utils.datasets import labels_of
from utils.errors import UserError

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def write(path: Path, n: int = 40, first: int = 0, **others: Any) -> Path:
    numbers = np.arange(first, first + n)
    columns = {"a": numbers / 2, "b": numbers.astype(np.int16), "even": numbers % 2 == 0, "class": numbers % 4}
    parquet.write_table(pyarrow.table(columns | others), path, row_group_size=16)
    return path


def kept(folder: Path) -> list[Path]:
    return list((folder / FOLDER).iterdir())


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_sample_is_a_row_with_its_columns_by_name(tmp_path: Path) -> None:
    dataset = ParquetDataset(str(write(tmp_path / "table.parquet")), "class", ["even", "a"])
    assert len(dataset) == 40
    assert [dataset[index][0].tolist() for index in (0, 17, 39)] == [[1, 0], [0, 8.5], [0, 19.5]]
    assert [dataset[index][1].item() for index in (0, 17, 39)] == [0, 1, 3]
    assert (dataset[0][0].dtype, dataset[0][1].dtype) == (torch.float32, torch.int64)
    assert labels_of(dataset).tolist() == [number % 4 for number in range(40)]


def test_without_columns_all_others_are_taken_and_other_numbers_are_targets_too(tmp_path: Path) -> None:
    dataset = ParquetDataset(str(write(tmp_path / "table.parquet")), "a")
    assert dataset[5][0].tolist() == [5, 0, 1]
    assert (dataset[5][1].item(), dataset[5][1].dtype) == (2.5, torch.float32)
    assert ParquetDataset(str(tmp_path / "table.parquet"), "even")[2][1].tolist() == 1


def test_the_files_of_a_folder_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "part-1.parquet", 30, first=40)
    write(tmp_path / "part-0.parquet")
    (tmp_path / "README.md").write_text("no table")
    dataset = ParquetDataset(str(tmp_path), "class", ["b"])
    assert [dataset[index][0].item() for index in range(70)] == list(range(70))


def test_a_worker_that_begins_anew_maps_the_file_for_itself(tmp_path: Path) -> None:
    dataset = ParquetDataset(str(write(tmp_path / "table.parquet")), "class")
    assert dataset.targets.tolist() == [number % 4 for number in range(40)]  # from now on this process has it mapped
    assert dataset.__getstate__() == {"file": dataset.file}
    loader = DataLoader(dataset, batch_size=40, num_workers=1, multiprocessing_context="spawn")
    inputs, targets = next(iter(loader))
    assert inputs[:, 1].tolist() == list(range(40))
    assert targets.tolist() == dataset.targets.tolist()


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_it_is_written_once_for_a_table_and_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "table.parquet")
    first = ParquetDataset(str(path), "class")
    files = {file: file.stat().st_mtime_ns for file in kept(tmp_path)}
    assert len(files) == 1
    assert ParquetDataset(str(path), "class").fingerprint == first.fingerprint
    assert {file: file.stat().st_mtime_ns for file in kept(tmp_path)} == files
    write(path, first=1)
    changed = ParquetDataset(str(path), "class")
    assert changed[0][0].tolist() == [0.5, 1, 0]
    assert changed.fingerprint != first.fingerprint
    ParquetDataset(str(path), "class", ["a"])
    assert len(kept(tmp_path)) == 3


def test_beside_what_cannot_be_written_to_it_is_in_the_users_cache(tmp_path, monkeypatch) -> None:
    (tmp_path / FOLDER).write_text("no folder")  # as root a folder without rights can be written to
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = str(write(tmp_path / "table.parquet"))
    assert len(ParquetDataset(path, "class")) == len(ParquetDataset(path, "class")) == 40
    assert len(list((tmp_path / "cache" / "hotplate").iterdir())) == 1


def _read_all(path: str, start: Any, sums: Any) -> None:
    start.wait()
    dataset = ParquetDataset(path, "class")
    sums.put(sum(dataset[index][0].sum().item() for index in range(len(dataset))))


def test_processes_that_write_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path, context = str(write(tmp_path / "table.parquet", 4000)), multiprocessing.get_context("fork")
    start, sums = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_read_all, args=(path, start, sums)) for _ in range(4)]
    for process in processes:
        process.start()
    assert len({sums.get(timeout=20) for _ in processes}) == 1
    for process in processes:
        process.join()
    assert [file.suffix for file in kept(tmp_path)] == [".npy"]


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_table_that_has_not_what_is_asked_for_is_one_line(tmp_path: Path) -> None:
    table = write(tmp_path / "table.parquet", name=["x"] * 40, day=np.arange(40).astype("datetime64[D]"))
    gaps = write(tmp_path / "gaps.parquet", score=pyarrow.array([1.0] * 39 + [None]))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 hello PAR1")
    torn = tmp_path / "torn.parquet"
    content = bytearray(table.read_bytes())
    content[4:400] = bytes(396)
    torn.write_bytes(content)
    (tmp_path / "two").mkdir()
    write(tmp_path / "two" / "0.parquet")
    write(tmp_path / "two" / "1.parquet", more=np.zeros(40))
    refused = [
        (table, "class", None, "column 'name' has no numbers but string; say in `columns` which ones to take"),
        (table, "class", ["day"], r"column 'day' has no numbers but (date32\[day\]|timestamp)"),
        (table, "klass", None, "no column 'klass', or several; there are a, b, even, class, name, day"),
        (gaps, "class", None, "gaps.parquet: column 'score' has missing values"),
        (tmp_path / "bad.parquet", "class", None, r"bad.parquet: no Parquet file \("),
        (torn, "class", ["a"], "torn.parquet: "),
        (tmp_path / "two", "class", None, r"1.parquet: has other columns, or columns of other types, than .*0.parquet"),
        (tmp_path / "nowhere.parquet", "class", None, "nowhere.parquet: no Parquet file, nor a folder of them"),
    ]
    for path, target, columns, line in refused:
        with pytest.raises(UserError, match=line) as caught:
            ParquetDataset(str(path), target, columns)
        assert "\n" not in str(caught.value)
    assert kept(tmp_path) == []


def test_without_pyarrow_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write(tmp_path / "table.parquet"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not there
    with pytest.raises(UserError, match=r"^Parquet files need pyarrow: pip install -e '.\[parquet\]'$"):
        ParquetDataset(path, "class")


# -- training ---------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_exactly_in_the_middle_of_an_epoch(tmp_path: Path, start_command: Callable) -> None:
    args = {"path": str(write(tmp_path / "table.parquet", 200)), "target": "class"}
    config = config_of({"type": "parquet.ParquetDataset", "args": args}, tmp_path, 3)
    config["trainer"] = {"epochs": 3, "save_steps": 4, "log_step": 1, "threads": 1}
    config["data_loader"]["args"]["validation_split"] = 0.2
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.die(trainings.begin("broken", fault="update#15=kill"))  # in the second of three epochs of ten steps
    resumed = trainings.finish(trainings.resume("broken", "-s", "data_loader.args.num_workers=2"))
    assert "Resume training from step 12, epoch 2" in resumed
    assert_same_runs(tmp_path, config["name"], "whole", "broken")


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on data that leaves mapped files out")
def test_a_table_three_times_the_memory_trains(tmp_path: Path) -> None:
    rows, columns, megabytes = 2**19, 336, 224
    values = pyarrow.array(np.random.default_rng(0).random(2**10, np.float32)).dictionary_encode()
    repeated = pyarrow.DictionaryArray.from_arrays(np.arange(rows, dtype=np.int32) % 2**10, values.dictionary)
    table = {f"column {index}": repeated.dictionary_decode() for index in range(columns)}
    table["class"] = np.arange(rows) % 4
    parquet.write_table(pyarrow.table(table), tmp_path / "table.parquet", row_group_size=rows)
    assert rows * columns * 4 >= 3 * megabytes * 2**20
    dataset = {"type": "parquet.ParquetDataset"}
    dataset["args"] = {"path": str(tmp_path / "table.parquet"), "target": "class"}
    (tmp_path / "config.json").write_text(json.dumps(config_of(dataset, tmp_path, columns)))
    argv = ["train.py", "-c", str(tmp_path / "config.json"), "--run-id", "large"]
    run = [sys.executable, "-c", LIMITED.format(megabytes=megabytes, argv=argv)]
    plain = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # the other one reserves a GiB, used or not
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=200, env=plain)
    assert done.returncode == 0, done.stderr
    (file,) = kept(tmp_path)
    assert file.stat().st_size > rows * columns * 4
    os.remove(file)
    whole = f"from pyarrow import parquet; parquet.read_table({str(tmp_path / 'table.parquet')!r})"
    (tmp_path / "whole.py").write_text(whole)
    run = [sys.executable, "-c", LIMITED.format(megabytes=megabytes, argv=[str(tmp_path / "whole.py")])]
    assert "MemoryError" in subprocess.run(run, capture_output=True, text=True, timeout=100, env=plain).stderr
