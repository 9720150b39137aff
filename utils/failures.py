"""What stops training, in a line that says what to do about it."""

import errno
import shutil
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from utils.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TORCHS_WRITER = ("PytorchStreamWriter", "inline_container", "unexpected pos")  # hides that the disk is full


class SampleError(UserError):
    """A dataset failed; the message names the sample."""


class SaveError(UserError):
    """A checkpoint could not be written; those that were there still are."""


def told(error: BaseException) -> str | None:
    """The line for an error that stopped training; None for one that only its traceback explains."""
    text = str(error)
    if isinstance(error, SampleError):
        return text.rpartition("SampleError: ")[2].strip()  # of a loader worker: behind its traceback
    if isinstance(error, torch.OutOfMemoryError):
        advice = "lower data_loader.args.batch_size (and raise trainer.accumulation by as much), or try trainer.amp"
        return f"out of memory on the GPU: {advice} ({' '.join(text.split())[:200]})"
    if _lost_a_worker(error, text):
        return "a loader worker was killed (out of memory?): lower data_loader.args.num_workers or prefetch_factor"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{error.filename or 'a log of the run'}: cannot be written: {error.strerror}"
    return None


def _lost_a_worker(error: BaseException, text: str) -> bool:
    """Whether a loader worker has died: torch says so, or the line to it is cut."""
    if "DataLoader worker" in text and ("killed by signal" in text or "exited unexpectedly" in text):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    cut = isinstance(error, (ConnectionError, EOFError))
    return cut and any("torch/utils/data" in frame.filename.replace("\\", "/") for frame in frames)


def save_error(error: Exception, path: Path) -> SaveError | None:
    """What to raise instead of an error while writing a checkpoint; None if writing is not what failed."""
    if isinstance(error, OSError):
        reason = error.strerror if error.errno not in FULL else _full(path)
        return SaveError(f"{path}: cannot be written: {reason}")
    return SaveError(f"{path}: cannot be written: {_full(path)}") if _is_torchs(error) else None


def _is_torchs(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in TORCHS_WRITER)


def _full(path: Path) -> str:
    free = shutil.disk_usage(path.parent).free
    return f"the disk is full ({free / 1e6:,.0f} MB free), or the file too large for it"


def not_finite(what: str, step: int, good: Path) -> UserError:
    """What to raise for a loss or a weight that is no finite number."""
    advice = "Try a lower learning rate, trainer.clip_grad_norm, or cleaner data"
    return UserError(f"{what} at step {step}; the last good checkpoint is {good}. {advice}")


def is_finite(state: dict[str, Any], parameters: Collection[str]) -> bool:
    """Whether the parameters in a checkpoint's state, and what the optimizer keeps of them, are finite numbers.

    Buffers may hold what they like. Waits for the device.
    """
    optimizer = state.get("optimizer")
    kept = optimizer.get("state") if isinstance(optimizer, dict) else None
    parts = list(kept.values()) if isinstance(kept, dict) else []
    weights = [value for name, value in state["state_dict"].items() if name in parameters]
    tensors = [value for value in (*weights, *(value for part in parts for value in _tensors(part)))]
    tensors = [value.detach() for value in tensors if value.is_floating_point() and value.numel()]
    if not tensors:
        return True
    norms = [norm.to("cpu") for norm in torch._foreach_norm(tensors, float("inf"))]
    return bool(torch.stack([norm.double() for norm in norms]).isfinite().all())


def _tensors(state: Any) -> list[torch.Tensor]:
    return [value for value in state.values() if isinstance(value, torch.Tensor)] if isinstance(state, dict) else []
