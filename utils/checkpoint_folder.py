"""The checkpoints of one run: their names, their rotation, and which of them counts."""

import logging
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from utils import checkpoint
from utils.errors import ConfigError
from utils.failures import is_finite, not_finite, save_error
from utils.platform_files import link_or_copy, temporary_name

LAST, PREVIOUS, BEST = "checkpoint-last.pth", "checkpoint-previous.pth", "model_best.pth"
EPOCH = re.compile(r"checkpoint-epoch(\d+)\.pth")


class CheckpointFolder:
    """Writes each checkpoint once, whole, and then gives it its names.

    :param keep_last: how many `checkpoint-epochN.pth` stay (None: all)
    :param parameters: which of the weights must be finite numbers
    """

    def __init__(self, path: Path, keep_last: int | None = None, parameters: Collection[str] = ()) -> None:
        self.path = path
        self.keep_last = keep_last
        self.parameters = parameters

    def save(self, state: dict[str, Any], epoch: int | None = None, best: bool = False) -> Path:
        """The state becomes `checkpoint-last.pth`, the one before stays as `checkpoint-previous.pth`.

        Raises SaveError if it cannot be written, UserError if a parameter in it is no finite number.

        :param epoch: also name it `checkpoint-epochN.pth`
        :param best: also name it `model_best.pth`
        """
        last = self.path / LAST
        if not is_finite(state, self.parameters):
            raise not_finite("a weight, or what the optimizer keeps of it, is no finite number", state["step"], last)
        names = [f"checkpoint-epoch{epoch}.pth"] * (epoch is not None) + [BEST] * best
        try:
            checkpoint.write(state, last, [self.path / name for name in names], previous=self.path / PREVIOUS)
        except (OSError, RuntimeError) as error:
            raise save_error(error, last) or error from error
        self._prune()
        return last

    def wait(self) -> None:
        """Returns when the last save is on the disk: here, as soon as it has returned itself."""

    def newest(self) -> Path | None:
        """The good checkpoint with the highest step inside; None if there is no checkpoint at all.

        Damaged files are passed over, with their names in `self.damaged`; if there are files and none is good,
        raises ConfigError: a run is never silently begun anew.
        """
        self.damaged: list[str] = []
        steps = {path: checkpoint.step_of(path) for path in self.path.glob("*.pth") if not path.name.startswith(".")}
        found = None
        for path in sorted(steps, key=lambda path: (steps[path], path.name == LAST), reverse=True):
            if found is None or steps[path] < 0:  # what cannot even be opened is named too
                try:
                    checkpoint.read(path)
                    found = found or path
                except ConfigError as error:
                    self.damaged += error.faults
        if found is not None:
            return found
        if self.damaged:
            raise ConfigError([f"{self.path}: none of the checkpoints is good", *self.damaged])
        return None

    def adopt_best(self, folder: Path, step: int) -> None:
        """Takes along the best checkpoint of another run up to a step, for a run that branches from it there."""
        elsewhere = (folder / BEST).exists() and folder.resolve() != self.path.resolve()
        if elsewhere and 0 <= checkpoint.step_of(folder / BEST) <= step:
            shutil.copyfile(folder / BEST, self.path / BEST)

    def clean(self) -> None:
        """Removes what a killed save left behind."""
        for path in self.path.glob(temporary_name(self.path / "*").name):
            path.unlink(missing_ok=True)

    def take_up(self, path: Path, best: bool) -> None:
        """Makes the checkpoint that the run goes on from its last one, where a kill cut its save short or a later one
        is damaged, and finishes what comes after a save.

        A damaged file is kept under another name: it must not become `checkpoint-previous.pth`.

        :param best: the monitor has judged this one the best, if it ends an epoch
        """
        last, previous = self.path / LAST, self.path / PREVIOUS
        if path.name != LAST:
            if last.exists() and not _is_good(last):
                last.replace(last.with_suffix(".pth.damaged"))
            elif checkpoint.step_of(last) < checkpoint.step_of(path):
                link_or_copy(last, previous)
            if path.name == PREVIOUS:
                path.replace(last)
            else:
                link_or_copy(path, last)
        if best and EPOCH.fullmatch(path.name):
            link_or_copy(path, self.path / BEST)
        self._prune()

    def _prune(self) -> None:
        epochs = {int(match[1]): path for path in self.path.iterdir() if (match := EPOCH.fullmatch(path.name))}
        for epoch in sorted(epochs)[: -self.keep_last if self.keep_last else 0]:
            epochs[epoch].unlink()


def locate(path: Path, best: bool = False) -> tuple[Path, bool]:
    """The checkpoint that `-r PATH` means, and whether its run goes on from it in place.

    A run's folder means its newest good checkpoint. A file that is not the newest of its run, or that lies outside a
    run's folder (ROOT/models/NAME/RUN), does not go on in place.

    :param best: a folder means its `model_best.pth`, where there is one
    """
    if not path.exists():
        raise ConfigError(f"-r {path}: no such file or folder")
    if best and (path / BEST).exists():
        checkpoint.read(path / BEST)
        return path / BEST, False
    if path.is_dir():
        newest = newest_good(path)
        if newest is None:
            raise ConfigError(f"-r {path}: no checkpoint in this folder")
        return newest, is_run(path)
    try:
        checkpoint.read(path)
    except ConfigError as error:
        good = newest_good(path.parent, quiet=True) if is_run(path.parent) else None
        raise ConfigError(f"{error}; the newest good one is {good}" if good else str(error)) from None
    if not is_run(path.parent):
        return path, False
    newest = newest_good(path.parent, quiet=True)
    return path, newest is None or checkpoint.step_of(newest) == checkpoint.step_of(path)


def newest_good(folder: Path, quiet: bool = False) -> Path | None:
    """The good checkpoint with the highest step in a folder, with a warning for each that is damaged."""
    checkpoints = CheckpointFolder(folder)
    newest = checkpoints.newest()
    for line in checkpoints.damaged if not quiet else ():
        logging.getLogger("train").warning("passed over: %s", line)
    return newest


def _is_good(path: Path) -> bool:
    try:
        checkpoint.read(path)
    except ConfigError:
        return False
    return True


def newest_run(root: Path, name: str) -> Path | None:
    """The run of that name which was saved last; None if there is none."""
    runs = [path for path in (root / "models" / name).glob("*") if is_run(path)]
    return max(runs, key=lambda path: (path / LAST).stat().st_mtime_ns, default=None)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run: ROOT/models/NAME/RUN."""
    above = folder.resolve().parents
    return len(above) > 2 and above[1].name == "models" and (folder / LAST).exists()
