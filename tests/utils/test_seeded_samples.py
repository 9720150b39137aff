import random
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from utils.batch_order import places
from utils.seeded_samples import loader_of_places, single_threaded


class Noisy(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.tensor([index, torch.rand(()).item(), random.random(), np.random.rand()], dtype=torch.float64)


class NoisyMany(Noisy):
    def __getitems__(self, indices):
        assert len(indices) > 0
        return [row + torch.tensor([index, 0.0]) for index, row in zip(indices, torch.rand(len(indices), 1))]


def samples(dataset, start: int, count: int, batch_size: int = 4, seed_all: bool = True, rank=0, world=1, **options):
    """The samples of some batches, one row each."""
    loader = DataLoader(dataset, batch_size, shuffle=True, **options)
    seeded = loader_of_places(loader, seed_all)
    seeded.batch_sampler.order = islice(places(loader, 0, start, rank, world), count)
    return [row.tolist() for batch in seeded for row in batch]


def test_the_randomness_of_a_sample_comes_from_its_pass_and_index_not_from_its_batch():
    assert samples(Noisy(), 0, 3) == samples(Noisy(), 0, 2, batch_size=6)
    assert samples(Noisy(), 2, 1) == samples(Noisy(), 0, 3)[8:]
    assert sorted(samples(Noisy(), 0, 3)) != sorted(samples(Noisy(), 3, 3))


def test_workers_and_ranks_make_the_same_samples_as_one_process():
    whole = samples(Noisy(), 0, 3)
    assert samples(Noisy(), 0, 3, num_workers=2) == whole
    shares = [samples(Noisy(), 0, 1, rank=rank, world=3) for rank in range(3)]
    assert [row for share in shares for row in share] == whole[:4]


def test_without_seed_all_torch_alone_is_seeded():
    first, second = (samples(Noisy(), 0, 3, seed_all=False) for _ in range(2))
    assert [row[:2] for row in first] == [row[:2] for row in second]
    random.seed(0)
    expected = [random.random() for _ in range(12)]
    random.seed(0)
    assert [row[2] for row in samples(Noisy(), 0, 3, seed_all=False)] == expected


def test_a_dataset_that_makes_many_samples_at_once_is_asked_once_a_batch_also_within_a_subset():
    expected = samples(NoisyMany(), 0, 3)
    torch.rand(3)
    assert samples(NoisyMany(), 0, 3) == expected
    assert samples(NoisyMany(), 1, 2) == expected[4:]
    inside = samples(Subset(NoisyMany(), range(12)), 0, 3)
    assert inside == expected


def test_a_subset_of_a_plain_dataset_is_seeded_sample_by_sample():
    subset = Subset(Noisy(), range(11, -1, -1))
    assert samples(subset, 0, 3) == samples(subset, 0, 2, batch_size=6)


def test_asking_for_batches_draws_nothing_from_the_callers_generators():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    loader = loader_of_places(DataLoader(Noisy(), 4), seed_all=True)
    loader.batch_sampler.order = []
    assert list(loader) == []
    assert torch.equal(torch.rand(3), expected)


def test_batches_are_made_with_one_thread_and_the_threads_come_back_even_after_an_error():
    def batches():
        yield torch.get_num_threads()
        raise KeyError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = single_threaded(batches())
        assert next(made) == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError):
            next(made)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
