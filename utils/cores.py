"""How many cores there really are for this process."""

import math
import os
from pathlib import Path

from utils.control_groups import MINE, ROOT, control_groups, text_of


def usable_cores(root: Path = ROOT, mine: Path = MINE) -> int:
    """Those that this process is bound to, and no more than the quotas of its control groups come to."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, is_version_1 in control_groups("cpu", root, mine):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_version_1 else ("cpu.max",)
        words = [word for name in names for word in text_of(folder / name).split()]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:  # else without a limit
            cores = min(cores, math.ceil(int(words[0]) / int(words[1])))
    return max(1, cores)
