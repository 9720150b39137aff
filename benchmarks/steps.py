"""What each feature adds to a step, in microseconds: a model of almost nothing, against the loop by hand, in turn.

python benchmarks/steps.py

All in one process, where the steps of an epoch are timed alone: what is measured is the interpreter, not the heap.
"""

import argparse
import copy
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.nn.functional as F

from benchmarks.contest import contest, report
from benchmarks.made import MadeDataLoader, MadeModel, job, offer
from parse_config import ConfigParser
from train import build

BATCH_SIZE, STEPS = 8, 2000
FEATURES: dict[str, dict[str, Any]] = {
    "as bare as it gets": {},
    "that, without seeding": {},
    "log_step 10": {"trainer": {"log_step": 10}},
    "log_step 10, TensorBoard": {"trainer": {"log_step": 10, "tensorboard": True}},
    "accuracy": {"metrics": ["accuracy"]},
    "schedule by step": {"lr_scheduler": {"type": "CosineAnnealingLR", "interval": "step", "args": {"T_max": "auto"}}},
    "clip_grad_norm": {"trainer": {"clip_grad_norm": 1.0}},
    "ema_decay": {"trainer": {"ema_decay": 0.99}},
    "amp bfloat16": {"trainer": {"amp": "bfloat16"}},
    "accumulation 2, a batch": {"trainer": {"accumulation": 2}},
    "save_steps 500": {"trainer": {"save_steps": 500}},
}


def by_hand() -> float:
    """Microseconds a batch of the loop one would write."""
    torch.manual_seed(0)
    model, (x, y) = MadeModel(4), MadeDataLoader(BATCH_SIZE * STEPS, 4, BATCH_SIZE).tensors
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    started = perf_counter()
    for batch in torch.randperm(len(x)).split(BATCH_SIZE):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return 1e6 * (perf_counter() - started) / STEPS


def by_project(name: str) -> Callable[[], float]:
    """A function that trains an epoch with a feature on, and gives microseconds a batch."""

    def train() -> float:
        config = job(BATCH_SIZE * STEPS, 4, 0, BATCH_SIZE)
        config["trainer"]["log_step"] = STEPS
        for section, values in copy.deepcopy(FEATURES[name]).items():
            config[section] = config[section] | values if section == "trainer" else values
        unseeded = patch("trainer.trainer.seed_generators", lambda *place: None)
        with tempfile.TemporaryDirectory() as folder, unseeded if "without seeding" in name else nullcontext():
            config["trainer"]["save_dir"] = folder
            trainer = build(ConfigParser(config, run_id="benchmark"))
            trainer._begin()
            started = perf_counter()
            trainer._train_epoch(1)
            seconds = perf_counter() - started
            trainer.writer.close()
            trainer._log.close()
            logging.getLogger().handlers.clear()
        return 1e6 * seconds / STEPS

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    offer()
    turns = contest({"by hand": by_hand} | {name: by_project(name) for name in FEATURES}, options.rounds)
    floor = turns["by hand"]
    rows = {
        name: {
            "us a batch": statistics.median(values),
            "more": statistics.median(value - least for value, least in zip(values, floor, strict=True)),
        }
        for name, values in turns.items()
    }
    report("steps, microseconds a batch of 8", rows, options.json)


if __name__ == "__main__":
    main()
