import math

import pytest

from utils.monitor import Monitor


def verdicts(monitor: Monitor, values: list[float]) -> list[bool]:
    return [monitor.judge({monitor.key: value}) for value in values]


def test_lower_is_better_for_min_and_higher_for_max():
    assert verdicts(Monitor("min val_loss"), [3, 2, 2.5, 1]) == [True, True, False, True]
    assert verdicts(Monitor("max val_accuracy"), [3, 2, 2.5, 4]) == [True, False, False, True]


def test_a_tie_is_an_improvement():
    monitor = Monitor("max accuracy", patience=2)
    assert verdicts(monitor, [0.5, 0.4, 0.5]) == [True, False, True]
    assert monitor.bad_epochs == 0


@pytest.mark.parametrize("rule", ["min loss", "max loss"])
def test_a_value_that_is_not_finite_is_never_best_and_counts_as_bad(rule):
    monitor = Monitor(rule, patience=4)
    assert verdicts(monitor, [math.nan, math.inf, -math.inf]) == [False] * 3
    assert monitor.best is None
    assert verdicts(monitor, [1.0]) == [True]
    assert verdicts(monitor, [math.nan, -math.inf, math.inf, math.nan]) == [False] * 4
    assert (monitor.best, monitor.should_stop) == (1.0, True)


def test_it_stops_after_exactly_as_many_bad_epochs_in_a_row_as_the_patience():
    monitor = Monitor("min loss", patience=2)
    stops = []
    for value in [5, 6, 4, 6, 6]:
        monitor.judge({"loss": value})
        stops.append(monitor.should_stop)
    assert stops == [False, False, False, False, True]


@pytest.mark.parametrize("patience", [0, -1, math.inf])
def test_without_patience_it_never_stops(patience):
    monitor = Monitor("min loss", patience)
    assert not monitor.should_stop
    verdicts(monitor, [1.0] + [2.0] * 1000)
    assert not monitor.should_stop


def test_a_monitor_that_is_off_judges_nothing():
    monitor = Monitor("min loss", patience=1)
    verdicts(monitor, [1, 2])
    monitor.switch_off()
    for off in (monitor, Monitor("off")):
        assert (off.enabled, off.judge({}), off.should_stop) == (False, False, False)


@pytest.mark.parametrize("rule", ["", "min", "min ", "lowest loss", "off loss", "minloss"])
def test_a_rule_that_says_nothing_is_refused(rule):
    with pytest.raises(ValueError, match="write"):
        Monitor(rule)


def test_it_goes_on_from_its_state_as_if_never_interrupted():
    values = [3.0, 4.0, 2.0, 2.0, 5.0, 5.0, 5.0]
    whole, first, second = (Monitor("min loss", patience=3) for _ in range(3))
    expected = verdicts(whole, values)
    start = verdicts(first, values[:5])
    second.load_state_dict(first.state_dict())
    assert start + verdicts(second, values[5:]) == expected
    assert second.should_stop
    assert second.state_dict() == whole.state_dict()
