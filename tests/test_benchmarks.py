"""The benchmarks run; what they measure is for a quiet machine."""

from collections.abc import Callable


def test_the_epoch_benchmark_prints_its_ratio(run_command: Callable) -> None:
    finished = run_command("benchmarks/epoch.py", "--rounds", "1")
    assert finished.returncode == 0, finished.stderr
    assert "by hand" in finished.stdout


def test_the_startup_benchmark_prints_its_ratios(run_command: Callable) -> None:
    finished = run_command("benchmarks/startup.py", "--turns", "1")
    assert finished.returncode == 0, finished.stderr
    assert [line.split("  ")[0] for line in finished.stdout.splitlines()[1:4]] == [
        "python -c pass",
        "import torch",
        "--help",
    ]


def test_the_safety_benchmark_prints_its_shares(run_command: Callable) -> None:
    finished = run_command("benchmarks/safety.py", "--turns", "1", "--epochs", "2")
    assert finished.returncode == 0, finished.stderr
    assert "% for safety" in finished.stdout


def test_the_checkpoint_benchmark_prints_its_ratio(run_command: Callable) -> None:
    finished = run_command("benchmarks/checkpoint.py", "--turns", "1", "--megabytes", "12")
    assert finished.returncode == 0, finished.stderr
    assert "ratio" in finished.stdout
