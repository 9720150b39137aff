"""The benchmarks run; what they measure is for a quiet machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = {
    "checkpoint": ["--rounds", "1", "--megabytes", "12"],
    "data": ["--rounds", "1", "--images", "400"],
    "epoch": ["--rounds", "1"],
    "growth": ["--rounds", "0", "--largest", "16"],
    "safety": ["--rounds", "1", "--epochs", "2"],
    "startup": ["--rounds", "0"],
    "steps": ["--rounds", "0"],
}


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_prints_what_it_writes(name: str, tmp_path: Path, run_command: Callable) -> None:
    finished = run_command(f"benchmarks/{name}.py", *QUICK[name], "--json", tmp_path, timeout=200)
    assert finished.returncode == 0, finished.stderr
    written = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    assert written
    for figures in written:
        assert figures["title"] in finished.stdout
        for row, columns in figures["rows"].items():
            assert row in finished.stdout
            assert all(isinstance(value, (int, float)) for value in columns.values())


def test_every_benchmark_is_tested_and_told_of() -> None:
    folder = Path(__file__).parents[1] / "benchmarks"
    commands = {path.stem for path in folder.glob("*.py") if "argparse" in path.read_text()}
    assert commands == set(QUICK)
    assert all(f"benchmarks/{name}.py" in (folder / "README.md").read_text() for name in QUICK)
