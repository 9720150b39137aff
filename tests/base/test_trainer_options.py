"""TrainerOptions: what the `trainer` section may hold."""

import math
from dataclasses import dataclass

import pytest

from base.trainer_options import TrainerOptions

COUNTS = ["epochs", "max_steps", "len_epoch", "accumulation", "log_step", "save_period", "save_steps", "keep_last"]


@dataclass
class MyOptions(TrainerOptions):
    alpha: float = 0.5


def test_options_are_read_from_a_section_and_foreign_keys_are_left_alone():
    options = TrainerOptions.of({"epochs": 3, "type": "Trainer", "my_own": 1})
    assert options.epochs == 3
    assert options.save_period == 1
    assert not hasattr(options, "my_own")


def test_a_class_that_extends_the_options_reads_its_own_as_well():
    options = MyOptions.of({"epochs": 3, "alpha": 0.1})
    assert (options.epochs, options.alpha) == (3, 0.1)
    assert options.problems() == []


@pytest.mark.parametrize("section", [{"epochs": 1}, {"max_steps": 1}, {"epochs": 1, "threads": 2, "ema_decay": 0.999}])
def test_options_that_can_be_have_no_problem(section):
    assert TrainerOptions.of(section).problems() == []


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        *[(name, 0, "must be 1 or more") for name in COUNTS],
        ("accumulation", -2, "must be 1 or more"),
        ("clip_grad_norm", 0, "must be above 0"),
        ("save_minutes", -1.5, "must be above 0"),
        ("ema_decay", 1.0, "must be at least 0 and below 1"),
        ("ema_decay", -0.1, "must be at least 0 and below 1"),
        ("threads", 0, 'must be 1 to 1024, or "auto"'),
    ],
)
def test_a_value_that_cannot_be_is_one_problem_of_its_option(name, value, text):
    assert TrainerOptions.of({"epochs": 3, name: value}).problems() == [(name, text)]


def test_a_run_without_an_end_is_a_problem():
    assert TrainerOptions().problems() == [("epochs", "how long? Write epochs or max_steps")]


def test_all_problems_come_at_once():
    assert len(TrainerOptions.of({"epochs": 0, "clip_grad_norm": 0, "threads": 0}).problems()) == 3


@pytest.mark.parametrize(("early_stop", "patience"), [(None, math.inf), (0, math.inf), (-1, math.inf), (5, 5)])
def test_no_early_stop_or_zero_is_patience_without_end(early_stop, patience):
    assert TrainerOptions(epochs=1, early_stop=early_stop).patience == patience
