"""How much memory this process takes and keeps, and how much the machine has left for it."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from utils.control_groups import MINE, ROOT, control_groups, text_of

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of mallopt, in glibc's malloc.h


def keep_freed_memory() -> None:
    """Has the C library keep what a step frees for the next one, where it is glibc and nobody has set it otherwise.

    By itself it gives most of it back to the system, and each step then takes its memory anew, page by page.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    _of_libc("mallopt", MMAP_THRESHOLD, 2**30) or _of_libc("mallopt", MMAP_THRESHOLD, 2**25)  # older ones take no more
    _of_libc("mallopt", TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Gives it back to the system after all."""
    _of_libc("malloc_trim", 0)


def _of_libc(name: str, *arguments: int) -> int:
    """What a function of the C library answers; 0 where it has none of that name: musl, macOS, Windows."""
    try:
        return getattr(ctypes.CDLL(None), name)(*arguments)
    except (AttributeError, OSError, TypeError):
        return 0


def resident() -> int:
    """The bytes of memory that this process takes now; 0 where the system does not say."""
    fields = _fields(Path("/proc/self/status"))
    return fields.get("VmRSS", 0) if fields else _most_ever()


def reset_peak() -> None:
    """From here on `peak` counts anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most bytes that this process has taken since `reset_peak`, or since it began; 0 where nobody knows."""
    return _fields(Path("/proc/self/status")).get("VmHWM") or _most_ever()


def available() -> int | None:
    """The bytes that this process may still take without pushing others out; None where the system does not say."""
    free = _fields(Path("/proc/meminfo")).get("MemAvailable")
    if free is None and hasattr(os, "sysconf"):  # no Linux: half of what there is, whatever it holds now
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return None if free is None else min([free, *_left_of_groups()])


def _left_of_groups(root: Path = ROOT, mine: Path = MINE) -> list[int]:
    """What the control groups of this process still allow."""
    left = []
    for place, is_version_1 in control_groups("memory", root, mine):
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if is_version_1 else ("memory.max", "memory.current")
        limit, used = (text_of(place / name).strip() for name in names)
        if limit.isdecimal() and used.isdecimal():
            left.append(max(0, int(limit) - int(used) + _cached(place / "memory.stat", is_version_1)))
    return left


def _cached(path: Path, with_groups_inside: bool) -> int:
    """The bytes that hold pages of files, which give way."""
    name = "total_inactive_file" if with_groups_inside else "inactive_file"
    return next((int(line.split()[1]) for line in text_of(path).splitlines() if line.startswith(f"{name} ")), 0)


def _fields(path: Path) -> dict[str, int]:
    """The sizes in a file of lines such as "VmRSS:  1024 kB", in bytes."""
    rows = (line.split() for line in text_of(path).splitlines() if line.endswith(" kB"))
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def _most_ever() -> int:
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # Windows
        return 0
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
