"""What a dataset says of itself: the whole behind a part, its length, the class and the identity of each sample."""

import os
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset


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
