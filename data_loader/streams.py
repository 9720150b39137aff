"""Batches from what can only be read from the front: `StreamDataLoader`."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from utils import dist
from utils.batch_order import Portion, share
from utils.cores import loader_processes
from utils.errors import UserError
from utils.seed import derive_seed, seed_cpu_generators
from utils.seeded_samples import WorkerStart


class StreamDataLoader:
    """Batches of an `IterableDataset`, or of anything that can be iterated again and again; at its end it begins anew.

    Batch i has the samples i * batch_size, ... of the stream at any number of workers and processes: each of them
    reads all of it, and makes only its own samples. A stream with a length and a method `read_from(n)`, an iterator
    from sample n on, is entered anywhere; of any other, a resume reads again what it has seen, and says so.

    :param batches: how many make an epoch
    :param transform: sample -> sample, for the samples of this process only; draws are seeded for each sample
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        batches: int,
        num_workers: int | Literal["auto"] = 0,
        transform: Callable[[Any], Any] | None = None,
        collate_fn: Callable = default_collate,
    ) -> None:
        self.dataset, self.batch_size, self.batches = dataset, batch_size, batches
        self.num_workers = loader_processes(num_workers)
        self.transform, self.collate_fn = transform, collate_fn
        self.seed = 0
        self.n_samples = batches * batch_size

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Any]:
        return (portion.batch for portion in self.one_pass())

    def portions(self, start: int = 0) -> Iterator[Portion]:
        """This process's share of every batch from number `start` on, without end."""
        if start and not _has_places(self.dataset):
            text = "reading %d samples again: a %s cannot be entered by number (it has no read_from and length)"
            logging.getLogger("trainer").warning(text, start * self.batch_size, type(self.dataset).__name__)
        mine = share(self.batch_size, dist.rank(), dist.world_size())
        batches = _Batches(self, start, mine if mine.stop > mine.start else slice(0, 1))
        start_worker = WorkerStart(None)
        loader = DataLoader(batches, batch_size=None, num_workers=self.num_workers, worker_init_fn=start_worker)
        for batch in loader:
            yield Portion(batch, mine.stop - mine.start, self.batch_size)

    def one_pass(self) -> Iterator[Portion]:
        """The first batches of the stream: what an evaluation wants."""
        return (portion for portion in islice(self.portions(0), self.batches) if portion.n > 0)

    def to(self, device: torch.device) -> "StreamDataLoader":
        """Nothing of it can be kept on the device."""
        return self


class _Batches(IterableDataset):
    """What one worker makes: every so many batches, and of each the share of this process."""

    def __init__(self, loader: StreamDataLoader, start: int, mine: slice) -> None:
        self.loader, self.start, self.mine = loader, start, mine

    def __iter__(self) -> Iterator[Any]:
        info, loader = get_worker_info(), self.loader
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        samples = read_from(loader.dataset, self.start * loader.batch_size)
        number = self.start
        while batch := list(islice(samples, loader.batch_size)):
            if (number - self.start) % workers == worker:
                first = number * loader.batch_size + self.mine.start
                yield loader.collate_fn([self._made(first + k, sample) for k, sample in enumerate(batch[self.mine])])
            number += 1

    def _made(self, number: int, sample: Any) -> Any:
        if self.loader.transform is None:
            return sample
        seed_cpu_generators(derive_seed(self.loader.seed, "stream"), number)
        return self.loader.transform(sample)


def read_from(dataset: Any, n: int) -> Iterator[Any]:
    """The samples of a stream that is repeated without end, from number n on."""
    passes = _passes(dataset)
    if not _has_places(dataset):
        return islice(passes, n, None)
    return chain(dataset.read_from(n % len(dataset)), passes)


def _passes(dataset: Any) -> Iterator[Any]:
    while True:
        is_empty = True
        for sample in dataset:
            is_empty = False
            yield sample
        if is_empty:
            raise UserError(
                f"a {type(dataset).__name__} gave no samples in a new pass; it must be iterable again and again"
            )


def _has_places(dataset: Any) -> bool:
    return hasattr(dataset, "read_from") and hasattr(dataset, "__len__")
