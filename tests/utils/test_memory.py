"""Memory taken and memory left, as the system says."""

import sys
from pathlib import Path

import pytest
import torch

from utils import memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_that_since_it_was_reset() -> None:
    memory.reset_peak()
    before = memory.resident()
    torch.ones(2**24).sum()  # 64 MiB
    assert memory.peak() - before > 60 * 2**20
    memory.reset_peak()
    assert before / 2 < memory.resident() <= memory.peak()


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
