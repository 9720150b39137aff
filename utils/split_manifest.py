"""Which samples train and which validate, and a fingerprint of the data: what a run stays with."""

import json
import logging
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset

from utils.device import map_tensors
from utils.errors import UserError
from utils.platform_files import write_whole
from utils.seed import kept_generators, seed_generators

MOST_BYTES = 2**26  # of an array that are looked at; of a larger one some rows
MOST_ROWS = 200_000  # among which copies are looked for


class SplitManifest:
    """The samples of both parts by number, for `split.json`, and hashes of them for the checkpoints.

    What leaks from one part into the other is warned of.

    :param changes: to the stored config; where they are of its data, it may be another
    """

    def __init__(self, data_loader: Any, valid_data_loader: Any, changes: Sequence[Any] = ()) -> None:
        warn_of_leaks(data_loader, valid_data_loader)
        loaders = {"train": data_loader, "valid": valid_data_loader}
        self.samples = {name: samples_of(loader) for name, loader in loaders.items() if loader is not None}
        self.data = {name: fingerprint_of(whole(loader)) for name, loader in loaders.items() if loader is not None}
        self.may_change = any(str(change.path[0]).endswith("data_loader") for change in changes)

    def write(self, path: Path) -> None:
        """Writes which samples train and which validate, where the loaders tell."""
        parts = {name: samples for name, samples in self.samples.items() if samples is not None}
        write_whole(path, json.dumps({"data": self.data, **parts}).encode())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: hashes."""
        parts = {name: _hash(json.dumps(samples).encode()) for name, samples in self.samples.items()}
        return {"data": self.data, "samples": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compares with the run's; UserError where its data or its parts are others."""
        own = self.state_dict()
        changed = [f"the data of {name}" for name, value in own["data"].items() if state["data"].get(name) != value]
        changed += [
            f"which samples {name}" for name, value in own["samples"].items() if state["samples"].get(name) != value
        ]
        if changed and not self.may_change:
            told = f"not what the run has trained on: {', '.join(changed)}; put it back, or start a new run"
            raise UserError(f"{told} from the weights: -r CHECKPOINT -c CONFIG")


def warn_of_trained(test_data_loader: Any, path: Path) -> None:
    """Warns of test samples that trained or validated the model, by the `split.json` of its run."""
    samples = samples_of(test_data_loader)
    if samples is None or not path.is_file():
        return
    split = json.loads(path.read_bytes())
    data = fingerprint_of(whole(test_data_loader))
    used = {index for part in ("train", "valid") if split["data"].get(part) == data for index in split.get(part, ())}
    if count := len(used.intersection(samples)):
        logging.getLogger("test").warning("%d of %d test samples trained or validated this model", count, len(samples))


def samples_of(loader: Any) -> list[int] | None:
    """The numbers of the samples that a loader draws from, in order; None where it does not tell."""
    sampler, dataset = getattr(loader, "sampler", None), getattr(loader, "dataset", None)
    if dataset is None or not hasattr(dataset, "__len__"):
        return None
    indices = getattr(sampler, "indices", sampler if isinstance(sampler, list) else range(len(dataset)))
    indices = sorted(int(index) for index in indices)
    while isinstance(dataset, Subset):
        indices, dataset = [int(dataset.indices[index]) for index in indices], dataset.dataset
    return indices


def whole(loader: Any) -> Any:
    """The dataset behind a loader, without the subsets around it."""
    dataset = getattr(loader, "dataset", None)
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def fingerprint_of(dataset: Any) -> str:
    """A hash of tensors in memory, of the names and classes of files, else of the number of samples."""
    if (tensors := getattr(dataset, "tensors", None)) is not None:
        return _hash(
            *(part for tensor in tensors for part in (str(getattr(tensor, "shape", "")).encode(), _bytes(tensor)))
        )
    if isinstance(files := getattr(dataset, "samples", None), list):
        root = str(getattr(dataset, "root", ""))
        return _hash(json.dumps([[str(name).removeprefix(root), label] for name, label in files]).encode())
    return f"{type(dataset).__name__} of {len(dataset) if hasattr(dataset, '__len__') else 'unknown length'}"


def warn_of_leaks(data_loader: Any, valid_data_loader: Any) -> None:
    """Warns of validation samples that are exact copies of training samples, and of those drawn at random."""
    logger, valid = logging.getLogger("train"), samples_of(valid_data_loader) or []
    tensors = getattr(whole(data_loader), "tensors", None)
    if tensors is not None and whole(valid_data_loader) is not None and len(tensors[0]) <= MOST_ROWS:
        train = {tensors[0][index].numpy().tobytes() for index in samples_of(data_loader) or ()}
        others = whole(valid_data_loader).tensors[0]
        copies = sum(others[index].numpy().tobytes() in train for index in valid)
        if copies:
            logger.warning("%d of %d validation samples are exact copies of training samples", copies, len(valid))
    elif valid and hasattr(whole(valid_data_loader), "__getitem__") and _is_drawn(whole(valid_data_loader), valid[0]):
        logger.warning("validation samples are drawn at random (augmented?); give the loader a valid_dataset without")


def _is_drawn(dataset: Any, index: int) -> bool:
    """Whether a sample is another one with other random numbers."""
    looks = []
    with kept_generators():
        for number in range(2):
            seed_generators("split manifest", number)
            tensors: list[torch.Tensor] = []
            map_tensors(lambda tensor: tensors.append(tensor) or tensor, dataset[index])  # type: ignore[func-returns-value]  # noqa: B023
            looks.append(tensors)
    return any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(*looks))


def _bytes(tensor: Any) -> bytes:
    if not isinstance(tensor, torch.Tensor):
        return b""  # mapped from a file whose name is a hash already
    rows = tensor.cpu()
    step = max(1, rows.nbytes // MOST_BYTES) if rows.dim() else 1
    return np.ascontiguousarray(rows[::step].numpy()).tobytes() if rows.dim() else rows.numpy().tobytes()


def _hash(*parts: bytes) -> str:
    total = blake2b(digest_size=16)
    for part in parts:
        total.update(part)
    return total.hexdigest()
