"""What each feature adds to a step, in microseconds: a model of almost nothing, against the loop by hand, in turn.

python benchmarks/steps.py
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.nn.functional as F

import data_loader.data_loaders as module_data
import model.model as module_arch
from base import TensorDataLoader
from benchmarks.contest import contest, report
from parse_config import ConfigParser
from train import build

BATCH_SIZE, STEPS = 8, 2000
BARE: dict[str, Any] = {
    "name": "Steps",
    "arch": {"type": "TinyModel"},
    "data_loader": {"type": "TinyDataLoader", "args": {"batch_size": BATCH_SIZE}},
    "optimizer": {"type": "SGD", "args": {"lr": 0.01}},
    "loss": "cross_entropy",
    "trainer": {"epochs": 1, "monitor": "off", "tensorboard": False, "verbosity": 0, "threads": 1, "log_step": STEPS},
}
FEATURES: dict[str, dict[str, Any]] = {
    "as bare as it gets": {},
    "log_step 10": {"trainer": {"log_step": 10}},
    "log_step 10, TensorBoard": {"trainer": {"log_step": 10, "tensorboard": True}},
    "metrics": {"metrics": ["accuracy"]},
    "schedule by step": {"lr_scheduler": {"type": "CosineAnnealingLR", "interval": "step", "args": {"T_max": "auto"}}},
    "clip_grad_norm": {"trainer": {"clip_grad_norm": 1.0}},
    "ema_decay": {"trainer": {"ema_decay": 0.99}},
    "amp bfloat16": {"trainer": {"amp": "bfloat16"}},
    "accumulation 2": {"trainer": {"accumulation": 2}},
    "save_steps 500": {"trainer": {"save_steps": 500}},
}


class TinyModel(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(BATCH_SIZE * STEPS, 4, generator=generator), torch.arange(BATCH_SIZE * STEPS) % 2


class TinyDataLoader(TensorDataLoader):
    def __init__(self, batch_size: int = BATCH_SIZE) -> None:
        super().__init__(tensors(), batch_size)


def offer(kind: type, module: Any) -> None:
    """Lets a config name a class of this file."""
    kind.__module__ = module.__name__
    setattr(module, kind.__name__, kind)


def by_hand() -> float:
    """Seconds of an epoch of the loop one would write."""
    torch.manual_seed(0)
    model, (x, y) = TinyModel(), tensors()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    started = perf_counter()
    for batch in torch.randperm(len(x)).split(BATCH_SIZE):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return perf_counter() - started


def by_project(feature: dict[str, Any]) -> Callable[[], float]:
    """A function that trains an epoch with a feature on, and gives its seconds."""

    def train() -> float:
        config = json.loads(json.dumps(BARE))
        for section, values in feature.items():
            config[section] = config[section] | values if section == "trainer" else values
        with tempfile.TemporaryDirectory() as folder:
            config["trainer"]["save_dir"] = folder
            trainer = build(ConfigParser(config, run_id="benchmark"))
            trainer._begin()
            started = perf_counter()
            trainer._train_epoch(1)
            seconds = perf_counter() - started
            trainer.writer.close()
            trainer._log.close()
            logging.getLogger().handlers.clear()
        return seconds

    return train


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    offer(TinyModel, module_arch)
    offer(TinyDataLoader, module_data)
    arms = {"by hand": by_hand} | {name: by_project(feature) for name, feature in FEATURES.items()}
    times = contest(arms, arguments.rounds)
    per_step = {name: [1e6 * seconds / STEPS for seconds in values] for name, values in times.items()}
    report("microseconds a step", per_step, floor="by hand", difference=True, path=arguments.json)
