"""How many cores there really are for this process."""

import math
import os
from pathlib import Path
from typing import Any, Literal

from utils import dist
from utils.control_groups import MINE, ROOT, control_groups, text_of

MOST_LOADERS = 8


def loader_processes(num_workers: int | Literal["auto"]) -> int:
    """That many; "auto" is this process's share of the cores, at most 8.

    Also where the CPU computes: those whose batches are not waited for stand still.
    """
    if num_workers != "auto":
        return num_workers
    return max(1, min(MOST_LOADERS, usable_cores() // dist.local_world_size()))


def cores_in_words(loader: Any) -> str:
    """What computes and what loads, for the log."""
    import torch

    loads = getattr(loader, "num_workers", 0)
    return f"threads: {torch.get_num_threads()}, cores: {usable_cores()}, loader processes: {loads}"


def usable_cores(root: Path = ROOT, mine: Path = MINE) -> int:
    """Those that this process is bound to, and no more than the quotas of its control groups come to."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, is_version_1 in control_groups("cpu", root, mine):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_version_1 else ("cpu.max",)
        words = [word for name in names for word in text_of(folder / name).split()]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:  # else without a limit
            cores = min(cores, math.ceil(int(words[0]) / int(words[1])))
    return max(1, cores)
