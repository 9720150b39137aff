"""Runs train.py with harm built in, in a process that is really harmed.

    FAULT="step#2=SIGINT,replace:checkpoint-last.pth#3=kill" python tests/faults/driver.py -c config.json

Every operation that a crash could fall before has a name, such as `step`, `update`, `row`, `validate`,
`fsync:metrics.jsonl`, `write:checkpoint-last.pth`, `replace:checkpoint-last.pth`: FAULT says before which of them what
happens, TRACE is a file that gets all their names, MUTANT breaks the project itself (tests/faults/mutants.py).
"""

import builtins
import errno
import io
import os
import runpy
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SIGNALS = ("SIGTERM", "SIGUSR1", "SIGINT")


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill group": lambda: os.killpg(0, signal.SIGKILL),
    "full": full,
    **{name: lambda name=name: os.kill(os.getpid(), getattr(signal, name)) for name in SIGNALS},
    **{f"{name} to all": lambda name=name: os.killpg(0, getattr(signal, name)) for name in SIGNALS},
}


class Points:
    """Counts the points that a run passes, and does at some of them what FAULT says."""

    def __init__(self, faults: str, trace: str) -> None:
        self.actions = dict(fault.split("=") for fault in faults.split(",") if fault)
        self.passed: Counter[str] = Counter()
        self.process = os.getpid()
        self.trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if trace else None

    def __call__(self, name: str) -> None:
        if os.getpid() != self.process:
            return  # a loader worker
        self.passed[name] += 1
        if self.trace is not None:
            os.write(self.trace, f"{name}\n".encode())
        if action := self.actions.get(f"{name}#{self.passed[name]}"):
            ACTIONS[action]()


class NotedFile:
    """A file that is written without a buffer, so that what was written before a kill is there."""

    def __init__(self, path: Any, mode: str, point: Callable[[], None]) -> None:
        self.file, self.point = io.FileIO(path, mode.replace("b", "")), point

    def write(self, data: Any) -> int:
        self.point()
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "NotedFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()


def short(path: Any) -> str:
    """The name of a file, the same whatever its folder is called."""
    name = Path(os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path)
    return "folder" if name.is_dir() else name.name.removeprefix(".tmp-")


def install(point: Points) -> None:
    """Puts a point before everything that a crash could fall before."""
    import torch

    import data_loader.data_loaders
    import logger.metrics_log
    import trainer.trainer
    from utils import checkpoint

    def before(owner: Any, attribute: str, name: Callable[..., str]) -> None:
        original = getattr(owner, attribute)

        def noted(*arguments: Any, **keywords: Any) -> Any:
            point(name(*arguments))
            return original(*arguments, **keywords)

        setattr(owner, attribute, noted)

    before(os, "replace", lambda source, target: f"replace:{short(target)}")
    before(os, "link", lambda source, target: f"link:{short(target)}")
    before(os, "unlink", lambda path, **_: f"unlink:{Path(path).name}")
    before(os, "fsync", lambda descriptor: f"fsync:{short(descriptor)}")
    before(logger.metrics_log.MetricsLog, "write", lambda *_: "row")
    before(logger.metrics_log.MetricsLog, "cut", lambda *_: "cut")
    before(trainer.trainer.Trainer, "_train_step", lambda *_: "step")
    before(trainer.trainer.Trainer, "_valid_epoch", lambda *_: "validate")
    before(data_loader.data_loaders, "read_digits", lambda *_: "data")
    torch.optim.Optimizer.__init__ = hooked(torch.optim.Optimizer.__init__, lambda *_: point("update"))

    def opened(path: Any, mode: str = "r") -> Any:
        if "w" not in mode:
            return builtins.open(path, mode)
        return NotedFile(path, mode, lambda: point(f"write:{short(path)}"))

    checkpoint.open = opened


def hooked(init: Callable, hook: Callable) -> Callable:
    def initialise(self: Any, *arguments: Any, **keywords: Any) -> None:
        init(self, *arguments, **keywords)
        self.register_step_pre_hook(hook)

    return initialise


def offer_parts() -> None:
    """Puts what tests/faults/parts.py has where configs find it."""
    import data_loader.data_loaders
    import model.model
    from tests.faults.parts import DrawnDataLoader, SpoiltModel, TiedModel, UnorderedModel

    data_loader.data_loaders.DrawnDataLoader = DrawnDataLoader
    for kind in (SpoiltModel, TiedModel, UnorderedModel):
        setattr(model.model, kind.__name__, kind)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    offer_parts()
    if os.environ.get("MUTANT"):
        from tests.faults.mutants import MUTANTS

        MUTANTS[os.environ["MUTANT"]]()
    install(Points(os.environ.get("FAULT", ""), os.environ.get("TRACE", "")))
    sys.argv[0] = "train.py"
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
