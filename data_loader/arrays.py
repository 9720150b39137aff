"""Datasets in files of arrays and tables, read row by row: files larger than memory are as good as small ones."""

import csv
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from utils.errors import UserError

ROWS_TO_KNOW_BY = 1000  # of each file, for the fingerprint


class ArrayDataset(Dataset):
    """Samples (input, target) from two files of arrays, one row a sample: NumPy's .npy, or a tensor in torch's .pt.

    The files are mapped, not read: only the rows asked for are in memory.

    :param inputs: path of the inputs [n, ...]
    :param targets: path of the targets [n, ...]
    """

    def __init__(self, inputs: str, targets: str) -> None:
        self.files = inputs, targets
        if len(self.arrays[0]) != len(self.arrays[1]):
            raise UserError(f"{inputs} has {len(self.arrays[0])} rows, {targets} {len(self.arrays[1])}")

    @cached_property
    def arrays(self) -> tuple[Any, Any]:
        """Both files, mapped; each worker maps them for itself."""
        inputs, targets = (mapped(Path(file)) for file in self.files)
        return inputs, targets

    @property
    def targets(self) -> Tensor:
        """All targets in memory, for what goes by classes."""
        return torch.as_tensor(np.array(self.arrays[1]))

    @property
    def fingerprint(self) -> str:
        """A hash of the shapes and of a thousand rows, from all over both files."""
        total = blake2b(digest_size=16)
        for array in self.arrays:
            total.update(str(array.shape).encode())
            for row in array[:: max(1, len(array) // ROWS_TO_KNOW_BY)]:
                total.update(row.tobytes())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs, targets = (torch.as_tensor(np.array(array[index])) for array in self.arrays)
        return inputs, targets

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}


class CsvDataset(Dataset):
    """Samples (numbers [columns], target) from the rows of a CSV file with a header, one row a line.

    Of each row only its place is in memory, 8 bytes; the row itself is read when it is asked for.

    :param target: the column to predict
    :param columns: the columns that the model takes (default: all others)
    :param target_type: "int", classes, or "float", numbers (default: as the first row has it)
    """

    def __init__(
        self,
        path: str,
        target: str,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        target_type: Literal["int", "float"] | None = None,
    ) -> None:
        self.path, self.delimiter = path, delimiter
        try:
            with open(path, "rb") as file:
                head = file.readline()
                self.header = next(csv.reader([head.decode()], delimiter=delimiter))
                lengths = np.fromiter((len(line) for line in file), dtype=np.int64)
        except (OSError, UnicodeDecodeError, StopIteration) as error:
            raise UserError(f"{path}: no CSV file with a header ({error})") from None
        self.offsets = len(head) + np.concatenate([[0], lengths.cumsum()])
        columns = [name for name in self.header if name != target] if columns is None else columns
        for name in (target, *columns):
            if name not in self.header:
                raise UserError(f"{path}: no column {name!r}; there are {', '.join(self.header)}")
        self.target, self.places = self.header.index(target), [self.header.index(name) for name in columns]
        if target_type is None:
            target_type = "int" if len(self) and self._row(0)[self.target].lstrip("-").isdecimal() else "float"
        self.kind: Any = {"int": int, "float": float}[target_type]

    @property
    def fingerprint(self) -> str:
        """A hash of the header, of where each row is and of a thousand rows, from all over the file."""
        total = blake2b(f"{self.header} {len(self)}".encode(), digest_size=16)
        total.update(self.offsets.tobytes())
        for index in range(0, len(self), max(1, len(self) // ROWS_TO_KNOW_BY)):
            total.update(self._line(index))
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self._row(index)
        inputs = [self._number(row, place, float) for place in self.places]
        return torch.tensor(inputs), torch.tensor(self._number(row, self.target, self.kind))

    def _row(self, index: int) -> list[str]:
        return next(csv.reader([self._line(index).decode()], delimiter=self.delimiter))

    def _line(self, index: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self.offsets[index])
            return file.read(self.offsets[index + 1] - self.offsets[index])

    def _number(self, row: list[str], place: int, kind: Any) -> Any:
        try:
            return kind(row[place])
        except (ValueError, IndexError):
            wanted, found = "whole number" if kind is int else "number", row[place : place + 1]
            advice = ', say "target_type": "float"' if kind is int else ""
            raise ValueError(f"{self.path}: {self.header[place]}: no {wanted} but {found}{advice}") from None


def mapped(path: Path) -> Any:
    """An array in a file, mapped; UserError where it holds none, or Python objects."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        tensor = torch.load(path, mmap=True, weights_only=True)
        return tensor.numpy()
    except Exception as error:  # whatever the two raise for files that are not what they say
        raise UserError(f"{path}: no array of numbers ({str(error).splitlines()[0][:100]})") from None
