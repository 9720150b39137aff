from itertools import chain, islice

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from utils.batch_order import order, places, share

N = 11


class Backwards(Sampler):
    def __len__(self):
        return N

    def __iter__(self):
        return iter(range(N - 1, -1, -1))


class RandomPairs(Sampler):
    """Pairs of neighbours in random order, from the global generator."""

    def __len__(self):
        return N // 2

    def __iter__(self):
        return ([2 * i, 2 * i + 1] for i in torch.randperm(N // 2).tolist())


LOADERS = {
    "in order": {"batch_size": 4},
    "shuffled": {"batch_size": 4, "shuffle": True},
    "drop_last": {"batch_size": 4, "shuffle": True, "drop_last": True},
    "list": {"batch_size": 2, "sampler": [5, 3, 8, 1, 9]},
    "subset": {"batch_size": 2, "sampler": SubsetRandomSampler([5, 3, 8, 1, 9])},
    "with replacement": {"batch_size": 4, "sampler": RandomSampler(range(N), replacement=True, num_samples=17)},
    "custom sampler": {"batch_size": 4, "sampler": Backwards()},
    "batch sampler": {"batch_sampler": RandomPairs()},
    "torch's batch sampler": {"batch_sampler": BatchSampler(RandomSampler(range(N)), 3, drop_last=True)},
}


def loader(**options):
    return DataLoader(list(range(N)), **options)


def stream(loader, start=0, seed=0, rank=0, world=1):
    for place in places(loader, seed, start, rank, world):
        yield place.seed, place.number, place.indices.tolist(), place.mine


def flat(lists) -> list[int]:
    return list(chain.from_iterable(lists))


def test_shares_part_the_samples_and_rank_0_is_never_empty():
    for n in range(20):
        for world in range(1, 9):
            shares = [range(n)[share(n, rank, world)] for rank in range(world)]
            assert flat(shares) == list(range(n))
            assert len(shares[0]) > 0 or n == 0


def test_a_share_is_never_larger_than_another_by_more_than_one():
    for n in range(50):
        for world in range(1, 9):
            sizes = [len(range(n)[share(n, rank, world)]) for rank in range(world)]
            assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("options", LOADERS.values(), ids=LOADERS)
def test_entering_at_a_batch_equals_skipping_to_it(options):
    data = loader(**options)
    whole = list(islice(stream(data), 2 * len(data) + 3))
    for start in range(2 * len(data) + 2):
        torch.rand(3)  # what was drawn before must not count
        assert next(stream(data, start)) == whole[start]
    assert list(islice(stream(data, 1), len(whole) - 1)) == whole[1:]


def test_each_pass_visits_every_sample_once_in_an_order_of_its_own():
    data = loader(batch_size=4, shuffle=True)
    batches = [indices for _, _, indices, _ in islice(stream(data), 2 * len(data))]
    first, second = flat(batches[:3]), flat(batches[3:])
    assert sorted(first) == sorted(second) == list(range(N))
    assert first != second
    assert first != flat(indices for _, _, indices, _ in islice(stream(data, seed=1), 3))


def test_drop_last_leaves_out_the_short_batch():
    data = loader(batch_size=4, drop_last=True)
    assert [indices for _, _, indices, _ in islice(stream(data), 3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


def test_the_ranks_have_the_same_batches_and_part_them():
    data = loader(batch_size=4, shuffle=True)
    ranks = [list(islice(stream(data, rank=rank, world=3), 6)) for rank in range(3)]
    for at_once in zip(*ranks):
        assert len({repr(place[:3]) for place in at_once}) == 1
        indices = at_once[0][2]
        assert flat(indices[mine] for _, _, _, mine in at_once) == indices


def test_a_rank_without_a_sample_borrows_one():
    batches = list(islice(places(loader(batch_size=N - 1), 0, 0, rank=1, world=2), 2))
    assert [place.mine for place in batches] == [slice(5, 10), slice(1, 1)]
    assert [place.mine_or_one for place in batches] == [slice(5, 10), slice(0, 1)]


def test_a_loader_without_batches_is_refused():
    with pytest.raises(ValueError, match="no batches"):
        next(places(loader(batch_size=N + 1, drop_last=True), 0, 0, 0, 1))


def test_the_order_comes_from_the_seed_alone_though_the_sampler_has_a_generator():
    sampler = WeightedRandomSampler([1.0] * N, 20, generator=torch.Generator().manual_seed(0))
    assert order(sampler, seed=3).tolist() == order(sampler, seed=3).tolist()


def test_a_sampler_that_derives_from_one_of_torch_is_asked_for_its_own_order():
    class Odd(SequentialSampler):
        def __len__(self):
            return 3

        def __iter__(self):
            return iter([1, 3, 5])

    assert order(Odd(range(6)), seed=0).tolist() == [1, 3, 5]
