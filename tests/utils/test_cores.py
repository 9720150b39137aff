import os
from pathlib import Path

import pytest

from utils.cores import usable_cores

BOUND = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def cores(folder: Path, group: str = "/", **files: str) -> int:
    """The cores in a cgroup tree of these files."""
    (folder / "membership").write_text(f"2:cpu,cpuacct:/box\n1:name=systemd:/x\n0::{group}\n")
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_max", ".max").replace("cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return usable_cores(folder, folder / "membership")


def test_without_a_quota_they_are_those_the_process_is_bound_to(tmp_path):
    assert cores(tmp_path) == cores(tmp_path, cpu_max="max 100000\n") == BOUND


@pytest.mark.parametrize(
    ("quota", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("990000000 100000", BOUND)]
)
def test_a_quota_counts_rounded_up(tmp_path, quota, expected):
    assert cores(tmp_path, cpu_max=quota) == expected


def test_the_quota_of_a_group_around_it_counts_too(tmp_path):
    assert cores(tmp_path, group="/pod/box", pod__cpu_max="100000 100000", pod__box__cpu_max="max 100000") == 1


def test_a_quota_of_the_older_kind_counts(tmp_path):
    assert cores(tmp_path, cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000") == 1
    assert cores(tmp_path, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000") == BOUND


def test_what_is_no_quota_is_none(tmp_path):
    assert cores(tmp_path, cpu_max="many of them") == BOUND
    assert usable_cores(tmp_path / "none", tmp_path / "none") == BOUND
