"""What leaks from one part of the data into another."""

import logging
from functools import partial
from typing import Any

import torch

from utils.datasets import numbers_of, rows_of, samples_of, tensors_of, whole_dataset
from utils.device import map_tensors
from utils.seed import kept_generators, seed_generators

MOST_ROWS = 200_000  # among which copies are looked for


def warn_of_leaks(data_loader: Any, valid_data_loader: Any) -> None:
    """Warns of validation samples that are exact copies of training samples, and of those drawn at random.

    The former is looked for in memory only, the latter only where this process loads: a file that it opens is not to be
    handed to workers.
    """
    logger, valid = logging.getLogger("train"), samples_of(valid_data_loader)
    dataset, train = whole_dataset(valid_data_loader), samples_of(data_loader)
    tensors, others = tensors_of(whole_dataset(data_loader)), tensors_of(dataset)
    if valid is None or not len(valid):
        return
    if tensors and others and train is not None and len(train) <= MOST_ROWS:
        known = {row.tobytes() for row in rows_of(tensors[0])[numbers_of(train)]}
        copies = sum(row.tobytes() in known for row in rows_of(others[0])[numbers_of(valid)])
        if copies:
            logger.warning("%d of %d validation samples are exact copies of training samples", copies, len(valid))
    elif getattr(valid_data_loader, "num_workers", 1) == 0 and _is_drawn(dataset, int(valid[0])):
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
