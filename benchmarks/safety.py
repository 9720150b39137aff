"""What it costs that a run can be killed anywhere: the share of its time that goes into what makes it so.

python benchmarks/safety.py                             the shipped config
python benchmarks/safety.py --data-dir data             and MNIST, from data/MNIST/raw

Counted are: syncs to the disk, reading back the first checkpoint, looking whether weights are finite, status.json, and
listening for signals between steps. Two whole runs differ by more than that on a machine that does other things too.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contest import ROOT, report
from parse_config import ConfigParser
from settings.inheritance import read_extended
from train import build
from utils.stopping import Stopping

PARTS = {
    "syncs": ("utils.platform_files.sync_folder", "utils.checkpoint.sync_file", "logger.metrics_log.sync_file"),
    "reading back": ("utils.checkpoint.read",),
    "finite weights": ("utils.checkpoint_folder.is_finite",),
    "status.json": ("base.base_trainer.write_status",),
    "signals": ("utils.stopping.Stopping.poll",),
}


def timed(function: Callable, spent: dict[str, float], part: str) -> Callable:
    """The function, whose time is added up; what it calls of the others is a part of it."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        before, started = dict(spent), perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            spent.update(before)
            spent[part] += perf_counter() - started

    return run


def waiting_for_data() -> float:
    """Seconds that it takes to be interruptible while waiting for a batch."""
    stopping, started = Stopping(), perf_counter()
    for _ in range(10_000):
        with stopping.interruptible:
            pass
    return (perf_counter() - started) / 10_000


def train(config: dict[str, Any]) -> tuple[float, dict[str, float]]:
    """How long a run takes, and how much of it goes into each part."""
    spent = dict.fromkeys(PARTS, 0.0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = json.loads(json.dumps(config))
        config["trainer"] |= {"save_dir": folder, "verbosity": 0}
        trainer = build(ConfigParser(config, run_id="benchmark"))
        for part, names in PARTS.items():
            for name in names:
                mocked = patch(name)
                original, _ = mocked.get_original()
                stack.enter_context(patch(name, timed(original, spent, part)))
        started = perf_counter()
        trainer.train()
        taken = perf_counter() - started
        spent["signals"] += trainer.step * waiting_for_data()
        logging.getLogger().handlers.clear()
    return taken, spent


def shares(config: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Seconds of a run and, in percent of them, the median of each part and of all."""
    runs = [train(config) for _ in range(rounds)]
    row = {"seconds": statistics.median(taken for taken, _ in runs)}
    row["% safety"] = 100 * statistics.median(sum(spent.values()) / taken for taken, spent in runs)
    return row | {part: 100 * statistics.median(spent[part] / taken for taken, spent in runs) for part in PARTS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of the shipped config; default: its own")
    parser.add_argument("--data-dir", help="the folder with MNIST/raw")
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    digits = json.loads((ROOT / "config.json").read_text())
    digits["trainer"]["epochs"] = options.epochs or digits["trainer"]["epochs"]
    rows = {"config.json": shares(digits, options.rounds)}
    if options.data_dir:
        mnist = read_extended(ROOT / "configs" / "mnist.json").tree
        mnist["data_loader"]["args"]["data_dir"] = options.data_dir
        mnist["trainer"]["epochs"] = 3
        rows["configs/mnist.json, 3 epochs"] = shares(mnist, options.rounds)
    report("safety, percent of a run", rows, options.json)


if __name__ == "__main__":
    main()
