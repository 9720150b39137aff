from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from parse_config import ConfigParser
from utils.clock import Clock
from utils.errors import ConfigError, UserError
from utils.schedule import Schedule, make_scheduler

CLOCK = Clock.of(per_pass=5, accumulation=1, len_epoch=None, epochs=4, max_steps=None)  # 20 steps


def made(section: dict[str, Any] | None, rate: float = 1.0, clock: Clock = CLOCK):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(()))], lr=rate)
    config = ConfigParser({} if section is None else {"lr_scheduler": section}, run_id="")
    return make_scheduler(config, lr_scheduler, optimizer, clock), optimizer


def rates(section: dict[str, Any], count: int, rate: float = 1.0) -> list[float]:
    """The rate of each of the first intervals."""
    scheduler, optimizer = made(section, rate)
    assert scheduler is not None
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_without_a_section_there_is_no_scheduler_and_its_calls_do_nothing():
    scheduler, _ = made(None)
    assert scheduler is None
    schedule = Schedule(scheduler)
    schedule.after_step()
    schedule.after_epoch({})


def test_auto_is_the_number_of_intervals_in_the_run():
    args = {"type": "CosineAnnealingLR", "args": {"T_max": "auto"}}
    assert made(args)[0].T_max == 4
    assert made(args | {"interval": "step"})[0].T_max == 20
    short = Clock.of(5, 1, None, None, max_steps=12)
    assert made(args, clock=short)[0].T_max == 3
    assert made(args | {"interval": "step"}, clock=short)[0].T_max == 12


def test_warm_up_rises_from_a_hundredth_to_the_rate_and_auto_is_what_is_left():
    section = {
        "type": "CosineAnnealingLR",
        "interval": "step",
        "warmup": 4,
        "args": {"T_max": "auto", "eta_min": 0.0},
    }
    found = rates(section, 21, rate=2.0)
    assert found[:5] == pytest.approx([0.02, 0.515, 1.01, 1.505, 2.0])
    assert found[12] == pytest.approx(1.0)  # half of the 16 steps behind the warm-up
    assert found[20] == pytest.approx(0.0)
    assert found[4:] == sorted(found[4:], reverse=True)


def test_one_cycle_fits_into_the_run_with_and_without_warm_up():
    section = {"type": "OneCycleLR", "interval": "step", "args": {"max_lr": 1.0, "total_steps": "auto"}}
    assert max(rates(section, 20)) == pytest.approx(1.0)
    assert rates(section, 20)[-1] < 1e-4
    assert rates(section | {"warmup": 4}, 20)[-1] < 1e-4


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({"type": "StepLR", "interval": "batch", "args": {"step_size": 1}}, "interval"),
        ({"type": "StepLR", "warmup": 4, "args": {"step_size": 1}}, " to warm up, and the whole run has "),
        ({"type": "OneCycleLR", "interval": "step", "args": {"max_lr": 1, "total_steps": 19}}, "ends after 19 steps"),
        ({"type": "ReduceLROnPlateau", "warmup": 1}, "takes none"),
        ({"type": "ReduceLROnPlateau", "interval": "step"}, "interval"),
    ],
    ids=["interval", "long warm-up", "short cycle", "plateau with warm-up", "plateau by steps"],
)
def test_a_section_that_cannot_run_is_refused(section, match):
    with pytest.raises(ConfigError, match=match):
        made(section)


def test_a_scheduler_counts_epochs_or_steps_but_not_both():
    for interval, after_step, after_epoch in (("epoch", 1.0, 0.5), ("step", 0.5, 0.5)):
        scheduler, optimizer = made({"type": "StepLR", "args": {"step_size": 1, "gamma": 0.5}})
        schedule = Schedule(scheduler, interval)
        optimizer.step()
        schedule.after_step()
        assert optimizer.param_groups[0]["lr"] == after_step
        schedule.after_epoch({})
        assert optimizer.param_groups[0]["lr"] == after_epoch


@pytest.mark.parametrize(
    ("monitor", "log"),
    [
        ("val_accuracy", {"val_accuracy": 1.0, "val_loss": -1.0, "loss": -1.0}),
        (None, {"val_loss": 1.0, "loss": -1.0}),
        (None, {"loss": 1.0}),
    ],
)
def test_a_plateau_is_judged_by_the_value_asked_for_else_by_the_validation_loss_else_by_the_loss(monitor, log):
    scheduler, optimizer = made({"type": "ReduceLROnPlateau", "args": {"patience": 0, "factor": 0.5}})
    schedule = Schedule(scheduler, "epoch", monitor)
    for rate in (1.0, 0.5):  # the same again is a plateau; the other values fall
        schedule.after_epoch(log)
        log = {name: value if value == 1.0 else value - 1 for name, value in log.items()}
        assert optimizer.param_groups[0]["lr"] == rate


LONGER = Clock.of(per_pass=5, accumulation=1, len_epoch=None, epochs=8, max_steps=None)  # 40 steps
PLANNED = [
    {"type": "OneCycleLR", "interval": "step", "args": {"max_lr": 1.0, "total_steps": "auto"}},
    {"type": "CosineAnnealingLR", "interval": "step", "warmup": 2, "args": {"T_max": "auto"}},
]


@pytest.mark.parametrize("section", PLANNED)
def test_the_schedule_of_a_run_that_becomes_longer_is_planned_anew(section):
    """From where the run is, the rates are those of a run that was as long from the beginning."""
    scheduler, optimizer = made(section, clock=LONGER)
    expected = []
    for _ in range(40):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    first, optimizer = made(section)
    for _ in range(12):
        optimizer.step()
        first.step()
    second, after = made(section, clock=LONGER)
    schedule = Schedule(second, "step")
    after.load_state_dict(optimizer.state_dict())
    schedule.load_state_dict(first.state_dict())
    schedule.catch_up(12, 2)
    found = []
    for _ in range(28):
        found.append(after.param_groups[0]["lr"])
        after.step()
        schedule.after_step()
    assert found == pytest.approx(expected[12:])


def test_a_plan_that_ends_before_where_the_run_is_cannot_be_caught_up():
    shorter = Clock.of(per_pass=5, accumulation=1, len_epoch=None, epochs=2, max_steps=None)
    schedule = Schedule(made(PLANNED[0], clock=shorter)[0], "step")
    schedule.load_state_dict(made(PLANNED[0])[0].state_dict())
    with pytest.raises(UserError, match="the run has done 15 steps"):
        schedule.catch_up(15, 3)


def test_a_plateau_with_other_arguments_keeps_what_it_has_seen():
    plateau = {"type": "ReduceLROnPlateau", "args": {"patience": 5}}
    first = Schedule(made(plateau)[0])
    for loss in (1.0, 2.0, 3.0):
        first.after_epoch({"loss": loss})
    second = Schedule(made({"type": "ReduceLROnPlateau", "args": {"patience": 9}})[0], anew=True)
    second.load_state_dict(first.state_dict())
    second.catch_up(15, 3)
    assert (second.scheduler.best, second.scheduler.num_bad_epochs, second.scheduler.patience) == (1.0, 2, 9)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"type": "CosineAnnealingLR", "interval": "step", "args": {"T_max": 30}}, "T_max"),
        ({"type": "CosineAnnealingLR", "interval": "step", "args": {"T_max": 10}}, "T_max"),
        ({"type": "OneCycleLR", "interval": "step", "args": {"max_lr": 1.0, "total_steps": 30}}, "total_steps"),
        ({"type": "OneCycleLR", "interval": "step", "args": {"max_lr": 1.0, "total_steps": 10}}, "total_steps"),
    ],
)
def test_a_schedule_by_step_that_is_longer_or_shorter_than_the_run_is_refused(section, key):
    with pytest.raises(ConfigError, match=rf"lr_scheduler.args.{key}: .* steps, the run after 20; write \"auto\""):
        made(section)


def test_a_schedule_goes_on_from_its_state():
    section = {"type": "MultiStepLR", "interval": "step", "warmup": 3, "args": {"milestones": [2, 5], "gamma": 0.1}}
    expected = rates(section, 12)
    first, optimizer = made(section)
    for _ in range(6):
        optimizer.step()
        first.step()
    second, after = made(section)
    after.load_state_dict(optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    found = []
    for _ in range(6):
        found.append(after.param_groups[0]["lr"])
        after.step()
        second.step()
    assert found == pytest.approx(expected[6:])
