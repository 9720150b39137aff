"""Arrays and tables in files: mapped, read row by row, trained on where memory is a quarter of the file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_loader.arrays import ArrayDataset, CsvDataset
from utils.datasets import labels_of
from utils.errors import UserError

ROOT = Path(__file__).parents[2]
LIMITED = """
import resource, sys, runpy
import torch
used = 1024 * int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData")))
resource.setrlimit(resource.RLIMIT_DATA, (used + {megabytes} * 2**20,) * 2)
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.random((40, 3), np.float32))
    np.save(tmp_path / "y.npy", rng.integers(0, 4, 40))
    return str(tmp_path / "x.npy"), str(tmp_path / "y.npy")


def test_a_sample_is_a_row_of_both_files(files: tuple[str, str]) -> None:
    dataset = ArrayDataset(*files)
    inputs, targets = (np.load(file) for file in files)
    assert len(dataset) == 40
    x, y = dataset[7]
    assert torch.equal(x, torch.from_numpy(inputs[7]))
    assert int(y) == targets[7]
    assert labels_of(dataset).tolist() == targets.tolist()


def test_tensors_in_files_are_mapped_too(files: tuple[str, str], tmp_path: Path) -> None:
    inputs = torch.from_numpy(np.load(files[0]))
    torch.save(inputs, tmp_path / "x.pt")
    assert torch.equal(ArrayDataset(str(tmp_path / "x.pt"), files[1])[5][0], inputs[5])


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"hello"], ids=["empty", "torn", "text"])
def test_a_file_that_holds_no_array_is_one_line(content: bytes, files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(content)
    with pytest.raises(UserError, match="no array of numbers") as caught:
        ArrayDataset(str(tmp_path / "bad.npy"), files[1])
    assert "\n" not in str(caught.value)


def test_objects_in_an_array_are_not_loaded(files: tuple[str, str], tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}] * 40, dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="no array of numbers"):
        ArrayDataset(str(tmp_path / "objects.npy"), files[1])


def test_files_of_other_lengths_are_refused(files: tuple[str, str], tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.zeros(39))
    with pytest.raises(UserError, match="40 rows"):
        ArrayDataset(files[0], str(tmp_path / "short.npy"))


def config_of(dataset: dict[str, Any], folder: Path, features: int) -> dict[str, Any]:
    config = json.loads((ROOT / "config.json").read_text())
    model = {"type": "linear.LinearModel", "args": {"n_features": features, "num_classes": 4}}
    loader = {"type": "BaseDataLoader", "args": {"dataset": dataset, "batch_size": 16, "validation_split": 8}}
    trainer = {"epochs": 1, "max_steps": 5, "save_dir": str(folder / "saved"), "threads": 1}
    return config | {"arch": model, "data_loader": loader, "trainer": trainer, "metrics": ["accuracy"]}


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on data that leaves mapped files out")
def test_a_file_four_times_the_memory_trains(tmp_path: Path) -> None:
    """The file has a hole in it, so that it takes no room on the disk; its rows are read as any other."""
    rows, features, megabytes = 65_536, 4_096, 256
    with open(tmp_path / "x.npy", "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, features)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + rows * features * 4)
    np.save(tmp_path / "y.npy", np.arange(rows) % 4)
    assert (tmp_path / "x.npy").stat().st_size >= 4 * megabytes * 2**20
    args = {"inputs": str(tmp_path / "x.npy"), "targets": str(tmp_path / "y.npy")}
    dataset = {"type": "arrays.ArrayDataset", "args": args}
    (tmp_path / "config.json").write_text(json.dumps(config_of(dataset, tmp_path, features)))
    argv = ["train.py", "-c", str(tmp_path / "config.json"), "--run-id", "large"]
    run = [sys.executable, "-c", LIMITED.format(megabytes=megabytes, argv=argv)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    whole = f"import numpy as np; np.load({str(tmp_path / 'x.npy')!r})"
    (tmp_path / "whole.py").write_text(whole)
    run = [sys.executable, "-c", LIMITED.format(megabytes=megabytes, argv=[str(tmp_path / "whole.py")])]
    assert "MemoryError" in subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=100).stderr


def test_rows_of_a_table_by_the_names_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id,"a",b,class\n7,1.5,2,3\n8,-1,"4",0\n9,0,1e3,1')
    dataset = CsvDataset(str(path), "class", ["b", "a"])
    assert len(dataset) == 3
    assert [sample[0].tolist() for sample in (dataset[0], dataset[1], dataset[2])] == [[2, 1.5], [4, -1], [1000, 0]]
    assert [dataset[index][1].item() for index in range(3)] == [3, 0, 1]
    assert dataset[0][1].dtype == torch.int64
    assert CsvDataset(str(path), "a")[0][1].dtype == torch.float32
    with pytest.raises(UserError, match="no column 'klass'; there are id, a, b, class"):
        CsvDataset(str(path), "klass")
    with pytest.raises(UserError, match="no CSV file with a header"):
        CsvDataset(str(tmp_path / "nowhere.csv"), "a")


def test_the_fingerprint_of_a_table_is_that_of_its_contents(tmp_path: Path) -> None:
    contents = {
        "one": "a,class\n1,0\n2,1\n",
        "copy": "a,class\n1,0\n2,1\n",
        "two": "a,class\n1,0\n3,1\n",
        "none": "a,class\n",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    one, copy, two, none = (CsvDataset(str(tmp_path / name), "class").fingerprint for name in contents)
    assert one == copy
    assert len({one, two, none}) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_table_trains_from_a_config(workers: int, tmp_path: Path, run_command: Any) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{int(a > b) + 2 * int(b > 0.5)}" for a, b in rng.random((200, 2))]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,class", *rows]) + "\n")
    dataset = {"type": "arrays.CsvDataset", "args": {"path": str(tmp_path / "table.csv"), "target": "class"}}
    config = config_of(dataset, tmp_path, 2)
    config["data_loader"]["args"]["num_workers"] = workers
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "table")
    assert done.returncode == 0, done.stderr


def test_the_type_of_a_csv_target_is_one_for_the_whole_column(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("rooms,price\n1,20\n2,30.5\n3,forty\n")
    path = str(tmp_path / "prices.csv")
    assert CsvDataset(path, "price")[0][1].dtype == torch.int64
    with pytest.raises(ValueError, match=r"price: no whole number but \['30.5'\], say .target_type.: .float."):
        CsvDataset(path, "price")[1]
    numbers = CsvDataset(path, "price", target_type="float")
    assert [numbers[index][1].item() for index in range(2)] == [20, 30.5]
    assert numbers[0][1].dtype == torch.float32
    with pytest.raises(ValueError, match=r"prices.csv: price: no number but \['forty'\]"):
        numbers[2]
