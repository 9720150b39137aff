"""What a dataset says of itself: the whole behind a part, the class of each sample."""

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
