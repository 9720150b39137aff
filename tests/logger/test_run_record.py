import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from logger.run_record import write_config, write_run_record

ROOT = Path(__file__).parents[2]


def git(*arguments: str, cwd: Path = ROOT) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    return subprocess.run(["git", *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def record_of_a_copy(folder: Path, prepare=None) -> dict:
    """What a copy of the project in `folder` records of its source."""
    for part in ("logger", "utils"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    if prepare:
        prepare(folder)
    script = "from pathlib import Path; from logger.run_record import *; write_run_record(Path('../run.json'))"
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=os.environ | ceiling, check=True)
    return json.loads((folder.parent / "run.json").read_text())[0]


def test_each_start_adds_an_entry_with_its_facts_and_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "-c", "my config.json"])
    write_run_record(tmp_path / "run.json", seed=0, step=0)
    first = json.loads((tmp_path / "run.json").read_text())
    write_run_record(tmp_path / "run.json", seed=0, step=120)
    starts = json.loads((tmp_path / "run.json").read_text())
    assert starts[:1] == first
    assert [start["step"] for start in starts] == [0, 120]
    assert starts[0]["command"].endswith("train.py -c 'my config.json'")
    assert starts[0]["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_the_source_is_known_again_by_commit_and_difference(tmp_path):
    def prepare(folder: Path) -> None:
        git("init", "-q", cwd=folder)
        git("add", ".", cwd=folder)
        git("commit", "-qm", "x", cwd=folder)
        (folder / "logger" / "progress.py").write_text("changed = 'ü'\n", encoding="utf-8")

    folder = tmp_path / "project"
    found = record_of_a_copy(folder, prepare)["git"]
    assert found["commit"] == git("rev-parse", "HEAD", cwd=folder).strip()
    assert "progress.py" in found["status"]
    assert "+changed = 'ü'" in found["diff"]


def test_looking_at_the_source_writes_nothing_into_its_repository(tmp_path):
    """`git status` would refresh the index, and a kill in the middle of that leave a lock in the user's repository."""

    def prepare(folder: Path) -> None:
        git("init", "-q", cwd=folder)
        git("add", ".", cwd=folder)
        git("commit", "-qm", "x", cwd=folder)
        os.utime(folder / "logger" / "progress.py", (0, 0))
        indices.append((folder / ".git" / "index").read_bytes())

    indices: list[bytes] = []
    folder = tmp_path / "project"
    found = record_of_a_copy(folder, prepare)["git"]
    assert (found["status"], found["diff"]) == ("", "")  # as nothing has changed but a date
    assert (folder / ".git" / "index").read_bytes() == indices[0]
    git("status", cwd=folder)
    assert (folder / ".git" / "index").read_bytes() != indices[0], "there was nothing to refresh"


def test_outside_a_git_checkout_there_is_no_commit_and_no_error(tmp_path):
    record = record_of_a_copy(tmp_path / "project")
    assert record["git"] is None
    assert record["python"].startswith("3.")


def test_the_config_is_written_for_people_to_read(tmp_path):
    config = {"name": "Zähler", "trainer": {"epochs": 3}}
    write_config(tmp_path / "config.json", config)
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert json.loads(text) == config
    assert "Zähler" in text
    assert text.count("\n") > 3
