import pytest

from utils.clock import Clock
from utils.errors import UserError


def groups(clock: Clock) -> list[range]:
    """The batches of every step of the run."""
    return [
        range(clock.next_batch(step), clock.next_batch(step) + clock.group_size(step))
        for step in range(clock.total_steps)
    ]


SHAPES = [(per_pass, accumulation) for per_pass in range(1, 12) for accumulation in range(1, 6)]


def test_an_epoch_is_one_pass_and_no_group_crosses_into_the_next():
    for per_pass, accumulation in SHAPES:
        clock = Clock.of(per_pass, accumulation, len_epoch=None, epochs=3, max_steps=None)
        steps = groups(clock)
        for epoch in range(3):
            of_epoch = steps[epoch * clock.len_epoch : clock.epoch_end(epoch + 1)]
            assert [batch // per_pass for group in of_epoch for batch in group] == [epoch] * per_pass


def test_every_batch_is_in_exactly_one_step_and_only_the_last_group_of_a_pass_is_short():
    for per_pass, accumulation in SHAPES:
        clock = Clock.of(per_pass, accumulation, len_epoch=None, epochs=2, max_steps=None)
        steps = groups(clock)
        assert [batch for group in steps for batch in group] == list(range(2 * per_pass))
        short = [group for group in steps if len(group) != accumulation]
        assert all((group.stop % per_pass) == 0 for group in short)


def test_with_a_len_epoch_every_group_is_full_and_the_data_runs_on():
    clock = Clock.of(5, 2, len_epoch=4, epochs=3, max_steps=None)
    assert (clock.total_steps, clock.epochs, clock.epoch_end(2)) == (12, 3, 8)
    assert groups(clock) == [range(2 * step, 2 * step + 2) for step in range(12)]


def test_max_steps_ends_the_run_within_its_last_epoch():
    clock = Clock.of(10, 1, len_epoch=None, epochs=None, max_steps=25)
    assert clock.epochs == 3
    assert [clock.epoch_end(epoch) for epoch in (1, 2, 3)] == [10, 20, 25]
    assert groups(clock)[-1] == range(24, 25)


def test_the_earlier_of_two_limits_counts():
    assert Clock.of(10, 1, None, epochs=2, max_steps=25).total_steps == 20
    assert Clock.of(10, 1, None, epochs=2, max_steps=5).total_steps == 5


def test_a_loader_without_batches_is_refused_in_words():
    with pytest.raises((ValueError, UserError), match="no batches"):
        _ = Clock.of(0, 1, len_epoch=None, epochs=2, max_steps=None).epochs
