"""Commands of the project in processes that are forked from one with torch in it: see tests/fork_server.py."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READ_AT_START = {"OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES", "PYTHONWARNINGS"}  # by torch, Python


class ForkServer:
    """The process that `tests/fork_server.py` runs in. It runs one command at a time."""

    def __init__(self) -> None:
        self.compiled = tempfile.TemporaryDirectory()
        command = [sys.executable, str(ROOT / "tests" / "fork_server.py"), self.compiled.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the fork server has died"
        return json.loads(line)

    def start(
        self, folder: Path, script: str | Path, *arguments: object, cwd: Path = ROOT, **environment: str
    ) -> "Forked":
        """Starts `python SCRIPT ARGUMENTS`, in a process group of its own."""
        assert self.process.stdin is not None
        request = {"script": str(script), "arguments": list(map(str, arguments)), "cwd": str(cwd)}
        request |= {"environment": {**os.environ, **environment}}
        request |= {name: str(folder / name) for name in ("stdout", "stderr")}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Forked(self, self.answer(), request)

    def close(self) -> None:
        self.process.kill()  # not by the end of its input: a worker that was forked from here may hold that open
        self.process.communicate()
        self.compiled.cleanup()


class Forked:
    """A running command."""

    def __init__(self, server: ForkServer, pid: int, request: dict[str, Any]) -> None:
        self.server, self.pid, self.request = server, pid, request
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self.returncode is None and select.select([self.server.process.stdout], [], [], 0)[0]:
            self.returncode = self.server.answer()
        return self.returncode

    def wait(self, timeout: float = 120) -> subprocess.CompletedProcess:
        """Waits for its end, and gives what it said; kills it when the time is up."""
        if self.returncode is None:
            alarm = threading.Timer(timeout, os.kill, (self.pid, signal.SIGKILL))
            alarm.start()
            self.returncode = self.server.answer()
            alarm.cancel()
        out, err = (Path(self.request[name]).read_text(errors="replace") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(self.request["arguments"], self.returncode, out, err)

    def wait_for_rows(self, log: Path, rows: int) -> None:
        """Waits until a metrics.jsonl has so many rows; fails if the command ends before."""
        while self.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= rows):
            time.sleep(0.002)
        assert self.poll() is None, self.wait()

    def signal(self, number: int, group: bool = True) -> None:
        """Sends a signal to the whole process group, as a terminal and a scheduler do, or to the main process."""
        os.killpg(self.pid, number) if group else os.kill(self.pid, number)
