"""Runs code on the two ranks of a real process group."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BEFORE = "import json, sys, torch\nfrom utils import dist\ntorch.set_num_threads(1)\ndist.start(torch.device('cpu'))\n"
# the script's own names still hold the group, which may abort a process that ends in the usual way
AFTER = "\nprint(json.dumps(answer), flush=True)\ntorch.distributed.barrier()\n__import__('os')._exit(0)\n"


@pytest.fixture(scope="session")
def on_two_ranks() -> Callable[[str], list[Any]]:
    """Runs a script in two gloo processes; gives what the variable `answer` was on rank 0 and on rank 1."""

    def run(script: str) -> list[Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [_start(BEFORE + script + AFTER, rank, port) for rank in range(2)]
        outputs = [process.communicate(timeout=100) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        return [json.loads(output.splitlines()[-1]) for output, _ in outputs]

    return run


def _start(script: str, rank: int, port: int) -> subprocess.Popen:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": ROOT}
    environment = {**os.environ, **{name: str(value) for name, value in (place | group).items()}}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
