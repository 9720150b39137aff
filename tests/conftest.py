"""What all tests share: one compute thread, the project's folder, and runs of the real commands."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
READ_AT_START = {"OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES", "PYTHONWARNINGS"}  # by torch, Python

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


class ForkServer:
    """The process that `tests/fork_server.py` runs in; started when it is first needed."""

    def __init__(self) -> None:
        command = [sys.executable, str(ROOT / "tests" / "fork_server.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the fork server has died"
        return json.loads(line)

    def run(self, folder: Path, timeout: float, **request: Any) -> subprocess.CompletedProcess:
        assert self.process.stdin is not None
        files = {name: str(folder / name) for name in ("stdout", "stderr")}
        self.process.stdin.write(json.dumps(request | files) + "\n")
        self.process.stdin.flush()
        pid = self.answer()
        alarm = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
        alarm.start()
        code = self.answer()
        alarm.cancel()
        out, err = (Path(path).read_text(errors="replace") for path in files.values())
        return subprocess.CompletedProcess([request["script"], *request["arguments"]], code, out, err)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[Callable[[], ForkServer]]:
    """Gives the one fork server of a test run."""
    server = cache(ForkServer)
    yield server
    if server.cache_info().currsize:
        process = server().process
        process.communicate()  # the end of its input is the end of it


@pytest.fixture
def run_command(fork_server: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs `python SCRIPT ARGUMENTS` of the project as a user would; gives back exit code and output.

    In a process that is forked from one with torch in it, where that makes no difference: two seconds less a run.
    """

    def run(script: str, *arguments: object, cwd: Path = ROOT, timeout: float = 120, **environment: str) -> Any:
        whole = {**os.environ, **environment}
        words = list(map(str, arguments))
        if os.name == "posix" and script.endswith(".py") and not READ_AT_START & environment.keys():
            folder = tmp_path_factory.mktemp("output")
            request = {"script": script, "arguments": words, "cwd": str(cwd), "environment": whole}
            return fork_server().run(folder, timeout, **request)
        return subprocess.run(
            [sys.executable, script, *words], cwd=cwd, capture_output=True, text=True, timeout=timeout, env=whole
        )

    return run


@pytest.fixture
def digits_config(tmp_path: Path) -> dict[str, Any]:
    """The shipped config, shrunk to two short epochs in a temporary folder."""
    config = json.loads((ROOT / "config.json").read_text())
    config["trainer"] |= {"epochs": 2, "len_epoch": 5, "log_step": 2, "save_dir": str(tmp_path), "tensorboard": False}
    return config
