"""`metrics.jsonl`, one row a log point and one an epoch, without a clock; times go to `timing.jsonl`."""

import json
import math
import os
import zlib
from io import FileIO
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.platform_files import sync_file, write_whole


class MetricsLog:
    """Appends rows to the logs of a run; without a folder the same object writes nothing.

    A row of `metrics.jsonl` has the keys `kind`, `step`, `epoch`, `lr`, then the values by name.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows = None if folder is None else _appending(folder / "metrics.jsonl")
        self._times = None if folder is None else _appending(folder / "timing.jsonl")
        self._crc32 = 0 if folder is None else zlib.crc32((folder / "metrics.jsonl").read_bytes())
        self._bytes = 0 if self._rows is None else self._rows.seek(0, os.SEEK_END)

    def write(self, row: dict[str, Any], timing: dict[str, Any]) -> None:
        """Appends one row to each file, each with one system call."""
        if self._rows is None or self._times is None:
            return
        line = _line(row)
        self._append(self._rows, line)
        self._crc32 = zlib.crc32(line, self._crc32)
        self._bytes += len(line)
        self._append(self._times, _line({"kind": row["kind"], "step": row["step"], **timing}))

    @staticmethod
    def _append(file: FileIO, line: bytes) -> None:
        """Writes all of a line; a disk that is nearly full takes a part of it first, without a word."""
        while line:
            try:
                line = line[file.write(line) :]
            except OSError as error:
                error.filename = file.name
                raise

    def position(self) -> dict[str, int]:
        """How far the log reaches and its checksum; the bytes are on the disk when this returns."""
        if self._rows is not None:
            sync_file(self._rows.fileno())
        return {"bytes": self._bytes, "crc32": self._crc32}

    def cut(self, position: dict[str, int], step: int) -> None:
        """Takes the log back to where a checkpoint of that step was written; refuses a log that is not its own."""
        if self._rows is None or self._folder is None:
            return
        path = self._folder / "metrics.jsonl"
        n_bytes, crc32 = position.get("bytes", 0), position.get("crc32", 0)
        kept = path.read_bytes()[:n_bytes]
        if len(kept) < n_bytes or zlib.crc32(kept) != crc32:
            raise UserError(
                f"{path}: rows that the checkpoint of step {step} counts on are missing or changed; "
                "put the file back, or start a new run from the checkpoint's weights with -r CHECKPOINT -c CONFIG"
            )
        self._rows.truncate(n_bytes)
        self._bytes, self._crc32 = n_bytes, crc32
        timing = self._folder / "timing.jsonl"
        write_whole(timing, b"".join(row + b"\n" for row in timing.read_bytes().splitlines() if _belongs(row, step)))
        if self._times is not None:
            self._times.close()
        self._times = _appending(timing)

    def close(self) -> None:
        """Closes the files."""
        for file in (self._rows, self._times):
            if file is not None:
                file.close()
        self._rows = self._times = None


def _appending(path: Path) -> FileIO:
    return open(path, "ab", buffering=0)


def flatten(log: dict[str, Any]) -> dict[str, Any]:
    """Flat names and plain values: nested dicts joined by '/', lists by index, one-element tensors as numbers.

    A matrix stays as it is, a list of rows.
    """
    flat: dict[str, Any] = {}
    for key, value in log.items():
        if isinstance(value, dict):
            flat |= {f"{key}/{name}": item for name, item in flatten(value).items()}
            continue
        if hasattr(value, "tolist"):
            value = value.item() if getattr(value, "size", None) == 1 or _is_number(value) else value.tolist()
        if isinstance(value, (list, tuple)) and not is_matrix(value):
            flat |= flatten({f"{key}/{index}": item for index, item in enumerate(value)})
        else:
            flat[str(key)] = value
    return flat


def is_matrix(value: Any) -> bool:
    """Whether a value is a list of rows of equally many numbers."""
    if not (isinstance(value, list) and value and isinstance(value[0], list) and value[0]):
        return False
    numbers = [isinstance(row, list) and all(isinstance(item, (int, float)) for item in row) for row in value]
    return all(numbers) and len({len(row) for row in value}) == 1


def shown(value: Any) -> str:
    """A value of the log in a few characters."""
    if is_matrix(value):
        return f"[{len(value)} x {len(value[0])}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return callable(getattr(value, "numel", None)) and value.numel() == 1  # a tensor of one element


def _line(row: dict[str, Any]) -> bytes:
    plain = {key: _plain(value) for key, value in row.items()}
    return (json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if is_matrix(value):
        return [[_plain(item) for item in row] for row in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # "nan", "inf", "-inf": JSON has no such numbers
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _belongs(row: bytes, step: int) -> bool:
    try:
        return json.loads(row)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False  # the torn last line of a killed run
