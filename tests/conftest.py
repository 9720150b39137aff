"""What all tests share: one compute thread, the project's folder, and runs of the real commands."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.forked import READ_AT_START, Forked, ForkServer

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


@pytest.fixture(scope="session")
def fork_server() -> Iterator[Callable[[], ForkServer]]:
    """Gives the one fork server of a test run, once it is needed."""
    server = cache(ForkServer)
    yield server
    if server.cache_info().currsize:
        server().close()


@pytest.fixture(scope="session")
def start_command(fork_server: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Forked]:
    """Starts `python SCRIPT ARGUMENTS` of the project, for a test that kills it or sends it signals."""

    def start(script: str, *arguments: object, **options: Any) -> Forked:
        return fork_server().start(tmp_path_factory.mktemp("output"), script, *arguments, **options)

    return start


@pytest.fixture(scope="session")
def run_command(start_command: Callable) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python SCRIPT ARGUMENTS` of the project as a user would; gives back exit code and output.

    In a process that is forked from one with torch in it, where that makes no difference: two seconds less a run.
    """

    def run(script: str, *arguments: object, cwd: Path = ROOT, timeout: float = 120, **environment: str) -> Any:
        if os.name == "posix" and script.endswith(".py") and not READ_AT_START & environment.keys():
            return start_command(script, *arguments, cwd=cwd, **environment).wait(timeout)
        command, whole = [sys.executable, script, *map(str, arguments)], {**os.environ, **environment}
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env=whole)

    return run


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of the project in which a test may put files of its own."""
    left = shutil.ignore_patterns(".*", "saved", "tests", "MNIST", "__pycache__", "*.egg-info", "build")
    return Path(shutil.copytree(ROOT, tmp_path / "project", ignore=left))


@pytest.fixture
def digits_config(tmp_path: Path) -> dict[str, Any]:
    """The shipped config, shrunk to two short epochs in a temporary folder."""
    config = json.loads((ROOT / "config.json").read_text())
    config["trainer"] |= {"epochs": 2, "len_epoch": 5, "log_step": 2, "save_dir": str(tmp_path), "tensorboard": False}
    return config


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Sixty small random images in three classes."""
    import numpy as np
    from PIL import Image

    for index in range(60):
        folder = tmp_path / "images" / "train" / f"class{index % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "images"
