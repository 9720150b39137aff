import random
from itertools import chain, islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from utils.plain_loader import PlainLoader, as_portions


class Noisy(Dataset):
    """Samples with an augmentation from every global generator."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor([index, torch.rand(()).item(), random.random(), np.random.rand()]), index


def stream(loader, start: int, count: int, seed: int = 0):
    plain = PlainLoader(loader)
    plain.seed = seed
    return [[part.tolist() for part in batch] for batch, _, _ in islice(plain.portions(start), count)]


def shuffled(**options):
    return DataLoader(Noisy(), batch_size=4, shuffle=True, **options)


def test_entering_at_a_batch_equals_skipping_to_it_augmentation_and_all():
    whole = stream(shuffled(), 0, 8)
    for start in range(7):
        torch.rand(3), random.random()  # what was drawn before must not count
        assert stream(shuffled(), start, 8 - start) == whole[start:]


def test_what_the_training_draws_between_two_batches_does_not_change_them():
    batches, portions = [], PlainLoader(shuffled()).portions()
    for batch, _, _ in islice(portions, 6):
        batches.append([part.tolist() for part in batch])
        torch.rand(5), random.random(), np.random.rand()
    assert batches == stream(shuffled(), 0, 6)


def test_each_pass_has_its_own_order_and_augmentation_and_so_has_each_seed():
    batches = stream(shuffled(), 0, 6)
    indices = list(chain.from_iterable(indices for _, indices in batches))
    first, second = indices[:10], indices[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert stream(shuffled(), 0, 3, seed=1) != batches[:3]


def test_an_evaluation_sees_the_same_pass_each_time():
    plain = PlainLoader(shuffled())
    first, second = ([batch[0].tolist() for batch, _, _ in plain.one_pass()] for _ in range(2))
    assert first == second
    assert len(first) == 3


def test_a_loader_with_a_generator_of_its_own_is_entered_exactly_too():
    def loader():
        return shuffled(generator=torch.Generator().manual_seed(0))

    assert stream(loader(), 4, 3) == stream(loader(), 0, 7)[4:]


def test_an_evaluation_is_the_same_each_time_though_the_loader_has_a_generator():
    plain = PlainLoader(shuffled(generator=torch.Generator().manual_seed(0)))
    first, second = ([batch[1].tolist() for batch, _, _ in plain.one_pass()] for _ in range(2))
    assert first == second


def test_any_iterable_with_a_length_will_do():
    batches = [torch.arange(3), torch.arange(2)]
    portions = list(islice(PlainLoader(batches).portions(1), 3))
    assert [portion.batch.tolist() for portion in portions] == [[0, 1], [0, 1, 2], [0, 1]]
    assert [(portion.n, portion.n_total) for portion in portions] == [(2, 2), (3, 3), (2, 2)]


def test_each_rank_gets_its_share_or_borrows_a_sample(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    plain = PlainLoader([{"x": torch.arange(5), "y": torch.arange(5) * 2}, {"x": torch.arange(1)}])
    shares = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        shares.append(list(islice(plain.portions(), 2)))
    assert [[portion.batch["x"].tolist() for portion in share] for share in shares] == [[[0, 1, 2], [0]], [[3, 4], [0]]]
    assert [[portion[1:] for portion in share] for share in shares] == [[(3, 5), (1, 1)], [(2, 5), (0, 1)]]
    assert shares[1][0].batch["y"].tolist() == [6, 8]
    assert [portion.n for portion in plain.one_pass()] == [2]


def test_a_loader_without_batches_is_refused_in_words():
    with pytest.raises(ValueError, match="no batches"):
        next(PlainLoader([]).portions())


def test_a_loader_that_knows_its_batches_by_number_is_taken_as_it_is():
    plain = PlainLoader([1])
    assert as_portions(plain) is plain
    assert isinstance(as_portions([1]), PlainLoader)
