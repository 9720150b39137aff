"""The same few batches over and over, or the first of each pass."""

from itertools import islice

import pytest
import torch

from data_loader.data_loaders import DigitsDataLoader
from utils.few_batches import FirstBatches, SameBatches


def first_rows(portions) -> list[torch.Tensor]:
    return [portion.batch[0].flatten() for portion in portions]


def test_the_same_batches_come_over_and_over_augmented_alike_from_any_start():
    loader = DigitsDataLoader(batch_size=32, validation_split=0.1)
    plain = first_rows(islice(loader.portions(0), 3))
    few = first_rows(islice(SameBatches(loader, 3).portions(2), 5))
    for found, number in zip(few, (2, 0, 1, 2, 0)):
        assert torch.equal(found, plain[number])
    for found, expected in zip(first_rows(SameBatches(loader, 3).one_pass()), plain):
        assert torch.equal(found, expected)


def test_more_batches_than_a_pass_has_are_the_pass():
    loader = DigitsDataLoader(batch_size=500, shuffle=False, augment=False)
    assert len(list(SameBatches(loader, 99).one_pass())) == len(loader) == 3


@pytest.mark.parametrize("n", [1, 2, 99])
def test_the_first_batches_of_a_pass_are_those_of_the_loader(n):
    loader = DigitsDataLoader(batch_size=500, shuffle=False, augment=False)
    expected = first_rows(loader.one_pass())[:n]
    found = first_rows(FirstBatches(loader, n).one_pass())
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))
