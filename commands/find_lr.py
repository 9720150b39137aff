"""`--find-lr`: a learning-rate range test (Smith 2017, "Cyclical Learning Rates for Training Neural Networks", 3.3)."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from statistics import stdev
from typing import Any, NamedTuple

import click

from utils.errors import ConfigError, UserError

OPTION = click.Option(
    ["--find-lr"], is_flag=True, help="raise the learning rate step by step, draw the loss, and suggest a rate"
)
LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
SMOOTHING = 0.9  # the weight of the past in the average of the losses; more of it lags behind the rate
UNSETTLED = 15  # the first averages are of a few losses only, and their slope is noise
REACH = 3  # the slope at a step is that between the averages so many steps before and behind it
GROWN = 4.0  # times the best loss: higher rates need not be tried


class Curve(NamedTuple):
    """The rates tried, the loss of each step, and the average of the losses up to it."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]

    def limit(self) -> float:
        """Four times the best loss; as far above it for a loss below zero."""
        best = min(self.smoothed)
        return best + (GROWN - 1) * abs(best)

    def has_grown(self) -> bool:
        """Whether the loss is no number any more, or past the limit."""
        return not self.smoothed[-1] <= self.limit()


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Prints the curve and a rate to paste, and draws the curve; UserError where the loss falls at no rate."""
    from utils import dist
    from utils.line_chart import line_chart

    if config.resume is not None:
        raise ConfigError("--find-lr tries rates on a new model: give it -c CONFIG without -r")
    logging.disable(logging.INFO)
    config.check(**modules())
    schedule = config.config.pop("lr_scheduler", None) or {}  # it would set rates of its own
    trainer = build(config)
    if not (hasattr(trainer, "_train_step") and hasattr(trainer, "clock")):
        raise ConfigError(f"--find-lr makes steps; {type(trainer).__name__} has a loop of its own")
    if any("lr" not in group for group in getattr(trainer.optimizer, "param_groups", [{}])):
        raise ConfigError(f"--find-lr sets the rate; {type(trainer.optimizer).__name__} has none")
    with config.at("trainer", doing="a step"):
        curve = _raise_rate(trainer)
    if not dist.is_main():
        return
    found = _steepest(curve)
    rate = None if found is None else float(f"{curve.rates[found]:.1e}")
    path = Path(trainer.options.save_dir) / "find_lr" / f"{config.get('name', 'run')}.png"
    smoothed = [min(loss, curve.limit()) for loss in curve.smoothed]  # else the last one flattens the others
    line_chart(path, "loss over learning rate", curve.rates, curve.losses, smoothed, rate)
    _show(curve)
    click.echo(f"The curve: {path}")
    if rate is None:
        raise UserError("the loss fell at no rate by more than it varies: look at the curve, try a larger batch")
    click.echo(f"Suggested: {rate:g}, where the smoothed loss falls most steeply against the logarithm of the rate.")
    key, name = ("lr_scheduler", "max_lr") if "max_lr" in (schedule.get("args") or {}) else ("optimizer", "lr")
    click.echo(f'Use it: -s {key}.args.{name}={rate:g}, or "{name}": {rate:g} in the args of "{key}"')


def _raise_rate(trainer: Any) -> Curve:
    """Trains while the rate rises by the same factor each step, until its highest or until the loss has grown."""
    from utils import dist
    from utils.seed import seed_generators

    groups = trainer.optimizer.param_groups
    highest = max(group["lr"] for group in groups) or 1.0
    shares = [group["lr"] / highest for group in groups]  # rates by group keep their proportions
    curve, average = Curve([], [], []), 0.0
    trainer.model.train()
    for number in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / (STEPS - 1))
        for group, share in zip(groups, shares):
            group["lr"] = rate * share
        batches = trainer._next_batches()
        seed_generators(trainer.seed, dist.rank(), "step", trainer.step)
        try:
            trainer._train_step(batches)
        except (RuntimeError, ValueError):  # some losses refuse what is not finite
            if not curve.rates or _is_finite(trainer.model):
                raise
            break
        trainer.step += 1
        loss = trainer.train_metrics.recent().get("loss")
        if loss is None:
            raise UserError("has no loss: let _train_step call self.train_metrics.update")
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        curve.rates.append(rate)
        curve.losses.append(loss)
        curve.smoothed.append(average / (1 - SMOOTHING ** (number + 1)))
        if curve.has_grown():
            break
    return curve


def _is_finite(model: Any) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def _steepest(curve: Curve) -> int | None:
    """The step at which the loss falls most steeply against log(rate), before it is lowest; None if it does not fall.

    What falls behind the lowest point has risen before: there the model recovers, and does not learn.
    """
    smoothed = [loss if math.isfinite(loss) else math.inf for loss in curve.smoothed]
    lowest = min(range(UNSETTLED, len(smoothed)), key=smoothed.__getitem__, default=0)

    def slope(step: int) -> float:
        before, behind = step - REACH, min(step + REACH, lowest)
        return (smoothed[behind] - smoothed[before]) / math.log10(curve.rates[behind] / curve.rates[before])

    found = min(range(UNSETTLED, lowest + 1), key=slope, default=None)
    return found if found is not None and _has_fallen(curve, lowest) else None


def _has_fallen(curve: Curve, lowest: int) -> bool:
    """Whether the average has fallen by more than single losses differ at rates too low to learn anything."""
    start, first = curve.smoothed[UNSETTLED], curve.losses[:UNSETTLED]
    return start - curve.smoothed[lowest] > max(stdev(first), 1e-6 * abs(start))


def _show(curve: Curve) -> None:
    """A line for every tenfold of the rate, and for the last rate tried."""
    every = (STEPS - 1) / math.log10(HIGHEST / LOWEST)
    chosen = {round(every * power) for power in range(int(STEPS / every) + 1)} | {len(curve.rates) - 1}
    click.echo("   rate   smoothed loss")
    for step in sorted(step for step in chosen if step < len(curve.rates)):
        click.echo(f"{curve.rates[step]:7.0e}   {curve.smoothed[step]:.4g}")
    if curve.has_grown():
        click.echo(f"stopped there: the loss is more than {GROWN:g} times its best")
