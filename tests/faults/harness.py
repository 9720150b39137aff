"""Runs that are harmed and resumed, and the comparison with the unbroken run: every tensor, every row, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
DRIVER = "tests/faults/driver.py"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
DIGITS = json.loads((ROOT / "config.json").read_text()) | {
    "trainer": {"epochs": 3, "monitor": "min val_loss", "log_step": 1, "save_steps": 4, "threads": 1}
}
# eight steps with everything on that has a state, saved after each
EVERYTHING = DIGITS | {
    "trainer": {"epochs": 2, "len_epoch": 4, "log_step": 1, "save_steps": 1, "save_period": 1, "keep_last": 1}
    | {"monitor": "min val_loss", "early_stop": 5, "ema_decay": 0.9, "threads": 1, "tensorboard": False}
}
DRAWN = EVERYTHING | {"data_loader": {"type": "DrawnDataLoader", "args": {"num_workers": 2}}}
SLOW = EVERYTHING | {"data_loader": {"type": "DrawnDataLoader", "args": {"num_workers": 2, "seconds": 5.0}}}
WORSE = EVERYTHING | {"trainer": EVERYTHING["trainer"] | {"monitor": "max val_loss"}}  # with each epoch
SPOILT = EVERYTHING | {"arch": {"type": "SpoiltModel"}}
COUNTS: Counter[str] = Counter()  # what this test run did, for its summary


class Trainings:
    """Starts, kills and resumes runs of one config; with a launcher in processes of their own, else forked ones."""

    def __init__(
        self, folder: Path, config: dict[str, Any], start_command: Callable, launcher: tuple = (), mutant: str = ""
    ) -> None:
        self.folder, self.name, self.launcher, self.start_command = folder, config["name"], launcher, start_command
        self.mutant = mutant
        self.needs_parts = any(
            part in json.dumps(config) for part in ("DrawnDataLoader", "SpoiltModel", "TiedModel", "UnorderedModel")
        )
        config = json.loads(json.dumps(config))
        config["trainer"]["save_dir"] = str(folder)
        (folder / "config.json").write_text(json.dumps(config))

    def start(self, *options: object, fault: str = "", trace: Path | str = "") -> Any:
        if not self.launcher:
            driven = fault or trace or self.mutant or self.needs_parts
            harm = {"FAULT": fault, "TRACE": str(trace), "MUTANT": self.mutant}
            return self.start_command(DRIVER if driven else "train.py", *options, **(harm if driven else {}))
        command = [sys.executable, *self.launcher, "train.py", *map(str, options)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)

    def begin(self, run: str, *options: object, **harm: Any) -> Any:
        return self.start("-c", self.folder / "config.json", "--run-id", run, *options, **harm)

    def resume(self, run: str, *options: object, **harm: Any) -> Any:
        return self.start("-r", self.models(run), *options, **harm)

    def models(self, run: str) -> Path:
        return self.folder / "models" / self.name / run

    def log(self, run: str) -> Path:
        return self.folder / "log" / self.name / run

    def status(self, run: str) -> dict[str, Any]:
        return json.loads((self.log(run) / "status.json").read_text())

    def finish(self, process: Any) -> str:
        if self.launcher:
            output = process.communicate(timeout=180)[0]
        else:
            done = process.wait(180)
            output = done.stdout + done.stderr
        assert process.returncode == 0, output
        return output

    def kill_after_rows(self, process: Any, run: str, rows: int) -> None:
        """SIGKILL to the whole group as soon as the log has so many rows."""
        log = self.log(run) / "metrics.jsonl"
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= rows):
            time.sleep(0.002)
        assert process.poll() is None, "it ended too early"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate() if self.launcher else process.wait()
        COUNTS["kills"] += 1

    def die(self, process: Any) -> None:
        """Waits until a fault has killed it."""
        done = process.wait()
        assert done.returncode == -signal.SIGKILL, done
        COUNTS["kills"] += 1

    def trial(self, run: str, *faults: str, options: tuple = ()) -> None:
        """Trains with a kill at each of these points, resumed after each, and compares with the run `whole`.

        A run that is killed before its first checkpoint begins anew: there is nothing yet to lose.
        """
        COUNTS["trials"] += 1
        process = self.begin(run, fault=f"{faults[0]}=kill")
        for fault in (*faults[1:], None):
            self.die(process)
            assert_no_torn_checkpoint(self.models(run))
            harm = {"fault": f"{fault}=kill"} if fault else {}
            if (self.models(run) / "checkpoint-last.pth").exists():
                process = self.resume(run, *options, **harm)
            else:
                run = f"{run}-anew"
                process = self.begin(run, *options, **harm)
        self.finish(process)
        self.compare(run)

    def trial_of_damage(self, damage: str) -> None:
        """The newest checkpoint of a killed run is damaged: the one before is taken."""
        COUNTS["trials"] += 1
        self.die(self.begin(damage, fault="update#6=kill"))
        spoil(self.models(damage) / "checkpoint-last.pth", damage)
        output = self.finish(self.resume(damage))
        assert "passed over: " in output
        assert "Resume training from step 4," in output
        self.compare(damage)

    def trial_of_the_lock(self) -> None:
        """A run whose main process is killed goes on at once, while its workers still live."""
        COUNTS["trials"] += 1
        process = self.begin("slow")
        while process.poll() is None and not (self.models("slow") / "checkpoint-last.pth").exists():
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        COUNTS["kills"] += 1
        again = self.resume("slow", "-s", "data_loader.args.seconds=0.0", "--allow")
        assert "Resume training from step 0" in self.finish(again)

    def trial_of_a_weight(self) -> None:
        """A weight that is no number, under a loss that is one, stops the run and is in no checkpoint."""
        COUNTS["trials"] += 1
        done = self.begin("spoilt").wait()
        assert done.returncode == 1, done
        assert (
            "a weight, or what the optimizer keeps of it, is no finite number at step 3; the last good" in done.stderr
        )
        for path in self.models("spoilt").glob("*.pth"):
            assert torch.load(path, weights_only=True)["state_dict"]["unused"].isfinite().all()

    def compare(self, run: str) -> None:
        """Fails unless the run left what the run `whole` left."""
        assert_same_runs(self.folder, self.name, "whole", run)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "flipped": flipped,
    "zeroed": lambda content: content[:4096] + bytes(4096) + content[8192:],
    "empty": lambda content: b"",
    "page": lambda content: b"<html><body>503 Service Unavailable</body></html>",
}


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    path.unlink()  # other names of the file stay good
    path.write_bytes(DAMAGES[damage](content))


def assert_no_torn_checkpoint(folder: Path) -> None:
    """Whatever has its real name is whole."""
    for path in folder.glob("[!.]*.pth"):
        torch.load(path, weights_only=True)


def assert_order(trace: Path) -> None:
    """What a power loss would make of a save: nothing counts on bytes that may not be on the disk yet."""
    done = trace.read_text().split()
    saves = [index for index, name in enumerate(done) if name == "replace:checkpoint-last.pth"]
    assert len(saves) > 3
    for start, index in zip([0, *saves], saves):
        part = done[start:index]
        begin, end = part.index("write:checkpoint-last.pth"), len(part) - part[::-1].index("write:checkpoint-last.pth")
        assert "fsync:metrics.jsonl" in part[last_of(part[:begin], "row") + 1 : begin], "the log"
        assert "fsync:checkpoint-last.pth" in part[end:], "the file before its name"
        assert done[index + 1] == "fsync:folder", "the name"
        behind_training = part[last_of(part, "row") + 1 :]  # before it, the save before was pruned after
        assert not any(name.startswith("unlink:checkpoint") for name in behind_training), "pruning"


def last_of(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name) if name in names else -1


def assert_same(first: Any, second: Any, path: str = "checkpoint") -> None:
    assert type(first) is type(second), path
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert list(first) == list(second), path
        for key in first:
            assert_same(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{path}[{index}]")
    else:
        assert first == second, path


def assert_same_runs(saved: Path, name: str, first: str, second: str) -> None:
    """Two runs left the same files, and in them the same bits."""
    runs = [saved / "models" / name / run for run in (first, second)]
    logs = [(saved / "log" / name / run / "metrics.jsonl").read_bytes() for run in (first, second)]
    assert logs[0] == logs[1], "metrics.jsonl"
    files = [sorted(path.name for path in run.iterdir() if path.suffix != ".damaged") for run in runs]
    assert files[0] == files[1], "files"
    assert not (runs[0] / "checkpoint-previous.pth").samefile(runs[0] / "checkpoint-last.pth"), "one file, two names"
    for file in {"checkpoint-last.pth", "model_best.pth"} & set(files[0]):
        states = [torch.load(run / file, weights_only=True) for run in runs]
        for state in states:
            state["config"] = None  # it may say another number of workers
        assert_same(*states)
