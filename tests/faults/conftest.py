"""What the harness did, at the end of a test run."""

from typing import Any

from tests.faults.harness import COUNTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if COUNTS:
        terminalreporter.write_line(", ".join(f"{count} {what}" for what, count in sorted(COUNTS.items())))
