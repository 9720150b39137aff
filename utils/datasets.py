"""What data says of itself: the whole behind a part, its samples, their classes and identities, a fingerprint."""

import os
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import RandomSampler, SequentialSampler, Subset, WeightedRandomSampler

MOST_BYTES = 2**26  # of an array that are looked at; of a larger one some rows
DRAWING_FROM_ALL = (RandomSampler, SequentialSampler, WeightedRandomSampler)

Samples = range | np.ndarray  # their numbers in order, int64


def whole_dataset(loader: Any) -> Any:
    """The dataset behind a loader, without the subsets around it; None where it has none."""
    dataset = getattr(loader, "dataset", None)
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def length_of(dataset: Any) -> int | None:
    """The number of samples; None where the dataset cannot tell, also where it has a `__len__` that raises."""
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):
        return None


def files_of(dataset: Any) -> list[tuple[Any, ...]]:
    """The (path, class, ...) of each sample of a dataset such as torchvision's ImageFolder; empty for all others."""
    files: Any = getattr(dataset, "samples", None)
    fit = isinstance(files, list) and all(isinstance(file, tuple) and isinstance(file[0], str) for file in files)
    return files if fit else []


def identities_of(dataset: Any) -> list[str] | None:
    """A text for each sample that is the same wherever and in whatever order the dataset is; None where it has none.

    What the dataset says itself as `identities`, one a sample, else hashes of the files' sizes and names from `root` on
    (50,000 files take a third of a second).
    """
    said = getattr(dataset, "identities", None)
    if isinstance(said, list) and all(isinstance(text, str) for text in said) and len(said) == length_of(dataset):
        return said
    root = os.fspath(getattr(dataset, "root", "") or "")
    try:
        return [_identity(file[0], root) for file in files_of(dataset)] or None
    except (OSError, ValueError):  # the texts are no paths, or not from here on
        return None


def _identity(file: str, root: str) -> str:
    name = (os.path.relpath(file, root) if root else file).replace(os.sep, "/")
    return blake2b(f"{name} {os.stat(file).st_size}".encode(), digest_size=8).hexdigest()


def classes_of(loader: Any) -> list[str] | None:
    """The names of the classes in their order, as a loader or its dataset says them."""
    said = getattr(loader, "classes", None) or getattr(whole_dataset(loader), "classes", None)
    return [str(name) for name in said] if isinstance(said, (list, tuple)) and said else None


def labels_of(dataset: Any) -> Tensor | None:
    """The labels, int64 [samples], from `targets`, `labels` or the second of `tensors`; None where there are none."""
    if isinstance(dataset, Subset):
        labels = labels_of(dataset.dataset)
        return None if labels is None else labels[torch.as_tensor(dataset.indices)]
    tensors: Any = getattr(dataset, "tensors", None) or ()
    found = tensors[1] if len(tensors) > 1 else getattr(dataset, "targets", getattr(dataset, "labels", None))
    labels = torch.as_tensor(found) if isinstance(found, (list, Tensor)) else None
    if labels is None or labels.dim() != 1 or labels.is_floating_point() or not len(labels):
        return None
    return labels


def must_have_labels(dataset: Any, wanted_by: str) -> Tensor:
    """As `labels_of`; raises ValueError where there are none."""
    labels = labels_of(dataset)
    if labels is None:
        raise ValueError(f"{wanted_by} goes by the labels; give the dataset an attribute 'targets' with them")
    return labels


def tensors_of(dataset: Any) -> list[torch.Tensor]:
    """The tensors that hold all of a dataset in memory; empty where it is elsewhere."""
    tensors = getattr(dataset, "tensors", ())
    fit = isinstance(tensors, (list, tuple)) and all(isinstance(tensor, torch.Tensor) for tensor in tensors)
    return list(tensors) if fit else []


def samples_of(loader: Any) -> Samples | None:
    """The numbers of the samples that a loader draws from, in order; None where it does not tell."""
    dataset: Any = getattr(loader, "dataset", None)
    sampler = getattr(loader, "sampler", None)
    if getattr(loader, "batch_size", None) is None:
        batch_sampler = getattr(loader, "batch_sampler", None)
        sampler = batch_sampler if hasattr(batch_sampler, "indices") else getattr(batch_sampler, "sampler", None)
    indices: Any = getattr(sampler, "indices", sampler)
    if isinstance(sampler, DRAWING_FROM_ALL) and (length := length_of(dataset)) is not None:
        indices = range(length)
    if not isinstance(indices, (list, tuple, range, np.ndarray, torch.Tensor)):
        return None
    while isinstance(dataset, Subset):
        indices, dataset = numbers_of(dataset.indices)[numbers_of(indices)], dataset.dataset
    if isinstance(indices, range) and indices.step == 1:
        return indices
    numbers = np.sort(numbers_of(indices))
    first = int(numbers[0]) if len(numbers) else 0
    consecutive = range(first, first + len(numbers))
    return consecutive if np.array_equal(numbers, numbers_of(consecutive)) else numbers


def fingerprint_of(dataset: Any, identities: list[str] | None = None) -> str | None:
    """What a dataset says itself as `fingerprint`, a hash of tensors in memory or of its `identities`; else None."""
    if isinstance(said := getattr(dataset, "fingerprint", None), str):
        return said
    if tensors := tensors_of(dataset):
        return hash_of(*(part for tensor in tensors for part in (str(tensor.shape).encode(), _some_bytes(tensor))))
    if identities:
        classes = [file[1:] for file in files_of(dataset)]
        return hash_of(*(text.encode() for text in identities), repr(classes).encode())
    return None


def numbers_of(indices: Any) -> np.ndarray:
    """As int64 [n]."""
    if isinstance(indices, range):
        return np.arange(indices.start, indices.stop, indices.step, dtype=np.int64)
    return np.asarray(indices, dtype=np.int64)


def rows_of(tensor: torch.Tensor) -> np.ndarray:
    """The bytes of each row: uint8 [rows, bytes]."""
    rows = tensor.detach().cpu().contiguous().view(len(tensor), -1)
    return rows.view(torch.uint8).numpy()


def _some_bytes(tensor: torch.Tensor) -> bytes:
    if tensor.dim() == 0 or not tensor.numel():
        return b""
    return rows_of(tensor[:: max(1, tensor.nbytes // MOST_BYTES)]).tobytes()


def hash_of(*parts: bytes) -> str:
    total = blake2b(digest_size=16)
    for part in parts:
        total.update(part)
    return total.hexdigest()
