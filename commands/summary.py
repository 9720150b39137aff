"""`--summary`: the modules of the model, the shapes of their outputs in a step, what each holds, and the totals."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click

from commands.check import shape_of

OPTION = click.Option(["--summary"], is_flag=True, help="print the model's modules, their output shapes and parameters")
COLUMNS = ("module", "type", "output", "parameters", "trainable", "buffers")


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Prints the table; ConfigError below it where the step fails, and the table shows how far the model came."""
    from utils import dist

    logging.disable(logging.INFO)
    config.check(**modules())
    config.config["trainer"]["compile"] = False  # which takes minutes and changes no shape
    trainer = build(config)
    model = dist.unwrap(trainer.model)
    outputs: dict[str, str] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(partial(_note, outputs, name))
    try:
        if hasattr(trainer, "_train_step") and hasattr(trainer, "clock"):
            _try_step(config, trainer)
        else:
            click.echo(f"outputs not tried: {type(trainer).__name__} has a loop of its own")
    finally:
        if dist.is_main():
            _show(_rows(model, outputs))


def _try_step(config: Any, trainer: Any) -> None:
    """A whole step: only the trainer knows how its batches get through its model."""
    trainer.model.train()
    with config.at("data_loader", doing="the first batch"):
        batches = trainer._next_batches()
    with config.at("trainer", doing="a step"):
        trainer._train_step(batches)


def _note(outputs: dict[str, str], name: str, module: Any, inputs: Any, output: Any) -> None:
    outputs.setdefault(name, shape_of(output))


def _rows(model: Any, outputs: dict[str, str]) -> list[tuple[str, ...]]:
    """A row a module, with what it holds itself, and the totals; what is shared counts where it comes first."""
    parameters = _counts(model.named_parameters())
    trainable = _counts(item for item in model.named_parameters() if item[1].requires_grad)
    buffers = _counts(model.named_buffers())
    rows = []
    for name, module in model.named_modules():
        label = "  " * (name.count(".") + 1) + name.rpartition(".")[2] if name else "(model)"
        held = (f"{count[name]:,}" if count[name] else "-" for count in (parameters, trainable, buffers))
        rows.append((label, type(module).__name__, outputs.get(name, "-"), *held))
    totals = (f"{count.total():,}" for count in (parameters, trainable, buffers))
    return [*rows, ("total", "", "", *totals)]


def _counts(tensors: Iterable[tuple[str, Any]]) -> Counter[str]:
    """How many numbers the module of each name holds itself."""
    counts: Counter[str] = Counter()
    for name, tensor in tensors:
        counts[name.rpartition(".")[0]] += tensor.numel()
    return counts


def _show(rows: list[tuple[str, ...]]) -> None:
    rows = [COLUMNS, *rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [
            cell.ljust(width) if index < 3 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        ]
        click.echo("  ".join(cells).rstrip())
