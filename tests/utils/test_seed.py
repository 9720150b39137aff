import random

import numpy as np
import pytest
import torch

from utils.seed import derive_seed, generator, kept_generators, seed_generators


def draws() -> tuple[float, float, float]:
    return torch.rand(()).item(), random.random(), float(np.random.rand())


def test_the_seed_of_a_place_never_changes_between_processes_or_versions():
    assert derive_seed(0, "pass", 3) == 4671824010622607195


def test_places_that_read_alike_have_different_seeds():
    places = [(1, 23), (12, 3), (123,), ("1", 23), ("1, 23",), (1, 23, 0)]
    assert len({derive_seed(*place) for place in places}) == len(places)


def test_after_seeding_no_generator_remembers_what_was_drawn_before():
    seed_generators(0, "step", 5)
    first = draws()
    draws()
    seed_generators(0, "step", 5)
    assert draws() == first
    seed_generators(0, "step", 6)
    assert all(new != old for new, old in zip(draws(), first))


def test_a_generator_of_a_place_leaves_the_global_ones_alone():
    seed_generators(0)
    expected = draws()
    seed_generators(0)
    a, b = (torch.rand(3, generator=generator(7, "order")) for _ in range(2))
    assert torch.equal(a, b)
    assert draws() == expected


def _seed_draw_and_fail() -> None:
    seed_generators(2)
    draws()
    _ = 1 / 0


def test_kept_generators_are_as_before_even_when_the_context_fails():
    seed_generators(1)
    expected = draws()
    seed_generators(1)
    with pytest.raises(ZeroDivisionError), kept_generators():
        _seed_draw_and_fail()
    assert draws() == expected
