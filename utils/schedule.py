"""Learning-rate schedules from the config: their length, their warm-up, and when they step."""

import warnings
from typing import Any

from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau, SequentialLR

from utils.clock import Clock
from utils.errors import ConfigError, UserError


def make_scheduler(config: Any, module: Any, optimizer: Any, clock: Clock) -> LRScheduler | None:
    """The scheduler of the section `lr_scheduler`, or None without one.

    Beside `type` and `args` the section has `interval` ("epoch" or "step": what the scheduler counts), `warmup` (so
    many intervals of linear rise from 1 % of the rate first) and `monitor` (what ReduceLROnPlateau judges by). An
    argument "auto" becomes the number of intervals in the run, behind the warm-up.
    """
    section = config.get("lr_scheduler")
    if section is None:
        return None
    if section.get("warmup", 0) < 0:
        raise ConfigError(f"{config.where('lr_scheduler', 'warmup')}: lr_scheduler.warmup: must be 0 or more")
    interval, warmup = section.get("interval", "epoch"), section.get("warmup", 0)
    if interval not in ("epoch", "step"):
        raise ConfigError(f'{config.where("lr_scheduler", "interval")}: lr_scheduler.interval: write "epoch" or "step"')
    length = (clock.total_steps if interval == "step" else clock.epochs) - warmup
    if length < 1:
        place, whole = config.where("lr_scheduler", "warmup"), length + warmup
        told = f"{warmup} {interval}s to warm up, and the whole run has {whole}: write less"
        raise ConfigError(f"{place}: lr_scheduler.warmup: {told}")
    automatic = {key: length for key, value in section.get("args", {}).items() if value == "auto"}
    scheduler = config.init_obj("lr_scheduler", module, optimizer, **automatic)
    if isinstance(scheduler, ReduceLROnPlateau) and interval == "step":
        raise ConfigError(
            f"{config.where('lr_scheduler', 'interval')}: lr_scheduler.interval: ReduceLROnPlateau goes by epochs"
        )
    _refuse_an_ignored_rate(config, optimizer)
    for key in ("total_steps", "T_max"):
        planned = getattr(scheduler, key, length)
        if (
            planned < length
            if interval == "epoch" and key == "total_steps"
            else planned != length and interval == "step"
        ):
            text = f'the schedule ends after {planned} {interval}s, the run after {length}; write "auto"'
            raise ConfigError(f"{config.where('lr_scheduler', 'args', key)}: lr_scheduler.args.{key}: {text}")
    if not warmup:
        return scheduler
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ConfigError(
            f"{config.where('lr_scheduler', 'warmup')}: lr_scheduler.warmup: ReduceLROnPlateau takes none"
        )
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.01, total_iters=warmup), scheduler], [warmup])


def _refuse_an_ignored_rate(config: Any, optimizer: Any) -> None:
    place, rate = config.where("optimizer", "args", "lr"), optimizer.param_groups[0].get("initial_lr")
    if place.startswith("-") and rate != config["optimizer"]["args"].get("lr"):  # OneCycleLR goes by its max_lr
        kind = config["lr_scheduler"]["type"]
        raise ConfigError(f"{place}: {kind} sets the rate itself; change lr_scheduler.args (max_lr) instead")


class Schedule:
    """Steps a scheduler after every step or after every epoch; without one, the same calls do nothing.

    :param monitor: the value of the log that ReduceLROnPlateau judges by
    :param anew: on a resume, plan anew what the scheduler's state was planned for
    """

    def __init__(self, scheduler: Any, interval: str = "epoch", monitor: str | None = None, anew: bool = False) -> None:
        self.scheduler = scheduler
        self.by_step = scheduler is not None and interval == "step"
        self.by_epoch = scheduler is not None and interval == "epoch"
        self.monitor = monitor
        self.anew = anew
        groups = getattr(getattr(scheduler, "optimizer", None), "param_groups", ())
        self._beginning = [{key: value for key, value in group.items() if key != "params"} for group in groups]

    def after_step(self) -> None:
        """One step is done."""
        if self.by_step:
            self.scheduler.step()

    def after_epoch(self, log: dict[str, Any]) -> None:
        """One epoch with this log is over."""
        if self.by_epoch and isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(log[self.monitor or ("val_loss" if "val_loss" in log else "loss")])
        elif self.by_epoch:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of the scheduler."""
        return {} if self.scheduler is None else self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint; a schedule that is planned anew waits for `catch_up`."""
        if self.scheduler is None:
            return
        own = self.scheduler.state_dict()
        self.anew = self.anew or _planned(state) != _planned(own)
        if not self.anew:
            self.scheduler.load_state_dict(state)
        elif isinstance(self.scheduler, ReduceLROnPlateau):  # what it has seen, with the new arguments
            seen = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")
            self.scheduler.load_state_dict({key: state[key] for key in seen if key in state})

    def catch_up(self, steps: int, epochs: int) -> None:
        """Brings a schedule that was planned anew to where the run is; UserError if its plan ends before that."""
        if not self.anew or self.scheduler is None or isinstance(self.scheduler, ReduceLROnPlateau):
            return
        done = steps if self.by_step else epochs
        for group, beginning in zip(self.scheduler.optimizer.param_groups, self._beginning):
            group.update(beginning)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # there is no step of the optimizer between these
                for _ in range(done):
                    self.scheduler.step()
        except ValueError as error:  # OneCycleLR steps no further than its end
            raise UserError(f"the run has done {done} {'steps' if self.by_step else 'epochs'}: {error}") from None


def _planned(state: dict[str, Any]) -> list[int]:
    """The lengths that a scheduler's state, and those of schedulers inside it, were made for."""
    own = [state[key] for key in ("total_steps", "T_max", "total_iters") if state.get(key) is not None]
    return own + [length for part in state.get("_schedulers", ()) for length in _planned(part)]
