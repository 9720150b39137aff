"""How fast the command line answers: seconds of each, in turn, as ratios to `python -c pass` and `import torch`.

python benchmarks/startup.py
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parent.parent


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by name."""
    config = json.loads((ROOT / "config.json").read_text())
    broken, slip = folder / "broken.json", folder / "slip.json"
    broken.write_text((ROOT / "config.json").read_text().replace('"args": {}', '"args": {},'))
    config["optimizer"]["args"]["lrr"] = 0.1
    slip.write_text(json.dumps(config))
    train = [sys.executable, "train.py"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import torch": [sys.executable, "-c", "import torch"],
        "--help": [*train, "--help"],
        "broken JSON": [*train, "-c", str(broken)],
        "unknown -s path": [*train, "-c", "config.json", "-s", "optimizer.arg.lr=1"],
        "unknown reference": [*train, "-c", "config.json", "-s", "seed=${trainer.epohcs}"],
        "unknown argument": [*train, "-c", str(slip)],
        "--check": [*train, "-c", "config.json", "--check"],
        "--schema": [*train, "--schema"],
    }


def seconds(command: list[str]) -> float:
    started = perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7, help="how often each is run, one after the other (default: 7)")
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        named = commands(Path(folder))
        for command in named.values() if turns > 1 else ():  # the first reads files from the disk
            seconds(command)
        taken = {name: [] for name in named}  # type: dict[str, list[float]]
        for _ in range(turns):
            for name, command in named.items():
                taken[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    print(f"{'':<20}{'seconds':>9}{'/ pass':>9}{'/ torch':>9}")
    for name, median in medians.items():
        plain, torch = median / medians["python -c pass"], median / medians["import torch"]
        print(f"{name:<20}{median:>9.3f}{plain:>9.1f}{torch:>9.2f}")


if __name__ == "__main__":
    main()
