"""Seconds an epoch, training and validation, of whole jobs: the project beside the loop one would write, in turn.

python benchmarks/epoch.py                              the digits that come with the project
python benchmarks/epoch.py --data-dir data              and MNIST, from data/MNIST/raw, beside the libraries installed
python benchmarks/epoch.py --data-dir data --old-template FOLDER      and beside a checkout of the old template

By hand (the floor): eager PyTorch over tensors that are ready, the same model, optimizer, batch size and threads; the
loss and the accuracy of the validation part after each epoch. The project has on what its config has on: metrics,
validation, logs, TensorBoard, checkpoints, exactness. The peers are optional: lightning, pytorch-ignite, accelerate,
keras, each measured where it is installed. Each arm is alone in a process (arms.py); "ratio" is the median over the
rounds, "fastest" that of the fastest epochs, "MB more" the peak of resident memory beyond the floor's.
"""

import argparse
import copy
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contest import ROOT, Arm, contest_of_arms, epochs_beside, report
from settings.inheritance import read_extended

PEERS = {"lightning": "lightning", "ignite": "pytorch-ignite", "accelerate": "accelerate", "keras": "keras"}


def config_of(name: str, **data_args: Any) -> dict[str, Any]:
    """A config of the project as a tree, with other arguments for its data."""
    config = copy.deepcopy(read_extended(ROOT / name).tree)
    config["data_loader"]["args"] |= data_args
    return config


def without_fused(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the optimizer in the form that torch takes by itself."""
    return config | {"optimizer": config["optimizer"] | {"args": config["optimizer"]["args"] | {"fused": False}}}


def installed() -> dict[str, str]:
    """The peers that are there, by the name of their arm, with their versions."""
    found = {}
    for way, package in PEERS.items():
        try:
            found[way] = f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return found


def digits(threads: int) -> dict[str, Arm]:
    """The shipped config, and without the augmentation that the loop by hand has not."""
    plain = config_of("config.json", augment=False)
    return {
        "by hand": Arm("hand", config=plain, threads=threads),
        "config.json without augmentation": Arm("project", config=plain, threads=threads),
        "config.json": Arm("project", config=config_of("config.json"), threads=threads),
    }


def mnist(threads: int, data_dir: str, old_template: str | None) -> dict[str, Arm]:
    """The old template's job in the forms that configs/ has, and its peers."""
    job = config_of("configs/mnist.json", data_dir=data_dir)
    fast = config_of("configs/mnist_fast.json", data_dir=data_dir)
    arms = {
        "by hand": Arm("hand", config=job, threads=threads),
        "the old template's config": Arm("project", config=without_fused(job), threads=threads),
        "configs/mnist.json": Arm("project", config=job, threads=threads),
        "configs/mnist_fast.json": Arm("project", config=fast, threads=threads),
        "the tutorials' loop": Arm("tutorial", config=job, threads=threads),
    }
    for way, name in installed().items():
        arms[name] = Arm(way, config=job, threads=threads)
    if old_template is not None:
        arms["the old template"] = Arm("old_template", config=job | {"folder": old_template}, threads=threads)
    return arms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="the folder that holds MNIST/raw; without it only the digits")
    parser.add_argument("--old-template", help="a checkout of victoresque/pytorch-template, to measure it too")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    title = f"s an epoch, {options.threads} thread(s)"
    turns = contest_of_arms(digits(options.threads), options.rounds)
    report(f"digits, {title}", epochs_beside("by hand", turns), options.json)
    if options.data_dir:
        arms = mnist(options.threads, options.data_dir, options.old_template)
        turns = contest_of_arms(arms, max(1, options.rounds // 3))
        report(f"MNIST, {title}", epochs_beside("by hand", turns), options.json)


if __name__ == "__main__":
    main()
