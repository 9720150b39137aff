"""How fast the command line answers, and how much memory it takes, as ratios to `import torch`: each command in turn.

python benchmarks/startup.py

"by hand" is `import torch` and a step of Adam on one linear layer: torch imports its compiler there, whoever asks.
"a run of one step" is the whole command for the shipped config, with its checkpoints, logs and one validation.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contest import ROOT, contest, report

BY_HAND = """
import torch
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(64, 64)).sum().backward()
optimizer.step()
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by name."""
    config = json.loads((ROOT / "config.json").read_text())
    broken, slip = folder / "broken.json", folder / "slip.json"
    broken.write_text((ROOT / "config.json").read_text().replace('"args": {}', '"args": {},'))
    config["optimizer"]["args"]["lrr"] = 0.1
    slip.write_text(json.dumps(config))
    train = [sys.executable, "train.py"]
    one_step = ["-s", "trainer.max_steps=1", "-s", f"trainer.save_dir={folder}"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import torch": [sys.executable, "-c", "import torch"],
        "by hand": [sys.executable, "-c", BY_HAND],
        "a run of one step": [*train, "-c", "config.json", *one_step],
        "--help": [*train, "--help"],
        "broken JSON": [*train, "-c", str(broken)],
        "unknown -s path": [*train, "-c", "config.json", "-s", "optimizer.arg.lr=1"],
        "unknown reference": [*train, "-c", "config.json", "-s", "seed=${trainer.epohcs}"],
        "unknown argument": [*train, "-c", str(slip)],
        "--check": [*train, "-c", "config.json", "--check"],
        "--schema": [*train, "--schema"],
    }


def seconds_and_memory(command: list[str]) -> tuple[float, float]:
    """How long a command takes, and the most memory it has resident, in MB; 0 where the system does not say."""
    started = perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not hasattr(os, "wait4"):
        process.wait()
        return perf_counter() - started, 0.0
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it is gone; Popen need not ask
    return perf_counter() - started, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        named = commands(Path(folder))
        arms = {name: partial(seconds_and_memory, command) for name, command in named.items()}
        turns = contest(arms, options.rounds)
    torch = statistics.median(seconds for seconds, _ in turns["import torch"])
    rows = {}
    for name, values in turns.items():
        seconds, memory = (statistics.median(column) for column in zip(*values))
        rows[name] = {"seconds": seconds, "/ import torch": seconds / torch, "MB": memory}
    report("startup, whole commands", rows, options.json)


if __name__ == "__main__":
    main()
