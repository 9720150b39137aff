"""Power loss, as a model: after every operation of some saves, every state that a disk may legally be found in."""

import os
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from logger.metrics_log import MetricsLog
from utils import checkpoint
from utils.checkpoint_folder import CheckpointFolder
from utils.errors import ConfigError

Change = Callable[[dict[str, int]], None]  # of the names of a folder: name -> file


class Disk:
    """Keeps what is sure to be on the disk: bytes since they were synced, names since their folder was.

    Names that were changed since then may have been written, or not, each by itself.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.bytes: dict[int, bytes] = {}  # by file
        self.names: dict[str, int] = {}
        self.changed: list[Change] = []
        self.states: list[tuple[int, dict[int, bytes], dict[str, int], int]] = []
        self.saved = -1  # the step of the last save that has returned
        self.log = 0  # bytes of the log that are sure
        for name in ("replace", "link", "unlink", "fsync"):
            monkeypatch.setattr(os, name, self.noted(getattr(os, name), getattr(self, name)))

    def noted(self, operation: Callable, note: Callable) -> Callable:
        def run(*arguments: Any, **keywords: Any) -> None:
            changed = note(*arguments)
            operation(*arguments, **keywords)
            if changed is not None:
                self.changed.append(changed)
            self.keep()

        return run

    def replace(self, source: Path, target: Path) -> Change:
        file = source.stat().st_ino

        def change(names: dict[str, int]) -> None:
            names.pop(source.name, None)
            names[target.name] = file

        return change

    def link(self, source: Path, target: Path) -> Change:
        file = source.stat().st_ino
        return lambda names: names.update({target.name: file})

    def unlink(self, path: Path) -> Change:
        return lambda names: names.pop(path.name, None) and None

    def fsync(self, descriptor: int) -> Change | None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            for change in self.changed:
                change(self.names)
            self.changed = []
        elif path.name == "metrics.jsonl":
            self.log = path.stat().st_size
        else:
            file = path.stat().st_ino
            self.bytes[file] = path.read_bytes()
            return lambda names: names.update({path.name: file})
        return None

    def keep(self) -> None:
        """Notes all states that this moment could leave; of many changes, those in which only the latest are kept."""
        latest = self.changed[-6:]
        for count in range(len(latest) + 1):
            for kept in combinations(latest, count):
                names = dict(self.names)
                for change in kept:
                    change(names)
                self.states.append((self.saved, dict(self.bytes), names, self.log))

    def found(self, folder: Path) -> Iterator[tuple[int, Path, int]]:
        """Each state as a folder, with the step that must not be lost and the length of the log."""
        seen = set()
        for number, (saved, content, names, log) in enumerate(self.states):
            if (key := (saved, tuple(sorted(names.items())), log)) in seen:
                continue
            seen.add(key)
            path = folder / str(number)
            path.mkdir()
            for name, file in names.items():
                (path / name).write_bytes(content.get(file, b""))  # never synced: nothing of it may be there
            yield saved, path, log


def play(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Six saves with everything: further names, a rotation, pruning, a log."""
    run = folder / "run"
    run.mkdir()
    checkpoints, log = CheckpointFolder(run, keep_last=1), MetricsLog(run)
    disk = Disk(run, monkeypatch)
    for step in range(6):
        log.write({"kind": "step", "step": step}, {})
        state = {"format": checkpoint.FORMAT, "state_dict": {"w": torch.full((9,), float(step))}, "config": {}}
        state |= {"step": step, "log": log.position()}
        checkpoints.save(state, epoch=step if step % 2 else None, best=step in (1, 4))
        disk.saved = step
    monkeypatch.undo()
    log.close()
    return disk


def test_whatever_a_power_loss_leaves_a_run_goes_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, count = play(tmp_path, monkeypatch), 0
    for saved, folder, log in disk.found(tmp_path):
        newest = CheckpointFolder(folder).newest()
        assert saved == -1 or newest is not None, "a finished save is lost"
        if newest is not None:
            state = checkpoint.read(newest)
            assert state["step"] >= saved, "a finished save is lost"
            assert state["log"]["bytes"] <= log, "the checkpoint counts on rows that are lost"
        for path in folder.glob("[!.]*.pth"):
            checkpoint.read(path)
        count += 1
    assert count > 100


@pytest.mark.parametrize(
    ("place", "lost"),
    [
        ("utils.checkpoint.sync_file", "none of the checkpoints is good"),
        ("utils.platform_files.sync_folder", "a finished save is lost"),
        ("logger.metrics_log.sync_file", "the checkpoint counts on rows that are lost"),
    ],
)
def test_the_model_catches_a_save_that_leaves_out_a_sync(
    place: str, lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, lambda *_: None)
    with pytest.raises((AssertionError, ConfigError), match=lost):
        test_whatever_a_power_loss_leaves_a_run_goes_on_with(tmp_path, monkeypatch)
