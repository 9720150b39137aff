"""Which samples train, validate and test, and a fingerprint of the data: what a run stays with."""

import json
import logging
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import RandomSampler, SequentialSampler, Subset, WeightedRandomSampler

from utils import dist
from utils.datasets import whole_dataset
from utils.device import map_tensors
from utils.errors import UserError
from utils.platform_files import write_whole
from utils.seed import kept_generators, seed_generators

MOST_BYTES = 2**26  # of an array that are looked at; of a larger one some rows
MOST_ROWS = 200_000  # among which copies are looked for
DRAWING_FROM_ALL = (RandomSampler, SequentialSampler, WeightedRandomSampler)


class SplitManifest:
    """The samples of both parts by number, for `split.json`, and hashes of them for the checkpoints.

    What leaks from one part into the other is warned of.

    :param may_change: a run may go on with other data or other parts
    """

    def __init__(self, data_loader: Any, valid_data_loader: Any, may_change: bool = False) -> None:
        warn_of_leaks(data_loader, valid_data_loader)
        loaders = {"train": data_loader, "valid": valid_data_loader}
        self.samples = {name: samples_of(loader) for name, loader in loaders.items() if loader is not None}
        self._hashes = {name: _hash(json.dumps(samples).encode()) for name, samples in self.samples.items()}
        datasets = {name: whole_dataset(loaders[name]) for name in self.samples}
        known = {_identity(dataset): dataset for dataset in datasets.values()}  # often both parts are of one
        fingerprints = {identity: fingerprint_of(dataset) for identity, dataset in known.items()}
        self.data = {name: fingerprints[_identity(dataset)] for name, dataset in datasets.items()}
        self.folders = {name: _folder(dataset) for name, dataset in datasets.items()}
        self.may_change = may_change

    def write(self, path: Path) -> None:
        """Writes which samples train and which validate, where the loaders tell; what `test.py` has noted stays."""
        noted = _read(path) if path.is_file() else {}
        parts = {name: samples for name, samples in self.samples.items() if samples is not None}
        write_whole(path, json.dumps(noted | {"data": self.data, "folders": self.folders, **parts}).encode())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: hashes."""
        return {"data": self.data, "samples": self._hashes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compares with the run's; UserError where its data or its parts are others."""
        own = self.state_dict()
        changed = [f"the data of {name}" for name, value in own["data"].items() if state["data"].get(name) != value]
        changed += [
            f"which samples {name}" for name, value in own["samples"].items() if state["samples"].get(name) != value
        ]
        if changed and not self.may_change:
            raise UserError(
                f"not what the run has trained on: {', '.join(changed)}; put it back, go on all the same with --allow, "
                "or start a new run from the weights: -r CHECKPOINT -c CONFIG"
            )


def check_test_part(loader: Any, section: Any, path: Path, allowed: bool) -> None:
    """Sees to it that a test is one, by the `split.json` of the run, and notes there what it is made on.

    UserError, or with `allowed` a warning, for samples that trained or validated the model, for images divided anew
    since, and for another test part than before from the same section of the config.
    """
    samples, dataset = samples_of(loader), whole_dataset(loader)
    if samples is None or not path.is_file():
        return
    split = _read(path)
    tested = {"data": fingerprint_of(dataset), "section": _hash(repr(section).encode()), "samples": samples}
    folder, folders = _folder(dataset), split.get("folders", {})
    same = [part for part in ("train", "valid") if part in split and split["data"].get(part) == tested["data"]]
    # train/CLASS/1.png and test/CLASS/1.png are two images; the folder may have been moved
    used = {index for part in same if Path(folders.get(part, "")).name == Path(folder).name for index in split[part]}
    before, problems = split.get("test", {}), []
    if count := len(used.intersection(samples)):
        problems.append(f"{count} of {len(samples)} test samples trained or validated this model")
    elif not same and folder and folder in folders.values():
        problems.append(f"{folder} has changed since the run began, and with it which samples are for testing")
    if before.get("section") == tested["section"] and before != tested:
        problems.append("the test part is another one than that of the last test")
    if problems and not allowed:
        raise UserError(f"{'; '.join(problems)}; put it back, or test all the same with --allow")
    for problem in problems:
        logging.getLogger("test").warning(problem)
    if dist.is_main():
        write_whole(path, json.dumps(split | {"test": tested}).encode())


def samples_of(loader: Any) -> list[int] | None:
    """The numbers of the samples that a loader draws from, in order; None where it does not tell."""
    dataset: Any = getattr(loader, "dataset", None)
    sampler = getattr(loader, "sampler", None)
    if getattr(loader, "batch_size", None) is None:
        batch_sampler = getattr(loader, "batch_sampler", None)
        sampler = batch_sampler if hasattr(batch_sampler, "indices") else getattr(batch_sampler, "sampler", None)
    indices: Any = getattr(sampler, "indices", sampler)
    if isinstance(sampler, DRAWING_FROM_ALL) and hasattr(dataset, "__len__"):
        indices = range(len(dataset))
    if not isinstance(indices, (list, tuple, range, np.ndarray, torch.Tensor)):
        return None
    indices = sorted(int(index) for index in indices)
    while isinstance(dataset, Subset):
        indices, dataset = [int(dataset.indices[index]) for index in indices], dataset.dataset
    return indices


def fingerprint_of(dataset: Any) -> str:
    """What a dataset says itself as `fingerprint`, a hash of tensors in memory or of the names and classes of files,
    else the number of samples.
    """
    if isinstance(said := getattr(dataset, "fingerprint", getattr(dataset, "_fingerprint", None)), str):
        return said  # the latter is that of Hugging Face's datasets
    if tensors := tensors_of(dataset):
        return _hash(*(part for tensor in tensors for part in (str(tensor.shape).encode(), _some_bytes(tensor))))
    files = getattr(dataset, "samples", None)
    if isinstance(files, list) and all(isinstance(file, tuple) and isinstance(file[0], str) for file in files):
        root = str(getattr(dataset, "root", ""))
        return _hash(*(f"{file[0].removeprefix(root)} {file[1:]}\n".encode() for file in files))
    return f"{type(dataset).__name__} of {len(dataset) if hasattr(dataset, '__len__') else 'unknown length'}"


def _identity(dataset: Any) -> tuple[int, ...]:
    """Another one for a dataset of other tensors, or of another object where it has none."""
    return tuple(map(id, tensors_of(dataset))) or (id(dataset),)


def _read(path: Path) -> dict[str, Any]:
    """What a `split.json` says; UserError where it is not one."""
    parts = {"data": dict, "folders": dict, "train": list, "valid": list, "test": dict}
    try:
        split = json.loads(path.read_bytes())
        if all(isinstance(split.get(part, kind()), kind) for part, kind in parts.items()):
            return split
    except (ValueError, AttributeError, RecursionError):
        pass
    raise UserError(f"{path}: damaged; delete it to go on without")


def _folder(dataset: Any) -> str:
    """Where the files of a dataset are, if it has files."""
    return str(getattr(dataset, "root", "")) if hasattr(dataset, "samples") else ""


def tensors_of(dataset: Any) -> list[torch.Tensor]:
    """The tensors that hold all of a dataset in memory; empty where it is elsewhere."""
    tensors = getattr(dataset, "tensors", ())
    fit = isinstance(tensors, (list, tuple)) and all(isinstance(tensor, torch.Tensor) for tensor in tensors)
    return list(tensors) if fit else []


def warn_of_leaks(data_loader: Any, valid_data_loader: Any) -> None:
    """Warns of validation samples that are exact copies of training samples, and of those drawn at random.

    The former is looked for in memory only, the latter only where this process loads: a file that it opens is not to be
    handed to workers.
    """
    logger, valid = logging.getLogger("train"), samples_of(valid_data_loader)
    dataset, train = whole_dataset(valid_data_loader), samples_of(data_loader)
    tensors, others = tensors_of(whole_dataset(data_loader)), tensors_of(dataset)
    if tensors and others and valid and train and len(train) <= MOST_ROWS:
        known = {row.tobytes() for row in _rows(tensors[0])[train]}
        copies = sum(row.tobytes() in known for row in _rows(others[0])[valid])
        if copies:
            logger.warning("%d of %d validation samples are exact copies of training samples", copies, len(valid))
    elif valid and getattr(valid_data_loader, "num_workers", 1) == 0 and _is_drawn(dataset, valid[0]):
        logger.warning("validation samples are drawn at random (augmented?); give the loader a valid_dataset without")


def _is_drawn(dataset: Any, index: int) -> bool:
    """Whether a sample is another one with other random numbers."""
    looks: list[list[torch.Tensor]] = [[], []]
    with kept_generators():
        for number, seen in enumerate(looks):
            seed_generators("split manifest", number)
            try:
                map_tensors(partial(_note, seen), dataset[index])
            except Exception:  # which the loader will tell of, with the sample
                return False
    return any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(*looks))


def _note(seen: list[torch.Tensor], tensor: torch.Tensor) -> torch.Tensor:
    seen.append(tensor)
    return tensor


def _rows(tensor: torch.Tensor) -> np.ndarray:
    """The bytes of each row: uint8 [rows, bytes]."""
    rows = tensor.detach().cpu().contiguous().view(len(tensor), -1)
    return rows.view(torch.uint8).numpy()


def _some_bytes(tensor: torch.Tensor) -> bytes:
    if tensor.dim() == 0 or not tensor.numel():
        return b""
    return _rows(tensor[:: max(1, tensor.nbytes // MOST_BYTES)]).tobytes()


def _hash(*parts: bytes) -> str:
    total = blake2b(digest_size=16)
    for part in parts:
        total.update(part)
    return total.hexdigest()
