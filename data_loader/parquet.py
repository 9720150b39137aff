"""Tables in Parquet files, written once as an array that is read row by row: `ParquetDataset`."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from data_loader.arrays import ArrayDataset, mapped
from data_loader.cache_folder import cache_folders, own_name, remove_scraps, with_room
from utils import dist
from utils.errors import UserError
from utils.platform_files import replacing, sync_file

FORMAT = 1  # of what is kept; another number makes all of it anew
NUMBERS_AT_ONCE = 2**20  # in memory while a table is written as an array


class ParquetDataset(ArrayDataset):
    """Samples (numbers [columns], target) from the rows of a Parquet file, or of the `*.parquet` files of a folder.

    One row of Parquet costs the decoding of its whole group, of up to a million. So the columns are written once, as
    an .npy file that is mapped, 4 bytes a number: in `.hotplate-cache` beside the table, or in `~/.cache/hotplate`
    where that cannot be written to. Writing takes a few MB of memory a column, however many rows there are. Later runs
    find the file, a changed table makes another one, and it may be deleted before any start.

    Columns of numbers and booleans without missing values are taken; UserError for all else.

    :param target: the column to predict: whole numbers and booleans are classes, others become float32
    :param columns: the columns that the model takes, as float32 (default: all others)
    """

    def __init__(self, path: str, target: str, columns: Sequence[str] | None = None) -> None:
        folder = Path(path) if os.path.isdir(path) else Path(path).parent
        files = sorted(folder.glob("*.parquet")) if os.path.isdir(path) else [Path(path)]
        if not files or not all(map(os.path.isfile, files)):
            raise UserError(f"{path}: no Parquet file, nor a folder of them")
        places = [folder / f"{_key(files, target, columns)}.npy" for folder in cache_folders(folder)]
        if dist.local_rank() == 0 and not any(map(os.path.exists, places)):
            _write(_Table(files, target, columns), places)
        dist.most(0)  # one process of a machine writes, the others wait
        self.file = next(filter(os.path.exists, places))

    @cached_property
    def arrays(self) -> tuple[Any, Any]:
        rows = mapped(self.file)
        return rows["inputs"], rows["target"]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file}


class _Table:
    """The columns that are asked for of Parquet files; UserError where they have none such. Runs nothing of a file."""

    def __init__(self, files: Sequence[Path], target: str, columns: Sequence[str] | None) -> None:
        self.parts = {file: _opened(file) for file in files}
        schema = self.parts[files[0]].schema_arrow
        for file, part in self.parts.items():
            if not part.schema_arrow.equals(schema):
                raise UserError(f"{file}: has other columns, or columns of other types, than {files[0]}")
        self.target = target
        self.columns = [name for name in schema.names if name != target] if columns is None else columns
        whole = [_is_whole(schema, name, files[0]) for name in (target, *self.columns)]
        self.row = np.dtype([("inputs", "<f4", len(self.columns)), ("target", "<i8" if whole[0] else "<f4")])
        self.n_rows = sum(part.metadata.num_rows for part in self.parts.values())

    def batches(self) -> Iterator[np.ndarray]:
        """Some rows after the other."""
        names = list({self.target, *self.columns})
        for file, part in self.parts.items():
            try:
                for batch in part.iter_batches(NUMBERS_AT_ONCE // len(names) or 1, columns=names, use_threads=False):
                    rows = np.empty(len(batch), self.row)
                    rows["target"] = _numbers(batch, self.target)
                    for place, name in enumerate(self.columns):
                        rows["inputs"][:, place] = _numbers(batch, name)
                    yield rows
            except (OSError, ValueError) as error:
                raise UserError(f"{file}: {_line(error)}") from None


def _opened(file: Path) -> Any:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise UserError("Parquet files need pyarrow: pip install -e '.[parquet]'") from None
    try:
        return parquet.ParquetFile(file, memory_map=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: no Parquet file ({_line(error)})") from None


def _is_whole(schema: Any, name: str, file: Path) -> bool:
    """Whether a column has whole numbers or booleans; UserError where it has no numbers."""
    from pyarrow import types

    if schema.names.count(name) != 1:
        raise UserError(f"{file}: no column {name!r}, or several; there are {', '.join(schema.names)}")
    kind = schema.field(name).type
    if types.is_integer(kind) or types.is_boolean(kind):
        return True
    if types.is_floating(kind):
        return False
    raise UserError(f"{file}: column {name!r} has no numbers but {kind}; say in `columns` which ones to take")


def _numbers(batch: Any, name: str) -> np.ndarray:
    if batch.column(name).null_count:
        raise ValueError(f"column {name!r} has missing values")
    return batch.column(name).to_numpy(zero_copy_only=False)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _key(files: Sequence[Path], target: str, columns: Sequence[str] | None) -> str:
    """Another one whenever a file, or what is taken of it, may have become another."""
    states = [(str(file.resolve()), os.stat(file)) for file in files]
    known = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return blake2b(json.dumps([FORMAT, known, target, columns]).encode(), digest_size=16).hexdigest()


def _write(table: _Table, places: Sequence[Path]) -> None:
    """Writes the array to the first place that has room; of two processes at once each writes it, the same bytes."""
    size = table.n_rows * table.row.itemsize
    folder = with_room([place.parent for place in places], size)
    if folder is None:
        raise UserError(f"{size / 1e9:,.1f} GB of numbers cannot be written to {' or '.join(map(str, places))}")
    remove_scraps(folder)
    path = folder / places[0].name
    logging.getLogger("train").info("writing %d rows of Parquet as an array, once: %s", table.n_rows, path)
    descr = np.lib.format.dtype_to_descr(table.row)
    try:
        with replacing(path, temporary=own_name(path)) as temporary, open(temporary, "xb") as file:
            header = {"descr": descr, "fortran_order": False, "shape": (table.n_rows,)}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in table.batches():
                file.write(rows.tobytes())
            file.flush()
            sync_file(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
