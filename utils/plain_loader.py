"""Any iterable with a length, read like a `BaseDataLoader`."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from utils import dist
from utils.batch_order import Portion, share
from utils.device import count_samples, map_tensors
from utils.errors import UserError
from utils.seed import seed_generators, seed_own_generator
from utils.seeded_samples import WorkerStart


class PlainLoader:
    """The portions of a plain `torch.utils.data.DataLoader`, or of any iterable with a length.

    The global generators are seeded before each batch is fetched, so that its order and augmentation are functions
    of the position; a position within a pass is reached by fetching and dropping the batches before it.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.seed = 0
        if isinstance(loader, DataLoader):
            loader.worker_init_fn = WorkerStart(loader.worker_init_fn)

    def __len__(self) -> int:
        return len(self.loader)

    def portions(self, start: int = 0) -> Iterator[Portion]:
        """This process's share of every batch from number `start` on, without end."""
        if len(self) == 0:
            raise ValueError("the data loader has no batches")
        pass_number, skipped = divmod(start, len(self))
        if skipped:
            logging.getLogger("trainer").info(
                "skipping %d batches of a loader that cannot be entered by number", skipped
            )
        while True:
            for number, portion in enumerate(self._one_pass("pass", pass_number)):
                if number >= skipped:
                    yield portion
            pass_number, skipped = pass_number + 1, 0

    def one_pass(self) -> Iterator[Portion]:
        """One pass, the same each time, without the empty shares."""
        return (portion for portion in self._one_pass("one pass", 0) if portion.n > 0)

    def to(self, device: torch.device) -> "PlainLoader":
        """Nothing of it can be kept on the device."""
        return self

    def _one_pass(self, *place: int | str) -> Iterator[Portion]:
        seed_generators(self.seed, *place)
        for drawing in (self.loader, getattr(self.loader, "sampler", None)):
            seed_own_generator(drawing, self.seed, *place)
        batches = iter(self.loader)
        for number in range(len(self)):
            seed_generators(self.seed, *place, number)
            batch = next(batches, None)
            if batch is None and number == 0:
                raise UserError("the data loader gave no batches in a new pass; it must be iterable again and again")
            if batch is None:
                return
            yield self._mine(batch)

    def _mine(self, batch: Any) -> Portion:
        n_total = count_samples(batch)
        mine = share(n_total, dist.rank(), dist.world_size())
        n = mine.stop - mine.start
        if n < n_total:
            batch = map_tensors(lambda tensor: tensor[mine] if n else tensor[:1], batch)
        return Portion(batch, n, n_total)


def as_portions(loader: Any) -> Any:
    """The loader itself if its batches have numbers, else a `PlainLoader` around it."""
    return loader if hasattr(loader, "one_pass") else PlainLoader(loader)
