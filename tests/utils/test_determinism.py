import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from utils.determinism import fix_algorithms, fix_threads

ROOT = Path(__file__).parents[2]
BEFORE = "import json, logging, warnings, torch\nfrom utils.determinism import *\nlogging.basicConfig()\n"
AFTER = "\nprint(json.dumps(nondeterministic_operations()))"
PUT = "torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))\n"
SEVERAL_WORDS = "median CUDA with indices output does not have a deterministic implementation, but you set ..."


@pytest.fixture
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(script: str) -> tuple[list[str], list[str]]:
    """The operations that a script's process has noted, and the lines it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BEFORE + script + AFTER]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout), finished.stderr.splitlines()


@pytest.fixture(scope="module")
def watched():
    fix = "fix_algorithms(True)\n"
    return run(fix + fix + PUT + PUT + f"warnings.warn('of my own')\nwarnings.warn({SEVERAL_WORDS!r})")


@pytest.mark.usefixtures("threads_as_before")
def test_threads_are_as_many_as_asked_for():
    assert fix_threads(1) == torch.get_num_threads() == 1


@pytest.mark.usefixtures("threads_as_before")
def test_automatic_threads_are_half_of_the_cores_shared_by_the_processes_of_a_machine(monkeypatch):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert fix_threads("auto") == torch.get_num_threads() == max(1, cores // 2)
    monkeypatch.setenv("WORLD_SIZE", str(cores + 1))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores + 1))
    assert fix_threads("auto") == torch.get_num_threads() == 1


def test_an_operation_without_a_deterministic_form_is_named_once(watched):
    operations, lines = watched
    assert "put_" in operations
    assert len([line for line in lines if line.startswith("WARNING:trainer:put_ has no deterministic form")]) == 1


def test_an_operation_whose_name_has_several_words_is_named(watched):
    assert "median CUDA with indices output" in watched[0]


def test_other_warnings_are_shown_as_before(watched):
    assert any("UserWarning: of my own" in line for line in watched[1])


def test_it_is_named_though_the_project_ignores_warnings():
    operations, _ = run("warnings.simplefilter('ignore')\nfix_algorithms(True)\n" + PUT)
    assert operations == ["put_"]


def test_switched_off_nothing_is_watched_or_warned_of():
    shown = warnings.showwarning
    fix_algorithms(False)
    torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    assert warnings.showwarning is shown


def test_cublas_gets_a_workspace_unless_the_user_chose_one(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    fix_algorithms(False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    fix_algorithms(False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
