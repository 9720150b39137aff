"""How long training stands still for a checkpoint: written in the foreground, and in the background, in turn.

python benchmarks/checkpoint.py --megabytes 200
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from benchmarks.contest import against, report
from utils.background_save import BackgroundCheckpoints
from utils.checkpoint_folder import CheckpointFolder


def state_of(megabytes: int) -> dict[str, Any]:
    """Weights, and two moments of each, in layers of 4 MB."""
    layers = max(1, megabytes // 12)
    weights, *moments = ({f"{index}": torch.rand(2**20) for index in range(layers)} for _ in range(3))
    kept = {index: {"exp_avg": moments[0][f"{index}"], "exp_avg_sq": moments[1][f"{index}"]} for index in range(layers)}
    return {"format": 1, "state_dict": weights, "optimizer": {"state": kept}, "config": {}, "step": 0}


def run(megabytes: int, turns: int, to: Path | None) -> None:
    """Prints the median stall of both, and their ratio."""
    state, taken = state_of(megabytes), {"foreground": [], "background": []}  # type: ignore[var-annotated]
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"foreground": CheckpointFolder, "background": BackgroundCheckpoints}
        folders = {}
        for name, kind in kinds.items():
            (Path(folder) / name).mkdir()
            folders[name] = kind(Path(folder) / name, parameters=list(state["state_dict"]))
        for turn in range(turns + 1):
            for name, checkpoints in folders.items():
                started = perf_counter()
                checkpoints.save(state)
                seconds = perf_counter() - started
                checkpoints.wait()
                if turn > 0:  # the first makes the buffers
                    taken[name].append(seconds)
    rows = {
        name: {"ms": 1000 * statistics.median(seconds), "ratio": against(taken["foreground"], seconds)}
        for name, seconds in taken.items()
    }
    report(f"checkpoint stall, of {megabytes} MB", rows, to)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="a folder for the figures")
    arguments = parser.parse_args()
    run(arguments.megabytes, arguments.rounds, arguments.json)
