"""A disk that is really full: a small file system in a namespace of its own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import EVERYTHING, ROOT, assert_same_runs

MOUNT = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
# a file system of so many kB; when it was full it grows, the run goes on, and what it left is brought out
SCRIPT = """
mount -t tmpfs -o size={size}k none {disk} || exit 99
python={python}; cd {root}
$python train.py -c {config} -s trainer.save_dir={disk} --run-id broken > {out}/first 2> {out}/first.err
echo $? > {out}/first.code
mount -o remount,size=100000k {disk}
cp -r {disk} {out}/full
$python train.py -r {disk}/models/Digits/broken > {out}/second 2>&1
echo $? > {out}/second.code
$python train.py -c {config} -s trainer.save_dir={disk} --run-id whole > {out}/whole 2>&1
cp -r {disk} {out}/saved
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True).returncode == 0


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., Path]:
    """Trains on a disk of a size, again when it has grown, and unbroken; returns where the outputs are."""

    def run(size: int, **trainer: Any) -> Path:
        config = json.loads(json.dumps(EVERYTHING))
        config["trainer"] |= trainer
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "disk").mkdir()
        names = {"config": tmp_path / "config.json", "disk": tmp_path / "disk", "out": tmp_path, "root": ROOT}
        script = SCRIPT.format(size=size, python=sys.executable, **names)
        done = subprocess.run([*MOUNT, script], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done
        return tmp_path

    return run


def words(path: Path) -> str:
    return path.read_text().strip()


@pytest.mark.skipif(not can_mount(), reason="this system lets no user mount a file system")
def test_a_disk_that_is_full_for_checkpoints_fails_the_run_at_its_end_and_loses_nothing(fill: Callable) -> None:
    out = fill(800, monitor="off", save_period=100)  # two checkpoints of 330 kB, no third
    assert words(out / "first.code") == "1"
    assert "checkpoint-last.pth: cannot be written: the disk is full" in words(out / "first")
    assert "training goes on, and the next save tries again" in words(out / "first")
    assert len(words(out / "first.err").splitlines()) == 1
    assert "the disk is full" in words(out / "first.err")
    assert not list((out / "full" / "models" / "Digits" / "broken").glob(".tmp-*"))
    assert words(out / "second.code") == "0", words(out / "second")
    assert_same_runs(out / "saved", "Digits", "whole", "broken")


@pytest.mark.skipif(not can_mount(), reason="this system lets no user mount a file system")
def test_a_disk_that_is_full_for_the_log_stops_the_run(fill: Callable) -> None:
    long = {"monitor": "off", "len_epoch": 300, "epochs": 1, "save_steps": None, "ema_decay": None}
    out = fill(160, **long)  # the first checkpoint, and some hundred rows
    assert words(out / "first.code") == "1", words(out / "first")
    line = words(out / "first.err").splitlines()[-1]
    assert ".jsonl: cannot be written: No space left on device; go on with: python train.py -r " in line
    assert "Traceback" not in words(out / "first.err")
    assert words(out / "second.code") == "0", words(out / "second")
    assert_same_runs(out / "saved", "Digits", "whole", "broken")
