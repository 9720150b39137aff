"""What the project adds to the loop one would write by hand: seconds an epoch of each, in turn, and their ratio.

python benchmarks/loop.py                               the digits that come with the project
python benchmarks/loop.py --data-dir data               MNIST, from data/MNIST/raw

By hand: eager PyTorch over tensors that are ready, the same model, optimizer, batch size and number of threads; no
metrics, no log, no checkpoints. The project: its train.py with all of them (validation and augmentation off, as the
loop by hand has none).
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.nn.functional as F

import model.model as module_arch
import trainer.trainer as module_trainer
from data_loader import data_loaders
from parse_config import ConfigParser
from train import main

ROOT = Path(__file__).parent.parent


def by_hand(config: dict[str, Any], epochs: int, loss_function: Any) -> list[float]:
    """Seconds of each epoch of the loop one would write."""
    args = config["data_loader"]["args"]
    loader = getattr(data_loaders, config["data_loader"]["type"])(**args)
    images = torch.cat([loader.transform(part) for part in loader.tensors[0].split(1000)])
    labels = loader.tensors[1]
    model = getattr(module_arch, config["arch"]["type"])(**config["arch"].get("args", {}))
    optimizer = getattr(torch.optim, config["optimizer"]["type"])(model.parameters(), **config["optimizer"]["args"])
    seconds = []
    model.train()
    for _ in range(epochs):
        started = perf_counter()
        for batch in torch.randperm(len(images)).split(args["batch_size"]):
            loss = loss_function(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        seconds.append(perf_counter() - started)
    return seconds


def by_project(config: dict[str, Any], epochs: int) -> list[float]:
    """Seconds of each epoch of train.py, with its log and its checkpoint."""
    moments = [perf_counter()]

    class Timed(module_trainer.Trainer):
        def _begin(self) -> None:
            super()._begin()
            moments[0] = perf_counter()

        def _end_epoch(self, epoch: int, log: dict[str, Any], **timing: float) -> None:
            super()._end_epoch(epoch, log, **timing)
            moments.append(perf_counter())

    Timed.__module__ = module_trainer.__name__  # a config may name only what is the module's own
    module_trainer.Timed = Timed  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        config["trainer"] |= {"type": "Timed", "epochs": epochs, "save_dir": folder}
        main(ConfigParser(json.loads(json.dumps(config)), run_id="benchmark"))
        logging.getLogger().handlers.clear()
    return [after - before for before, after in pairwise(moments)]


def run(config: dict[str, Any], loss_function: Any, epochs: int, turns: int, threads: int) -> None:
    """Measures in turn and prints medians and the ratio."""
    torch.set_num_threads(threads)
    config["trainer"] |= {"threads": threads, "monitor": "off", "verbosity": 0}
    hand, project = [], []
    for _ in range(turns):
        hand += by_hand(config, epochs, loss_function)[1:]  # the first epoch warms up
        project += by_project(config, epochs)[1:]
    a, b = statistics.median(hand), statistics.median(project)
    print(f"{config['name']}: {turns} turns of {epochs} epochs, {threads} thread(s), torch {torch.__version__}")
    print(f"  by hand  {a:.4f} s an epoch (median; {min(hand):.4f} to {max(hand):.4f})")
    print(f"  project  {b:.4f} s an epoch (median; {min(project):.4f} to {max(project):.4f})")
    print(f"  ratio    {b / a:.3f}")


def digits() -> tuple[dict[str, Any], Any]:
    """The shipped config, without validation and augmentation."""
    config = json.loads((ROOT / "config.json").read_text())
    config["data_loader"]["args"] |= {"validation_split": 0.0, "augment": False, "drop_last": False}
    config.pop("lr_scheduler")
    return config, F.cross_entropy


def mnist(data_dir: str) -> tuple[dict[str, Any], Any]:
    """The old template's LeNet on MNIST."""
    config, _ = digits()
    config |= {"name": "Mnist", "arch": {"type": "MnistModel"}, "loss": "nll_loss"}
    args = {"data_dir": data_dir, "batch_size": 128, "shuffle": True}
    config |= {"data_loader": {"type": "MnistDataLoader", "args": args}}
    config["optimizer"] = {"type": "Adam", "args": {"lr": 0.001, "amsgrad": True}}
    return config, F.nll_loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="the folder that holds MNIST/raw; without it only the digits")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    run(*digits(), arguments.epochs, arguments.turns, arguments.threads)
    if arguments.data_dir:
        run(*mnist(arguments.data_dir), min(arguments.epochs, 3), min(arguments.turns, 2), arguments.threads)
