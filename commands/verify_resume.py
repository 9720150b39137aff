"""`--verify-resume`: proves on the user's own config that a run, killed and resumed, ends as the unbroken one."""

import copy
import json
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from utils.errors import ConfigError, UserError

OPTION = click.Option(
    ["--verify-resume"], is_flag=True, help="train some steps, again with a kill and a resume, and compare every bit"
)
SAVE_STEPS = 2  # so that a resume goes over steps that have been made before
CAUSES = {
    "batches": "the data is not the same: a dataset or collate function that draws from something else than torch, "
    "random or numpy.random, or that remembers what it gave before",
    "operation": "an operation without a deterministic form: {}",
    "state": "state that no checkpoint holds: name it in _stateful of your trainer, or register it as a buffer",
}


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Prints PASS, or raises UserError with the first difference and its likely cause."""
    if config.resume is not None:
        raise ConfigError("--verify-resume begins runs of its own: give it -c CONFIG without -r")
    stop_at = _steps(copy.deepcopy(config), build)
    kill_at = random.SystemRandom().randrange(min(SAVE_STEPS + 1, stop_at - 1), stop_at)  # behind the first save
    with tempfile.TemporaryDirectory() as name:
        folder, tree = Path(name), copy.deepcopy(config.document.tree)
        tree["trainer"] |= {"save_dir": name, "save_steps": SAVE_STEPS, "tensorboard": False, "verbosity": 0}
        click.echo(f"{stop_at} steps unbroken ...")
        _train(build, config, tree, folder, "unbroken", stop_at)
        click.echo(f"{stop_at} steps with a kill in step {kill_at} and a resume ...")
        _train(build, config, tree, folder, "broken", stop_at, kill_at)
        _train(build, config, tree, folder, "broken", stop_at)
        difference = _difference(folder, tree.get("name", "run"))
    if difference is not None:
        raise UserError(f"FAIL: {difference}")
    click.echo(f"PASS: after {stop_at} steps weights, optimizer, schedule, batches and rows are equal bit for bit.")


def _steps(config: Any, build: Callable[[Any], Any]) -> int:
    """How many steps are tried: over the end of an epoch where that is near."""
    import logging

    logging.disable(logging.INFO)
    trainer = build(config)
    logging.disable(logging.NOTSET)
    if not hasattr(trainer, "clock"):
        raise ConfigError("--verify-resume counts steps; this trainer has a loop of its own")
    steps = min(trainer.clock.total_steps, trainer.clock.len_epoch + 4 if trainer.clock.len_epoch <= 60 else 20)
    if steps < 2:
        raise ConfigError("--verify-resume needs a run of two steps or more")
    return steps


def _train(build: Any, config: Any, tree: Any, folder: Path, run_id: str, stop_at: int, kill_at: int = 0) -> None:
    """Trains in a process of its own, which ends after `stop_at` steps, or is killed in step `kill_at`."""
    arguments = (build, tree, config.document.name, config.device, folder, run_id, stop_at, kill_at)
    process = multiprocessing.get_context("spawn").Process(target=_part, args=arguments)
    process.start()
    process.join()
    expected = (-signal.SIGKILL,) if kill_at else (0,)
    if process.exitcode not in expected:
        raise UserError(f"the run that was to be compared ended with exit code {process.exitcode}")


def _part(
    build: Any, tree: Any, name: str, device: str | None, folder: Path, run_id: str, stop_at: int, kill_at: int
) -> None:
    from tqdm import tqdm

    from parse_config import ConfigParser
    from settings.document import Document
    from utils.checkpoint import read

    tqdm.set_lock(threading.RLock())  # its own is shared with other processes, and outlives a kill
    run = folder / "models" / tree.get("name", "run") / run_id
    resume = run / "checkpoint-last.pth"
    if resume.exists():
        config = ConfigParser(Document(read(resume)["config"], name=name), resume=resume)
        config.in_place = True
        config._set_folders()
    else:
        config = ConfigParser(Document(tree, name=name), run_id=run_id)
    config.device = device
    trainer = build(config)
    with open(folder / f"{run_id}.batches", "a", encoding="utf-8") as notes:
        train_step = trainer._train_step

        def noted(batches: Any) -> None:
            notes.write(json.dumps([trainer.step, _sum(batches)]) + "\n")
            notes.flush()
            train_step(batches)
            if trainer.step + 1 == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if trainer.step + 1 == stop_at:
                trainer.stopping.asked = "SIGTERM"

        trainer._train_step = noted
        try:
            trainer.train()
        except UserError as error:
            if error.exit_code != 75:
                raise


def _sum(batches: Any) -> int:
    """A checksum of all tensors in the batches of a step."""
    import torch

    from utils.device import map_tensors

    total = 0

    def add(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total = zlib.crc32(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes(), total)
        return tensor

    for batch, _, _ in batches:
        map_tensors(lambda tensor: add(tensor) if tensor.numel() else tensor, batch)
    return total


def _difference(folder: Path, name: str) -> str | None:
    """The first thing in which the two runs differ, and its likely cause."""
    from utils import checkpoint

    notes = [
        dict(json.loads(line) for line in (folder / f"{run}.batches").read_text().splitlines())
        for run in ("unbroken", "broken")
    ]
    for step in sorted(notes[0]):
        if notes[0][step] != notes[1].get(step):
            return f"the batches of step {step + 1} differ; likely cause: {CAUSES['batches']}"
    rows = [(folder / "log" / name / run / "metrics.jsonl").read_text().splitlines() for run in ("unbroken", "broken")]
    states = [checkpoint.read(folder / "models" / name / run / "checkpoint-last.pth") for run in ("unbroken", "broken")]
    operations = states[1]["fingerprint"].get("nondeterministic", "")
    cause = f"likely cause: {CAUSES['operation'].format(operations) if operations else CAUSES['state']}"
    for index, pair in enumerate(zip(*rows)):
        if pair[0] != pair[1]:
            return f"row {index + 1} of metrics.jsonl differs: {pair[0]} and {pair[1]}; {cause}"
    if len(rows[0]) != len(rows[1]):
        return f"metrics.jsonl has {len(rows[0])} and {len(rows[1])} rows; {cause}"
    path = _unequal({key: states[0][key] for key in states[0] if key != "config"}, states[1])
    return None if path is None else f"{path} of the checkpoint differs; {cause}"


def _unequal(first: Any, second: Any, path: str = "") -> str | None:
    """The path of the first part in which two states differ; None where they are equal bit for bit."""
    import torch

    if isinstance(first, dict):
        keys = [key for key in first if key not in second] if isinstance(second, dict) else list(first)
        found = [f"{path}.{keys[0]}"] if keys else [_unequal(first[key], second[key], f"{path}.{key}") for key in first]
    elif isinstance(first, (list, tuple)):
        same = isinstance(second, (list, tuple)) and len(first) == len(second)
        found = (
            [_unequal(*pair, f"{path}.{index}") for index, pair in enumerate(zip(first, second))] if same else [path]
        )
    elif isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
        found = [None if same else path]
    else:
        found = [None if first == second else path]
    return next((part.removeprefix(".") for part in found if part is not None), None)
