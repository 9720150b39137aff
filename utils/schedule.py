"""Learning-rate schedules from the config: their length, their warm-up, and when they step."""

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
    interval, warmup = section.get("interval", "epoch"), section.get("warmup", 0)
    if interval not in ("epoch", "step"):
        raise ConfigError(f'{config.where("lr_scheduler", "interval")}: lr_scheduler.interval: write "epoch" or "step"')
    length = (clock.total_steps if interval == "step" else clock.epochs) - warmup
    if length < 1:
        raise ConfigError(f"{config.where('lr_scheduler', 'warmup')}: lr_scheduler.warmup: longer than the whole run")
    automatic = {key: length for key, value in section.get("args", {}).items() if value == "auto"}
    scheduler = config.init_obj("lr_scheduler", module, optimizer, **automatic)
    if isinstance(scheduler, ReduceLROnPlateau) and interval == "step":
        raise ConfigError(
            f"{config.where('lr_scheduler', 'interval')}: lr_scheduler.interval: ReduceLROnPlateau goes by epochs"
        )
    planned = getattr(scheduler, "total_steps", length)
    if planned < length:
        text = f'the schedule ends after {planned} {interval}s, the run after {length}; write "auto"'
        raise ConfigError(
            f"{config.where('lr_scheduler', 'args', 'total_steps')}: lr_scheduler.args.total_steps: {text}"
        )
    if not warmup:
        return scheduler
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ConfigError(
            f"{config.where('lr_scheduler', 'warmup')}: lr_scheduler.warmup: ReduceLROnPlateau takes none"
        )
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.01, total_iters=warmup), scheduler], [warmup])


class Schedule:
    """Steps a scheduler after every step or after every epoch; without one, the same calls do nothing.

    :param monitor: the value of the log that ReduceLROnPlateau judges by
    """

    def __init__(self, scheduler: Any, interval: str = "epoch", monitor: str | None = None) -> None:
        self.scheduler = scheduler
        self.by_step = scheduler is not None and interval == "step"
        self.by_epoch = scheduler is not None and interval == "epoch"
        self.monitor = monitor

    def after_step(self) -> None:
        """One step is done."""
        if self.by_step:
            self._advance()

    def after_epoch(self, log: dict[str, Any]) -> None:
        """One epoch with this log is over."""
        if self.by_epoch and isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(log[self.monitor or ("val_loss" if "val_loss" in log else "loss")])
        elif self.by_epoch:
            self._advance()

    def _advance(self) -> None:
        try:
            self.scheduler.step()
        except ValueError as error:  # OneCycleLR beyond its last step: a resumed run that was made longer
            raise UserError(
                f"the learning-rate schedule has ended ({error}). Only a run whose schedule has no end can be made "
                "longer; start a new one from its weights: -r RUN -c CONFIG"
            ) from None
