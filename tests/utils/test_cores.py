import os
from pathlib import Path

import pytest

from base import BaseDataLoader
from utils.cores import loader_processes, usable_cores

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


def test_auto_loads_with_every_core_of_this_process_up_to_eight(monkeypatch):
    assert loader_processes("auto") == min(8, usable_cores())
    assert [loader_processes(n) for n in (0, 3)] == [0, 3]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    monkeypatch.setenv("WORLD_SIZE", "1000")
    assert loader_processes("auto") == 1


def test_a_loader_takes_auto_for_its_workers():
    loader = BaseDataLoader(list(range(4)), 2, num_workers="auto")
    assert loader.num_workers == loader_processes("auto")
    assert sorted(int(one) for batch in loader for one in batch) == [0, 1, 2, 3]
