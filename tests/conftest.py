"""What all tests share: one compute thread, the project's folder, and runs of the real commands."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True)
def no_log_stays_open() -> Iterator[None]:
    """Closes the log files of runs that a test started in this process."""
    yield
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture
def run_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python SCRIPT ARGUMENTS` of the project as a user would; gives back exit code and output."""

    def run(script: str, *arguments: object, cwd: Path = ROOT, timeout: float = 120, **environment: str) -> Any:
        return subprocess.run(
            [sys.executable, script, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **environment},
        )

    return run


@pytest.fixture
def digits_config(tmp_path: Path) -> dict[str, Any]:
    """The shipped config, shrunk to two short epochs in a temporary folder."""
    config = json.loads((ROOT / "config.json").read_text())
    config["trainer"] |= {"epochs": 2, "len_epoch": 5, "log_step": 2, "save_dir": str(tmp_path), "tensorboard": False}
    return config
