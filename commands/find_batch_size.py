"""`--find-batch-size`: tries steps at batch sizes 1, 2, 4, ... until memory does not suffice."""

import copy
import gc
import logging
import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import click

from utils.errors import ConfigError, UserError

OPTION = click.Option(
    ["--find-batch-size"], is_flag=True, help="try steps at batch sizes 1, 2, 4, ... until memory does not suffice"
)
STEPS = 3  # tried at each size: the first makes the optimizer's state, the second has all of it, the best is timed
LONGEST = 30.0  # seconds: with a step that may take longer, larger batches are not tried
SPARED = 0.2  # of the memory that is free, on the CPU, where running out of it hurts other programs
SIGNS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
BATCH_SIZE, ACCUMULATION = ("data_loader", "args", "batch_size"), ("trainer", "accumulation")


class Row(NamedTuple):
    """What was measured at one batch size."""

    size: int
    seconds: float  # of a step, without loading
    memory: int  # bytes: on the GPU all, on the CPU what the steps took


class Facts(NamedTuple):
    """What the config's own run has."""

    batch_size: int
    accumulation: int
    n_samples: float  # for training; infinity where the loader does not say

    @property
    def effective(self) -> int:
        """Samples a step."""
        return self.batch_size * self.accumulation


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Prints a row for each size that fits, the largest, and what to write; UserError where not one sample fits."""
    from utils import dist

    if config.resume is not None:
        raise ConfigError("--find-batch-size makes steps of a new model: give it -c CONFIG without -r")
    if dist.world_size() > 1:
        raise ConfigError("--find-batch-size tries one process: start it without torchrun")
    logging.disable(logging.INFO)
    config.check(**modules())
    facts = _facts(config, build)
    click.echo("batch size   samples/s      memory")
    rows, end = _try_sizes(config, build, facts)
    click.echo(f"stopped there: {end}")
    if not rows:
        raise UserError("no batch size fits: try a smaller model, smaller samples, or trainer.amp")
    for line in _advice(rows[-1].size, facts):
        click.echo(line)


def attempt(config: Any, build: Callable[[Any], Any], size: int) -> Row | None:
    """Makes some steps and validates a batch at this size; None, and nothing stays, where memory does not suffice."""
    _release()
    row = None
    try:
        row = _measured(_changed(config, {BATCH_SIZE: size, ACCUMULATION: 1}), build, size)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
    _release()  # the error has held what the step had made until here
    return row


def _release() -> None:
    """Gives back the memory of trainers that nobody holds."""
    import torch

    from utils import memory

    gc.collect()
    memory.give_back_freed_memory()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _facts(config: Any, build: Callable[[Any], Any]) -> Facts:
    trainer = build(_changed(config, {}))
    if not (hasattr(trainer, "_train_step") and hasattr(trainer, "clock")):
        raise ConfigError(f"--find-batch-size makes steps; {type(trainer).__name__} has a loop of its own")
    loader = trainer.data_loader
    while not hasattr(loader, "batch_size") and hasattr(loader, "loader"):  # what the trainer has put around it
        loader = loader.loader
    if not getattr(loader, "batch_size", None):
        raise ConfigError(f"--find-batch-size: a {type(loader).__name__} has no batch_size")
    return Facts(loader.batch_size, trainer.options.accumulation, _n_samples(loader))


def _n_samples(loader: Any) -> float:
    sampler: Any = getattr(loader, "sampler", None)
    return getattr(loader, "n_samples", None) or (len(sampler) if hasattr(sampler, "__len__") else math.inf)


def _changed(config: Any, values: dict[Any, Any]) -> Any:
    """The config with these values, and without its schedule, whose plan may not fit the steps of another size."""
    from settings.overrides import set_value

    changed = copy.deepcopy(config)
    changed.config.pop("lr_scheduler", None)
    for path, value in values.items():
        set_value(changed.document, path, value, "--find-batch-size")
    return changed


def _try_sizes(config: Any, build: Callable[[Any], Any], facts: Facts) -> tuple[list[Row], str]:
    """A row for each size that fits, and why there are no more."""
    rows: list[Row] = []
    for size in sorted({2**power for power in range(40)} | {facts.batch_size, facts.effective}):
        if size > facts.n_samples:
            return rows, f"there are {facts.n_samples:,} samples"
        if reason := _refusal(rows, size, facts):
            return rows, reason
        try:
            row = attempt(config, build, size)
        except ConfigError as error:
            if size > 1:
                raise
            click.echo(f"{size:>10}   not possible: {str(error).splitlines()[0]}")  # BatchNorm takes no single sample
            continue
        if row is None:
            return rows, f"{size:,} does not fit"
        if row.size < size:
            return rows, f"a batch of {size:,} has only {row.size:,} samples"
        rows.append(row)
        click.echo(f"{size:>10}   {size / row.seconds:>9,.0f}   {row.memory / 1e6:>6,.0f} MB")
    return rows, "no larger ones are tried"


def _refusal(rows: list[Row], size: int, facts: Facts) -> str | None:
    """Why this size is not to be tried, judged by those before it; None: it may be."""
    import torch

    from utils import memory

    if not rows:
        return None
    seconds = rows[-1].seconds * size / rows[-1].size
    if seconds > LONGEST:
        return f"a step of {size:,} would take about {seconds:,.0f} s"
    if torch.cuda.is_initialized():
        return None  # it says itself when it is full
    needed, free = _expected_memory(rows, size), memory.available()
    if free is None:
        return None if size <= facts.effective else "this system does not say how much memory is free"
    if needed > (1 - SPARED) * free:
        return f"{size:,} would take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
    return None


def _expected_memory(rows: list[Row], size: int) -> float:
    """Along the line through the last two rows; with one, in proportion."""
    last = rows[-1]
    if len(rows) == 1:
        return last.memory * size / last.size
    a_sample = (last.memory - rows[-2].memory) / (last.size - rows[-2].size)
    return last.memory + max(0.0, a_sample) * (size - last.size)


def _measured(config: Any, build: Callable[[Any], Any], size: int) -> Row:
    """Builds what the config names, makes steps with one group of batches, and validates a batch."""
    import torch

    from utils import memory
    from utils.few_batches import FirstBatches
    from utils.plain_loader import as_portions
    from utils.seed import seed_generators

    trainer = build(config)
    on_gpu = trainer.device.type == "cuda"
    memory.reset_peak()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = memory.resident()
    with config.at("data_loader", doing="the first batch"):
        batches = trainer._next_batches()
    seed_generators(trainer.seed, "find-batch-size")
    trainer.model.train()
    with config.at("trainer", doing=f"a step with a batch of {size}"):
        seconds = [_seconds(lambda: trainer._train_step(batches), trainer.device) for _ in range(STEPS)]
    if trainer.do_validation:
        trainer.valid_data_loader = FirstBatches(as_portions(trainer.valid_data_loader), 1)
        with config.at("valid_data_loader" if "valid_data_loader" in config else "data_loader", doing="validation"):
            trainer._valid_epoch(1)
    taken = torch.cuda.max_memory_allocated() if on_gpu else max(0, memory.peak() - before)
    return Row(sum(n_total for _, _, n_total in batches), min(seconds[1:]), taken)


def _seconds(call: Callable[[], None], device: Any) -> float:
    import torch

    started = perf_counter()
    call()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return perf_counter() - started


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether it, or what it came from, says that memory did not suffice: each device has words of its own for it."""
    import torch

    if error is None:
        return False
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    said = isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
    return known or said or _is_out_of_memory(error.__cause__)


def _advice(largest: int, facts: Facts) -> list[str]:
    """What to write in the config so that a step keeps its samples."""
    effective, told = facts.effective, [f"The largest batch that fits: {largest}"]
    if largest < effective:
        batches = next(n for n in range(1, effective + 1) if effective % n == 0 and effective // n <= largest)
        size = effective // batches
        told.append(f"The {effective} samples of a step fit in {batches} batches: {_options(size, batches, facts)}")
        told.append(f'or in the config: "batch_size": {size}, "accumulation": {batches}')
    elif facts.accumulation > 1:
        told.append(f"The {effective} samples of a step fit in one batch: {_options(effective, 1, facts)}")
    else:
        told.append(f"The config's {effective} fit, nothing to accumulate.")
    if largest > effective:
        told.append(f"A larger batch is another training, with another rate: {_options(largest, 1, facts)}")
    return told


def _options(size: int, batches: int, facts: Facts) -> str:
    accumulation = "" if batches == facts.accumulation else f" -s trainer.accumulation={batches}"
    return f"-s data_loader.args.batch_size={size}{accumulation}"
