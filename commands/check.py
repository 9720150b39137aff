"""`--check`: builds everything, tries a step, a validation batch and a checkpoint, reports, leaves nothing behind."""

import logging
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from logger.metrics_log import flatten, shown
from utils.errors import ConfigError, UserError

OPTION = click.Option(
    ["--check"], is_flag=True, help="build everything, try a step and a checkpoint, report, leave nothing behind"
)
STEPS = 3  # tried; the first, which warms up, does not count for the estimate


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Prints what a run of this config would be; ConfigError, one line at the section at fault, if it cannot be."""
    logging.disable(logging.INFO)
    trainer = build(config)
    rows = {"model": _model(trainer)}
    if hasattr(trainer, "_train_step") and hasattr(trainer, "clock"):
        with config.at("seed"):
            _seed(trainer)
        rows |= _try_batches(config, trainer)
    else:
        rows["batches"] = f"not tried: {type(trainer).__name__} has a loop of its own"
    rows |= _try_checkpoint(config, trainer)
    for name, text in rows.items():
        click.echo(f"{name:<16}  {text}")
    click.echo("Everything builds; nothing was left behind.")


def _seed(trainer: Any) -> None:
    from utils.seed import seed_generators

    seed_generators(trainer.seed, "check")
    trainer.model.train()


def _model(trainer: Any) -> str:
    from utils import dist

    model = dist.unwrap(trainer.model)
    parameters = list(model.parameters())
    count = sum(parameter.numel() for parameter in parameters)
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    return f"{type(model).__name__}: {count:,} parameters, {trainable:,} of them trainable, {_bytes(size)}"


def _try_batches(config: Any, trainer: Any) -> dict[str, str]:
    """One batch taken apart, so that what fails is named; then whole steps, and a validation batch."""
    import torch

    from logger.progress import peak_memory
    from utils.device import map_tensors, to_device
    from utils.few_batches import FirstBatches
    from utils.plain_loader import as_portions

    rows = {}
    with config.at("data_loader", doing="the first batch"):
        batches = trainer._next_batches()
        data, target = trainer.read_batch(to_device(batches[0].batch, trainer.device, trainer.memory_format))
    shapes = f"a batch of {shape_of(data)}"
    with config.at("arch", doing=f"the model fails on {shapes}"), trainer.autocast:
        output = trainer.model(data)
    with config.at("loss", doing=f"fails on output {shape_of(output)} and target {shape_of(target)}"), trainer.autocast:
        loss = trainer.criterion(output, target).detach()
        if loss.numel() != 1 or not math.isfinite(loss):
            raise UserError(f"gives {loss if loss.numel() == 1 else shape_of(loss)}, not one finite number")
    output = map_tensors(torch.Tensor.detach, output)  # as metrics get it
    for index, metric in enumerate(trainer.metric_ftns):
        with config.at("metrics", index, doing=f"fails on output {shape_of(output)} and target {shape_of(target)}"):
            float(metric(output, target)) if not hasattr(metric, "compute") else metric.update(output, target)
    rows["train batch"] = f"{shape_of(data)}, {shape_of(target)} -> {shape_of(output)}, loss {float(loss):.4g}"
    for metric in trainer.metric_ftns:
        metric.reset() if hasattr(metric, "compute") else None
    clock, seconds = trainer.clock, []
    with config.at("trainer", doing="a step"):
        for _ in range(min(STEPS, clock.total_steps)):
            started = perf_counter()
            trainer._train_step(batches)
            trainer.step += 1
            if trainer.step < clock.total_steps:
                batches = trainer._next_batches()
            seconds.append(perf_counter() - started)
    epoch = min(seconds[1:] or seconds) * clock.len_epoch
    if trainer.do_validation:
        loader = as_portions(trainer.valid_data_loader)
        n_batches = len(loader) if hasattr(loader, "__len__") else loader.n
        trainer.valid_data_loader = FirstBatches(loader, 1)
        started = perf_counter()
        with config.at("valid_data_loader" if "valid_data_loader" in config else "data_loader", doing="validation"):
            values = trainer._valid_epoch(1)
        epoch += (perf_counter() - started) * n_batches
        rows["validation"] = (
            ", ".join(f"{name} {shown(value)}" for name, value in flatten(values).items()) + " on the first batch"
        )
    rows["steps an epoch"] = f"{clock.len_epoch:,}; {clock.epochs:,} epochs, {clock.total_steps:,} steps"
    rows["time an epoch"] = f"about {_duration(epoch)}; the run {_duration(epoch * clock.epochs)}"
    rows["peak memory"] = f"{_bytes(peak_memory() * 2**20)} on the {trainer.device.type}"
    return rows


def _try_checkpoint(config: Any, trainer: Any) -> dict[str, str]:
    from utils import checkpoint

    with tempfile.TemporaryDirectory() as folder, config.at("trainer", doing="a checkpoint"):
        path = Path(folder) / "checkpoint.pth"
        checkpoint.write(trainer._state(), path)
        size = path.stat().st_size
        state = checkpoint.read(path)
        for name, part in trainer._stateful().items():
            stored = state.get(name, state["extra"].get(name))
            if part is not None and stored is not None:
                checkpoint.load_state(part, stored, name, path)
    options = trainer.options
    epochs = trainer.epochs // options.save_period
    kept = 3 + min(epochs, options.keep_last or epochs)  # the last, the one before, and the best
    root = Path(options.save_dir).resolve()
    free = shutil.disk_usage(next(parent for parent in (root, *root.parents) if parent.exists())).free
    text = f"{_bytes(size)}, {kept} kept: {_bytes(size * kept)} of {_bytes(free)} free"
    if size * kept > free:
        raise ConfigError(f"{config.where('trainer', 'save_period')}: trainer.save_period: a checkpoint has {text}")
    return {"checkpoint": text}


def shape_of(value: Any) -> str:
    """What a batch, an output or a part of it is, for people: "[64, 10] float32"."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shape_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(shape_of, value[:4])) + (", ...)" if len(value) > 4 else ")")
    return type(value).__name__


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
