import json
import math
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from logger.metrics_log import MetricsLog, flatten
from utils.errors import UserError

ROOT = Path(__file__).parents[2]


def write(log: MetricsLog, *steps: int) -> None:
    for step in steps:
        log.write({"kind": "step", "step": step, "epoch": 1, "lr": 0.1, "loss": 1 / step}, {"seconds": 0.5})


def read(path) -> list[dict]:
    assert path.read_bytes().endswith(b"\n")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def stopped(tmp_path):
    """The folder of a run that wrote 5 rows and was then killed while writing, and its position after the third."""
    with closing(MetricsLog(tmp_path)) as log:
        write(log, 1, 2, 3)
        position = log.position()
        write(log, 4, 5)
    for name in ("metrics.jsonl", "timing.jsonl"):
        with open(tmp_path / name, "ab") as file:
            file.write(b'{"kind": "step", "st')
    return tmp_path, position


def test_a_row_has_its_values_in_order_and_no_clock(tmp_path):
    with closing(MetricsLog(tmp_path)) as log:
        row = {"kind": "epoch", "step": 3, "epoch": 1, "lr": None, "loss": 0.5, "name": "ü", "best": True}
        log.write(row, {"seconds": 1.5})
    assert read(tmp_path / "metrics.jsonl") == [row]
    assert list(read(tmp_path / "metrics.jsonl")[0]) == list(row)
    assert read(tmp_path / "timing.jsonl") == [{"kind": "epoch", "step": 3, "seconds": 1.5}]


def test_a_value_that_json_has_no_number_for_is_written_as_its_name(tmp_path):
    with closing(MetricsLog(tmp_path)) as log:
        log.write({"kind": "step", "step": 1, "a": math.nan, "b": -math.inf, "c": torch.float16}, {})
    assert read(tmp_path / "metrics.jsonl")[0] == {
        "kind": "step",
        "step": 1,
        "a": "nan",
        "b": "-inf",
        "c": "torch.float16",
    }


def test_rows_are_in_the_file_as_soon_as_they_are_written(tmp_path):
    with closing(MetricsLog(tmp_path)) as log:
        write(log, 1)
        assert len(read(tmp_path / "metrics.jsonl")) == len(read(tmp_path / "timing.jsonl")) == 1
        assert log.position()["bytes"] == (tmp_path / "metrics.jsonl").stat().st_size


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of a file")
def test_a_row_that_only_a_part_of_fits_is_an_error_that_names_the_file(tmp_path):
    """In a process of its own: the limit cannot be lifted again. The kernel takes the part that fits, without error."""
    script = f"""
import resource, signal
from pathlib import Path
from logger.metrics_log import MetricsLog

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = MetricsLog(Path({str(tmp_path)!r}))
log.write({{"kind": "step", "step": 1}}, {{}})
resource.setrlimit(resource.RLIMIT_FSIZE, (log.position()["bytes"] + 9,) * 2)
try:
    log.write({{"kind": "step", "step": 2}}, {{}})
except OSError as error:
    print(error.filename)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(tmp_path / "metrics.jsonl"), done
    assert not (tmp_path / "metrics.jsonl").read_bytes().endswith(b"\n")  # a part was taken


def test_cut_back_to_a_checkpoint_it_goes_on_to_the_same_bytes_as_without_a_break(stopped, tmp_path_factory):
    folder, position = stopped
    with closing(MetricsLog(folder)) as log:
        log.cut(position, step=3)
        assert log.position() == position
        write(log, 4, 5, 6)
        after = log.position()
    unbroken = tmp_path_factory.mktemp("unbroken")
    with closing(MetricsLog(unbroken)) as log:
        write(log, 1, 2, 3, 4, 5, 6)
        assert log.position() == after
    for name in ("metrics.jsonl", "timing.jsonl"):
        assert (folder / name).read_bytes() == (unbroken / name).read_bytes()


def test_the_position_is_that_of_the_file_also_after_closing_and_opening_again(tmp_path):
    log = MetricsLog(tmp_path)
    write(log, 1, 2)
    position = log.position()
    log.close()
    with closing(MetricsLog(tmp_path)) as again:
        assert again.position() == position


def test_a_closed_log_still_knows_how_far_it_reaches(tmp_path):
    log = MetricsLog(tmp_path)
    write(log, 1, 2)
    position = log.position()
    log.close()
    log.close()
    write(log, 3)  # is not written
    assert log.position() == position


def test_it_can_be_cut_again_after_it_went_on(stopped):
    folder, _ = stopped
    first = {"bytes": 0, "crc32": 0}
    with closing(MetricsLog(folder)) as log:
        log.cut(first, step=0)
        write(log, 1, 2)
        position = log.position()
        write(log, 3)
    with closing(MetricsLog(folder)) as log:
        log.cut(position, step=2)
    assert [row["step"] for row in read(folder / "metrics.jsonl")] == [1, 2]
    assert [row["step"] for row in read(folder / "timing.jsonl")] == [1, 2]


def test_a_time_whose_line_end_is_torn_off_does_not_spoil_the_next(stopped):
    folder, position = stopped
    (folder / "timing.jsonl").write_bytes(b'{"kind": "step", "step": 3, "seconds": 0.5}')
    with closing(MetricsLog(folder)) as log:
        log.cut(position, step=3)
        write(log, 4)
    assert [row["step"] for row in read(folder / "timing.jsonl")][-1] == 4


def change(content: bytes) -> bytes:
    return content.replace(b'"step": 2', b'"step": 7')


def shorten(content: bytes) -> bytes:
    return content[:50]


def insert(content: bytes) -> bytes:
    return b"{}\n" + content


@pytest.mark.parametrize("spoil", [change, shorten, insert])
def test_a_log_that_is_not_the_checkpoints_own_is_refused_and_left_alone(stopped, spoil):
    folder, position = stopped
    path = folder / "metrics.jsonl"
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    with closing(MetricsLog(folder)) as log:
        with pytest.raises(UserError, match=r"metrics\.jsonl: rows that the checkpoint of step 3"):
            log.cut(position, step=3)
    assert path.read_bytes() == spoiled


def test_without_a_folder_it_takes_the_same_calls_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = MetricsLog(None)
    write(log, 1)
    assert log.position() == {"bytes": 0, "crc32": 0}
    log.cut({"bytes": 10, "crc32": 3}, step=1)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_log_becomes_flat_names_and_plain_values():
    log = {
        "loss": np.float32(0.5),
        "per_class": torch.tensor([0.25, 0.75]),
        "val": {"f1": {"macro": 1, "all": [1, (2, 3)]}},
        "scalar": torch.tensor(3),
        "name": "x",
        "grid": np.array([[1, 2]]),
    }
    flat = flatten(log)
    assert flat == {
        "loss": 0.5,
        "per_class/0": 0.25,
        "per_class/1": 0.75,
        "val/f1/macro": 1,
        "val/f1/all/0": 1,
        "val/f1/all/1/0": 2,
        "val/f1/all/1/1": 3,
        "scalar": 3,
        "name": "x",
        "grid": [[1, 2]],
    }
    assert {type(value) for value in flat.values()} == {int, float, str, list}


def test_a_tensor_of_one_element_is_a_number_whatever_its_shape():
    assert flatten({"loss": torch.tensor([0.5])}) == {"loss": 0.5}
