"""Stopping between two steps: what SIGTERM, SIGUSR1 and Ctrl-C ask of a run."""

import atexit
import os
import signal
import sys
import threading
from functools import cache
from types import FrameType
from typing import Any

from utils import dist

AGAIN = 75  # EX_TEMPFAIL of sysexits.h: stopped and saved, run it again
INTERRUPTED = 130  # Ctrl-C
SIGNALS = {"SIGTERM": AGAIN, "SIGUSR1": AGAIN, "SIGINT": INTERRUPTED}


class StopAsked(BaseException):
    """Raised between two steps, where all state is whole. No `except Exception` of a user's code catches it.

    :param name: of the signal
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name, self.exit_code = name, SIGNALS.get(name, AGAIN)


class Stopping:
    """Within this context signals only leave a note; `poll` and the context `interruptible` are where it is heard.

    Outside the main thread, and where it is not entered, the same calls do nothing.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self._may_raise = False
        self._before: dict[int, Any] = {}
        self.interruptible = _Interruptible(self)

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                if (number := getattr(signal, name, None)) is not None:  # Windows has no SIGUSR1
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def poll(self) -> None:
        """Raises StopAsked if a signal has come, on all processes together; every rank must call it."""
        asked = self.asked
        if not self.interruptible.alone:
            names = [None, *SIGNALS]
            asked = names[dist.most(names.index(asked))]
        if asked is not None:
            raise StopAsked(asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.asked == "SIGINT" == name:  # a second Ctrl-C
            os.write(2, b"\nleaving at once\n")
            leave(INTERRUPTED)
        self.asked = name
        if name == "SIGINT":
            os.write(2, b"\nfinishing this step and saving; press Ctrl-C again to leave at once\n")
        if self._may_raise:
            raise StopAsked(name)


class _Interruptible:
    """A context that a signal ends at once, with StopAsked: while waiting for data, which may take long.

    With several processes it does not: they stop together, at the next `poll`.
    """

    def __init__(self, stopping: Stopping) -> None:
        self.stopping = stopping
        self.alone = dist.world_size() == 1

    def __enter__(self) -> None:
        if self.alone:
            if self.stopping.asked is not None:
                raise StopAsked(self.stopping.asked)
            self.stopping._may_raise = True

    def __exit__(self, *exception: object) -> None:
        self.stopping._may_raise = False


def stop_while_preparing() -> None:
    """Until training begins there is nothing to save: SIGTERM and SIGUSR1 end the process, to be run again."""
    for name, exit_code in SIGNALS.items():
        if exit_code == AGAIN and hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, f"stopped by {signal.Signals(number).name} before training, nothing to save; run it again\n".encode())
    sys.exit(AGAIN)


def leave(exit_code: int) -> None:
    """Ends this process and its loader workers now, without a word."""
    stop_workers()
    os._exit(exit_code)


def stop_workers() -> None:
    """Kills the processes that load data: they ignore signals, and may be busy with a sample for long."""
    import multiprocessing

    let_workers_end()
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def let_workers_end() -> None:
    """From here on the end of a worker is no error, which torch would raise wherever the main process is."""
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@cache
def stop_workers_at_exit() -> None:
    """Workers that ignore SIGTERM would keep a process from ending, which sends them no other."""
    atexit.register(stop_workers)


def ignore_signals() -> None:
    """For a loader worker: a signal to the whole process group is the main process's to hear."""
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
