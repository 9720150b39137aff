"""What is known of a run only once its data is built."""

import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from base import BaseDataLoader
from data_loader.data_loaders import DigitsDataLoader
from trainer.trainer import Trainer
from utils.clock import Clock
from utils.run_facts import run_facts

CLOCK = Clock.of(per_pass=5, accumulation=2, len_epoch=None, epochs=4, max_steps=None)


class Words(torch.utils.data.Dataset):
    classes = ("good", "bad")
    vocabulary = {"a": 0, "b": 1, "c": 2}
    input_shape = (12,)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"text": [index]}


def facts(loader, read_batch=Trainer.read_batch):
    return run_facts(loader, read_batch, CLOCK)


def test_data_in_memory_tells_its_classes_its_shape_and_its_size():
    value_of = facts(DigitsDataLoader(batch_size=32, validation_split=0.1))
    assert value_of("data.num_classes") == 10
    assert value_of("data.input_shape") == [1, 8, 8]
    assert value_of("data.n_samples") == 1437 - 143


def test_a_dataset_tells_by_its_attributes_also_from_within_subsets():
    for loader in (BaseDataLoader(Subset(Words(), [1, 2])), DataLoader(Words())):
        value_of = facts(loader)
        assert [value_of(f"data.{name}") for name in ("num_classes", "vocabulary_size")] == [2, 3]
        assert value_of("data.input_shape") == [12]


def test_a_loader_says_more_than_its_dataset():
    loader = BaseDataLoader(Words())
    loader.num_classes, loader.vocabulary_size = 5, 30_000
    assert (facts(loader)("data.num_classes"), facts(loader)("data.vocabulary_size")) == (5, 30_000)


def test_the_shape_of_an_input_is_looked_at_where_nothing_tells_it():
    dataset = TensorDataset(torch.zeros(6, 3, 4), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert facts(DataLoader(dataset, batch_size=2))("data.input_shape") == [3, 4]
    assert facts(BaseDataLoader(dataset, batch_size=2))("data.num_classes") == 3


def test_looking_at_a_batch_draws_nothing_that_is_drawn_later():
    loader = DigitsDataLoader(batch_size=32)
    before = torch.get_rng_state()
    facts(loader)("data.input_shape")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_clock_tells_the_steps():
    assert (facts(None)("run.steps_per_epoch"), facts(None)("run.total_steps")) == (3, 12)


@pytest.mark.parametrize("name", ["data.num_classes", "data.vocabulary_size", "data.input_shape", "run.total_steps"])
def test_what_the_data_does_not_say_is_a_lookup_error_that_says_what_to_do(name):
    loader = BaseDataLoader(TensorDataset(torch.zeros(4), torch.zeros(4)), batch_size=2)
    with pytest.raises(LookupError, match=r"does not say; give it an attribute '\w+', or write the value here"):
        run_facts(loader, None)(name)
