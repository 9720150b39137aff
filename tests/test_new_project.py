"""new_project.py makes a project that trains and passes its tests at once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_new_project_trains_and_passes_its_tests(tmp_path: Path, run_command: Callable) -> None:
    target = tmp_path / "My Project"
    made = run_command("new_project.py", target)  # from a checkout: only what git tracks
    assert made.returncode == 0, made.stderr
    assert 'name = "my-project"' in (target / "pyproject.toml").read_text()
    assert "# My Project" in (target / "README.md").read_text()
    assert [path.name for path in (target / "saved").iterdir()] == [".gitkeep"]
    assert not any((target / name).exists() for name in (".git", "benchmarks", "docs", "new_project.py"))
    trained = run_command("train.py", "-c", "config.json", "-s", "trainer.epochs=1", cwd=target)
    assert trained.returncode == 0, trained.stderr
    assert (target / "saved" / "models" / "Digits").is_dir()
    # all of its tests would run these again; the quick ones and one whole run show that they are there and pass
    quick = ["tests/settings/test_checking.py", "tests/test_layout.py", "tests/utils/test_losses.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick]
    tested = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=300)
    assert tested.returncode == 0, tested.stdout


def test_a_path_that_exists_is_refused(tmp_path: Path, run_command: Callable) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    refused = run_command("new_project.py", tmp_path)
    assert refused.returncode == 2
    assert "exists" in refused.stderr
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_a_path_inside_this_project_is_refused(run_command: Callable) -> None:
    assert run_command("new_project.py", "models/copy").returncode == 2
    assert not (ROOT / "models").exists()
