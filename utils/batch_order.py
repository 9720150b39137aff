"""Which samples make batch i: a function of (seed, i), so that any position can be entered directly."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import RandomSampler, SequentialSampler, SubsetRandomSampler

from utils.seed import derive_seed, generator, seed_generators, seed_own_generator


class Place(NamedTuple):
    """One batch of a stream: the seed of its pass, its number and the place of its first sample in it, its samples."""

    seed: int
    number: int
    first: int
    indices: Tensor  # int64 [n]
    n: int  # samples of the whole batch
    mine: slice  # this rank's share of them

    @property
    def mine_or_one(self) -> slice:
        """This rank's share, or one borrowed sample where it is empty."""
        return self.mine if self.mine.stop > self.mine.start else slice(0, 1)


class Portion(NamedTuple):
    """A rank's portion of a batch: what to compute with, and how many samples it and the whole batch have.

    Where a batch has fewer samples than there are ranks, `batch` is borrowed (never empty) and `n` is 0.
    """

    batch: Any
    n: int
    n_total: int


def share(n: int, rank: int, world: int) -> slice:
    """Rank `rank`'s slice of n samples; the slices differ by at most one sample and rank 0 has one first."""
    return slice(0, n) if world == 1 else slice(-(-n * rank // world), -(-n * (rank + 1) // world))


def order(sampler: Any, seed: int) -> Tensor:
    """The indices that one pass of a sampler visits, drawn from `seed` alone: int64 [samples]."""
    kind = type(sampler)  # not isinstance: a class that derives from one of these has an order of its own
    if kind is SequentialSampler:
        return torch.arange(len(sampler))
    if kind is RandomSampler and not sampler.replacement and sampler.num_samples == len(sampler.data_source):
        return torch.randperm(len(sampler), generator=generator(seed))
    if kind is SubsetRandomSampler:
        indices = torch.as_tensor(sampler.indices)
        return indices[torch.randperm(len(indices), generator=generator(seed))]
    if kind is not list:
        seed_generators(seed)
        seed_own_generator(sampler, seed)
    return torch.as_tensor(list(sampler), dtype=torch.int64)


def batches_of_pass(loader: Any, seed: int) -> tuple[Tensor, ...]:
    """The index tensors of one pass over a DataLoader, by its batch size or by a batch sampler of the user's own."""
    if loader.batch_size is None:
        seed_generators(seed)
        seed_own_generator(loader.batch_sampler, seed)
        seed_own_generator(getattr(loader.batch_sampler, "sampler", None), seed)
        return tuple(torch.as_tensor(batch, dtype=torch.int64) for batch in loader.batch_sampler)
    batches = order(loader.sampler, seed).split(loader.batch_size)
    return batches[: len(loader)]  # without the short last one where drop_last says so


def places(loader: Any, seed: int, start: int, rank: int, world: int) -> Iterator[Place]:
    """The batches from number `start` on, without end; pass p is shuffled by (seed, p)."""
    per_pass = len(loader)
    if per_pass == 0:
        raise ValueError("the data loader has no batches: too few samples for batch_size with drop_last, or none")
    pass_number, first = divmod(start, per_pass)
    while True:
        yield from places_of_pass(loader, derive_seed(seed, "pass", pass_number), first, rank, world)
        pass_number, first = pass_number + 1, 0


def places_of_pass(loader: Any, seed: int, first: int, rank: int, world: int) -> Iterator[Place]:
    """The batches of one pass from its number `first` on; everything in it is drawn from `seed`."""
    batches = batches_of_pass(loader, seed)
    start = sum(map(len, batches[:first]))
    for number in range(first, len(batches)):
        indices = batches[number]
        n = indices.shape[0]
        yield Place(seed, number, start, indices, n, share(n, rank, world))
        start += n
