"""The control groups that this process is in: how a container, or a job under Slurm, bounds what it may take."""

from collections.abc import Iterator
from pathlib import Path

ROOT, MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def control_groups(kind: str, root: Path = ROOT, mine: Path = MINE) -> Iterator[tuple[Path, bool]]:
    """The folders of the groups that bound "cpu" or "memory", the innermost first, and whether each is of version 1."""
    for line in text_of(mine).splitlines():
        _, kinds, inside = line.split(":", 2)
        if kinds and kind not in kinds.split(","):
            continue
        top = root / kind if kinds else root
        folder = top / inside.lstrip("/")
        for place in (folder, *folder.parents):
            yield place, bool(kinds)
            if place == top:
                break


def text_of(path: Path) -> str:
    """What a file of the system says; nothing where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
