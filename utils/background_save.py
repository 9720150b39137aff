"""Checkpoints that are written while training goes on."""

import logging
import os
import threading
from pathlib import Path
from typing import Any

import torch

from utils.checkpoint import to_plain
from utils.checkpoint_folder import LAST, CheckpointFolder
from utils.failures import SaveError


def checkpoints_of(folder: Path, options: Any, model: torch.nn.Module) -> CheckpointFolder:
    """Where a run with these options saves."""
    kind = BackgroundCheckpoints if options.save_in_background else CheckpointFolder
    return kind(folder, options.keep_last, {name for name, _ in model.named_parameters()})


class BackgroundCheckpoints(CheckpointFolder):
    """As a CheckpointFolder, but `save` returns as soon as the state is copied; a thread writes the copy.

    The copy is kept and used again, which takes the memory of a checkpoint once more. There is never more than one
    write: a save waits for the one before. Where that failed, the next is written in the foreground. A kill within a
    write leaves the checkpoint before. No process is forked while it writes: it could inherit a lock that is held.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._copies: dict[str, torch.Tensor] = {}
        self._writer: threading.Thread | None = None
        self._error: Exception | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._join)

    def save(self, state: dict[str, Any], epoch: int | None = None, best: bool = False) -> Path:
        try:
            self.wait()
        except SaveError as error:
            logging.getLogger("trainer").error("%s; training went on, and this save tries again", error)
            return super().save(state, epoch, best)
        copy = to_plain(state, copied=self._copy)
        self._writer = threading.Thread(target=self._write, args=(copy, epoch, best), name="checkpoint")
        self._writer.start()
        return self.path / LAST

    def wait(self) -> None:
        """Returns when the last save is on the disk; raises what went wrong if it is not."""
        self._join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _join(self) -> None:
        if self._writer is not None and self._writer is not threading.current_thread():
            self._writer.join()

    def _write(self, state: dict[str, Any], epoch: int | None, best: bool) -> None:
        try:
            super().save(state, epoch, best)
        except Exception as error:  # told at the next `wait`, where training can hear it
            self._error = error

    def _copy(self, tensor: torch.Tensor, path: str) -> torch.Tensor:
        kept = self._copies.get(path)
        if kept is None or kept.shape != tensor.shape or kept.dtype != tensor.dtype:
            kept = self._copies[path] = torch.empty_like(tensor, device="cpu")
        return kept.copy_(tensor)
