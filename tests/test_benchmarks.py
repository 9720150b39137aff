"""The benchmarks run; what they measure is for a quiet machine."""

from collections.abc import Callable


def test_the_loop_benchmark_prints_its_ratio(run_command: Callable) -> None:
    finished = run_command("benchmarks/loop.py", "--turns", "1", "--epochs", "2")
    assert finished.returncode == 0, finished.stderr
    assert "ratio" in finished.stdout
