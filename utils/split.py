"""Which samples train and which validate."""

import numpy as np
from torch import Tensor


def split_indices(n: int, split: float, seed: int, labels: Tensor | None = None) -> tuple[list[int], list[int]]:
    """The indices of the training and of the validation part of n samples; ValueError where one of them is empty.

    :param split: the part (0.1) or the number (500) that validates
    :param labels: the class of each sample: each part has the classes in their proportions
    """
    count = split if isinstance(split, int) else int(n * split)
    if not 0 < count < n:
        raise ValueError(f"validation_split {split} leaves {count} of {n} samples for validation")
    order = np.random.RandomState(seed).permutation(n)  # the old template's choice
    if labels is not None:
        order = _in_proportion(order, labels)
    return order[count:].tolist(), order[:count].tolist()


def _in_proportion(order: np.ndarray, labels: Tensor) -> np.ndarray:
    """The order changed so that any first part of it has the classes in their proportions."""
    classes = labels.cpu().numpy()[order]
    share = np.empty(len(order))
    for label in np.unique(classes):
        places = (classes == label).nonzero()[0]
        share[places] = (np.arange(len(places)) + 0.5) / len(places)
    return order[np.argsort(share, kind="stable")]
