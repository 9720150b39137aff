"""Datasets and samplers of the tests, in a module of their own: worker processes that are spawned import it by name."""

import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler


class Noisy(Dataset):
    """Samples [index, noise of torch, of random, of NumPy]."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.tensor([index, torch.rand(()).item(), random.random(), np.random.rand()], dtype=torch.float64)


class NoisyMany(Noisy):
    """The same, made for a whole batch at once."""

    def __getitems__(self, indices):
        noise = [torch.rand(len(indices)).tolist(), [random.random() for _ in indices], np.random.rand(len(indices))]
        return [torch.tensor(row, dtype=torch.float64) for row in zip(indices, *noise)]


class Pairs(Sampler):
    """A batch sampler: neighbours, in an order drawn from torch's global generator."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self):
        return self.n // 2

    def __iter__(self):
        return ([2 * pair, 2 * pair + 1] for pair in torch.randperm(self.n // 2).tolist())


class Touching(Dataset):
    """Leaves an empty file for each sample that was loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self):
        return 50

    def __getitem__(self, index):
        (self.folder / str(index)).touch()
        return index


class Processes(Dataset):
    """Samples (the process that loads, how often `mark_process` ran in it)."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return os.getpid(), len(marks)


class Slow(Processes):
    def __getitem__(self, index):
        time.sleep(3)


marks: list[int] = []


def mark_process(worker: int) -> None:
    marks.append(worker)


def as_list(samples: list) -> list:
    """A collate_fn."""
    return [sample.tolist() for sample in samples]
