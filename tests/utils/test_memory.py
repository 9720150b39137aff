"""Memory taken and memory left, as the system says."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils import memory

ROOT = Path(__file__).parents[2]
FAULTS = """
import resource
import sys
import torch
from utils import memory

memory.keep_freed_memory()
for part in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**20), torch.ones(2**21)  # 4 and 8 MiB
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
taken = memory.resident()
memory.give_back_freed_memory()
print(pages, taken - memory.resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_that_since_it_was_reset() -> None:
    memory.give_back_freed_memory()  # else what earlier tests have freed may be taken first
    memory.reset_peak()
    before = memory.resident()
    torch.ones(2**24).sum()  # 64 MiB
    assert memory.peak() - before > 60 * 2**20
    memory.reset_peak()
    assert before / 2 < memory.resident() <= memory.peak()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
@pytest.mark.parametrize("told", [{}, {"MALLOC_TRIM_THRESHOLD_": "1000"}], ids=["silent", "told otherwise"])
def test_what_is_freed_is_kept_unless_somebody_says_otherwise(told: dict[str, str]) -> None:
    """In a process of its own, for which it is decided once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], cwd=ROOT, env=environment | told, capture_output=True, text=True, check=True
    )
    pages, given_back = map(int, done.stdout.split())
    if told:
        assert pages > 10 * 4 * 2**20 / 4096  # taken anew each time
    else:
        assert pages < 100
        assert given_back > 8 * 2**20


def test_there_is_memory_left() -> None:
    left = memory.available()
    assert left is None or left > 10**6
    assert memory.resident() >= 0


def test_a_control_group_that_allows_less_counts(tmp_path: Path) -> None:
    files = {
        "fs/job/memory.max": "1000\n",
        "fs/job/memory.current": "700\n",
        "fs/job/memory.stat": "anon 600\ninactive_file 50\n",
        "fs/job/step/memory.max": "max\n",
        "fs/job/step/memory.current": "600\n",
        "fs/memory/box/memory.limit_in_bytes": "500\n",
        "fs/memory/box/memory.usage_in_bytes": "600\n",
        "mine": "4:memory:/box\n3:cpuset:/\n0::/job/step\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory._left_of_groups(tmp_path / "fs", tmp_path / "mine") == [0, 350]
    assert memory._left_of_groups(tmp_path / "none", tmp_path / "none") == []
