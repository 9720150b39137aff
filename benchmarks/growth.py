"""How the project's ratio to the loop by hand changes with the size of data, model and batch.

python benchmarks/growth.py

Made data, three linear layers; an epoch with validation, each arm alone in a process, in turn.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contest import Arm, contest_of_arms, epochs_beside, report
from benchmarks.made import job

BASE = {"n": 16_384, "features": 64, "width": 128, "batch_size": 64}
GROWTH = {
    "n": (4_096, 16_384, 65_536, 262_144),
    "width": (16, 128, 512, 1024),
    "batch_size": (8, 64, 512, 4_096),
}
COLUMNS = ("s an epoch", "ratio", "fastest", "MB more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, help="leave out what is larger: a quick look")
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for part, values in GROWTH.items():
        for value in values:
            if options.largest is not None and value > options.largest:
                continue
            config = job(**BASE | {part: value}, validation_split=0.1)
            arms = {
                "by hand": Arm("hand", config=config, threads=1),
                "project": Arm("project", config=config, threads=1),
            }
            row = epochs_beside("by hand", contest_of_arms(arms, options.rounds))["project"]
            rows[f"{part} {value}"] = {column: row[column] for column in COLUMNS}
    base = ", ".join(f"{part} {value}" for part, value in BASE.items())
    report(f"growth, from {base}", rows, options.json)


if __name__ == "__main__":
    main()
