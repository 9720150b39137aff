"""How many cores there really are for this process."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Those that this process is bound to, and no more than the quota of its container (cgroup v2 or v1) comes to."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(cgroup, membership))]))


def _quotas(cgroup: Path, membership: Path) -> list[float]:
    """The quotas that hold for this process, in cores: of its group and of all groups around it."""
    try:
        group = next(line[3:] for line in membership.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        group = "/"
    here = cgroup / group.lstrip("/")
    folders = [here, *(folder for folder in here.parents if folder.is_relative_to(cgroup))]
    found = [_cores(_words(folder / "cpu.max")) for folder in folders]
    v1 = [_words(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    return [quota for quota in (*found, _cores([word for words in v1 for word in words])) if quota is not None]


def _cores(words: list[str]) -> float | None:
    """A quota and its period, in microseconds, as cores; None without a limit."""
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
