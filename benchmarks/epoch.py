"""Seconds an epoch, training and validation, of whole jobs: the project beside the loop one would write, in turn.

python benchmarks/epoch.py                              the digits that come with the project
python benchmarks/epoch.py --data-dir data              and MNIST, from data/MNIST/raw

By hand (the floor): eager PyTorch over tensors that are ready, the same model, optimizer, batch size and threads; the
loss and the accuracy of the validation part after each epoch. The project has on what its config has on: metrics,
validation, logs, TensorBoard, checkpoints, exactness. The tutorial's loop has a DataLoader with two workers and
torchvision's transforms for each sample, as pytorch.org teaches it.
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

from benchmarks.contest import contest, report
from data_loader import data_loaders
from model import model as module_arch
from parse_config import ConfigParser
from settings.inheritance import read_extended
from train import build

ROOT = Path(__file__).parent.parent
LOSSES = {"cross_entropy": F.cross_entropy, "nll_loss": F.nll_loss}


def by_hand(config: dict[str, Any]) -> Callable[[], float]:
    """A function that trains and validates an epoch of the loop one would write."""
    args = config["data_loader"]["args"]
    loader = getattr(data_loaders, config["data_loader"]["type"])(**args)
    images = torch.cat([loader.transform(part) for part in loader.tensors[0].split(1000)])
    labels, valid = loader.tensors[1], torch.as_tensor(loader.valid_sampler)
    train = torch.as_tensor(loader.sampler.indices)
    model = getattr(module_arch, config["arch"]["type"])(**config["arch"].get("args", {}))
    optimizer_args = {key: value for key, value in config["optimizer"]["args"].items() if key != "fused"}
    optimizer = getattr(torch.optim, config["optimizer"]["type"])(model.parameters(), **optimizer_args)
    loss_function = LOSSES[config["loss"]]

    def epoch() -> float:
        started = perf_counter()
        model.train()
        for batch in train[torch.randperm(len(train))].split(args["batch_size"]):
            loss = loss_function(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        losses, right = 0.0, 0
        with torch.no_grad():
            for batch in valid.split(args["batch_size"]):
                output = model(images[batch])
                losses += float(loss_function(output, labels[batch], reduction="sum"))
                right += int((output.argmax(dim=1) == labels[batch]).sum())
        return perf_counter() - started

    return epoch


def by_project(config: dict[str, Any]) -> Callable[[], float]:
    """A function that trains the next epoch of a run of the config."""
    folder = tempfile.mkdtemp()
    config = json.loads(json.dumps(config))
    config["trainer"] |= {"epochs": 1000, "save_dir": folder, "verbosity": 0, "threads": torch.get_num_threads()}
    trainer = build(ConfigParser(config, run_id="benchmark"))
    trainer._begin()
    logging.getLogger().handlers.clear()

    def epoch() -> float:
        started = perf_counter()
        number = trainer._epochs_done() + 1
        log = {"epoch": number, **trainer._train_epoch(number)}
        trainer._epoch = number
        trainer._end_epoch(number, log)
        return perf_counter() - started

    return epoch


def by_tutorial(data_dir: str, batch_size: int) -> Callable[[], float]:
    """A function that trains and validates an epoch of MNIST as the tutorials do."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.MNIST(data_dir, train=True, transform=normalize)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
    train, valid = Subset(data, order[6000:]), Subset(data, order[:6000])
    train_loader = DataLoader(train, batch_size, shuffle=True, num_workers=2)
    valid_loader = DataLoader(valid, batch_size, num_workers=2)
    model = module_arch.MnistModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, amsgrad=True)

    def epoch() -> float:
        started = perf_counter()
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.nll_loss(model(images), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for images, labels in valid_loader:
                right += (model(images).argmax(1) == labels).sum().item()
        return perf_counter() - started

    return epoch


def without_fused(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the optimizer in the form that torch takes by itself."""
    optimizer = config["optimizer"] | {"args": config["optimizer"]["args"] | {"fused": False}}
    return config | {"optimizer": optimizer}


def digits(rounds: int, path: Path | None) -> None:
    """The shipped config, and without the augmentation that the loop by hand has not."""
    config = json.loads((ROOT / "config.json").read_text())
    plain = json.loads(json.dumps(config))
    plain["data_loader"]["args"]["augment"] = False
    arms = {"by hand": by_hand(plain), "config.json without augmentation": by_project(plain)}
    arms["config.json"] = by_project(config)
    report("digits, seconds an epoch", contest(arms, rounds), "by hand", path=path)


def mnist(rounds: int, data_dir: str, path: Path | None) -> None:
    """The old template's job in the forms that configs/ has."""
    configs = {name: read_extended(ROOT / "configs" / f"{name}.json").tree for name in ("mnist", "mnist_fast")}
    for config in configs.values():
        config["data_loader"]["args"]["data_dir"] = data_dir
    arms = {
        "by hand": by_hand(configs["mnist"]),
        "the tutorial's loop": by_tutorial(data_dir, 128),
        "the old template's config": by_project(without_fused(configs["mnist"])),
        "configs/mnist.json": by_project(configs["mnist"]),
        "configs/mnist_fast.json": by_project(configs["mnist_fast"]),
    }
    report("MNIST, seconds an epoch", contest(arms, rounds), "by hand", path=path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="the folder that holds MNIST/raw; without it only the digits")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    folder = arguments.json
    digits(arguments.rounds, folder and folder / "digits.json")
    if arguments.data_dir:
        mnist(max(1, arguments.rounds // 4), arguments.data_dir, folder and folder / "mnist.json")
