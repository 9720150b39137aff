"""Datasets of huggingface.co and folders of files, read by its package `datasets`: in memory, or mapped."""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from base import TensorDataLoader
from utils.device import map_tensors
from utils.errors import UserError

ROWS_TO_KNOW_BY = 100  # for the fingerprint: an image takes milliseconds to decode


class HubDataLoader(TensorDataLoader):
    """A dataset that fits in memory, decoded once. For a larger one put BaseDataLoader around HubDataset.

    Batches: inputs [B, ...], of images bytes [B, C, H, W] for `transform` to make numbers of; targets [B, ...].

    :param splits: the one to train on and the one to test on
    """

    told_to_server = ("path", "name", "splits")

    def __init__(
        self,
        path: str,
        input: str,
        target: str,
        batch_size: int = 128,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        splits: Sequence[str] = ("train", "test"),
        name: str | None = None,
        augment: Any = None,
        **options: Any,
    ) -> None:
        dataset = HubDataset(path, input, target, splits[0 if training else 1], name)
        self.classes = dataset.classes
        augment = augment if training else None
        super().__init__(dataset.tensors(), batch_size, shuffle, validation_split, augment=augment, **options)


class HubDataset(Dataset):
    """Samples (input, target) as tensors, from files that are mapped; images are decoded when they are asked for.

    :param path: a name on the hub ("ylecun/mnist"), or a folder: of train.csv and test.csv (.json, .parquet, ...), of
        images (train/CLASS/*.png, test/CLASS/*.png), or as `save_to_disk` writes a DatasetDict
    :param input: the column that the model takes
    :param target: the column that its output is compared with
    :param name: the configuration, of a dataset that has several
    :param transform: input -> input, such as images of any size -> images of one
    """

    told_to_server = ("path", "name", "split")

    def __init__(
        self,
        path: str,
        input: str,
        target: str,
        split: str = "train",
        name: str | None = None,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        rows = _rows(path, split, name)
        for column in (input, target):
            if column not in rows.column_names:
                raise UserError(f"{path}: no column {column!r}; there are {', '.join(rows.column_names)}")
        self.path, self.input, self.target, self.transform = path, input, target, transform
        self.classes = getattr(rows.features[target], "names", None)
        self.rows = rows.select_columns([input, target]).with_format("torch")

    @property
    def fingerprint(self) -> str:
        """A hash of the columns' types, of the number of rows and of a hundred of them, from all over: what the files
        hold, not when they were written."""
        total = blake2b(f"{self.rows.features} {len(self)}".encode(), digest_size=16)
        for index in range(0, len(self), max(1, len(self) // ROWS_TO_KNOW_BY)):
            for value in self.rows[index].values():
                map_tensors(partial(_add, total), value)
                total.update(value.encode() if isinstance(value, str) else b"")
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row = self.rows[index]
        return self.transform(row[self.input]) if self.transform else row[self.input], row[self.target]

    def tensors(self) -> list[Tensor]:
        """All inputs and all targets; UserError where they are texts, or of several shapes."""
        parts = list(self.rows.iter(batch_size=1000))
        try:
            return [torch.cat([part[column] for part in parts]) for column in (self.input, self.target)]
        except (TypeError, RuntimeError):
            raise UserError(
                f"{self.path}: {self.input!r} or {self.target!r} makes no tensor: texts, gaps or several shapes; put a "
                "BaseDataLoader around hub.HubDataset, with a transform or a collate_fn that makes one"
            ) from None


def _add(total: Any, tensor: Tensor) -> Tensor:
    total.update(tensor.numpy().tobytes())
    return tensor


def _rows(path: str, split: str, name: str | None) -> Any:
    """What `datasets` reads, which since 4.0 runs no code of a dataset; UserError where it cannot be had."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise UserError("datasets of Hugging Face need its package: pip install -e '.[datasets]'") from None
    try:
        if Path(path, split, "state.json").is_file():
            return datasets.load_from_disk(str(Path(path, split)))
        return datasets.load_dataset(path, name, split=split)
    except Exception as error:  # whatever the hub, the network and the files did
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: its split {split!r} cannot be read: {reason}") from None
