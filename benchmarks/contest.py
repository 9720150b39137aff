"""Ways of doing the same, each alone in a process of its own, in turn; and their figures beside a floor."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
T = TypeVar("T")


class Arm:
    """One way to train a job (`arms.py`), in a process that trains an epoch whenever it is told to.

    Alone, because a process remembers: how one arm leaves the heap of the C library makes another up to 30 % slower.
    """

    def __init__(self, way: str, **job: Any) -> None:
        self._name = f"{way} {job}"
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in `end`)
        command = [sys.executable, str(ROOT / "benchmarks" / "arms.py"), way, json.dumps(job)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=self._errors, text=True)

    def turn(self) -> dict[str, float]:
        """Has it train an epoch: `seconds`, `accuracy` on the validation part, and `peak`, MB resident so far."""
        told, answer = self._process.stdin, self._process.stdout
        assert told is not None
        assert answer is not None
        try:
            told.write("\n")
            told.flush()
            return json.loads(answer.readline())
        except (BrokenPipeError, ValueError):
            self._process.wait()
            self._errors.seek(0)
            raise SystemExit(f"{self._name} failed:\n{self._errors.read()}") from None

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def contest(arms: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each arm measures, round after round; every other round goes backwards.

    The first round is not counted, but where it is the only one.
    """
    turns: dict[str, list[T]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in list(arms) if number % 2 else reversed(list(arms)):
            measured = arms[name]()
            if number > 0 or rounds == 0:
                turns[name].append(measured)
    return turns


def contest_of_arms(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[dict[str, float]]]:
    """As `contest`, of processes, which are ended."""
    try:
        return contest({name: arm.turn for name, arm in arms.items()}, rounds)
    finally:
        for arm in arms.values():
            arm.end()


def report(
    title: str, rows: Mapping[str, Mapping[str, Any]], folder: Path | None = None, machine: str | None = None
) -> None:
    """Prints a table, one row a name, and writes it to a JSON file of that title in the folder, if there is one."""
    machine = machine or this_machine()
    print(f"{title}; {machine}")
    columns = list(next(iter(rows.values())))
    print(f"  {'':32}" + "".join(f"{column:>14}" for column in columns))
    for name, row in rows.items():
        print(f"  {name:32}" + "".join(f"{_shown(row.get(column)):>14}" for column in columns), flush=True)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        figures = {"title": title, "machine": machine, "command": " ".join(sys.argv), "rows": rows}
        (folder / f"{title.split(',')[0].replace(' ', '_')}.json").write_text(json.dumps(figures, indent=2))


def against(floor: Sequence[float], values: Sequence[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(value / least for value, least in zip(values, floor, strict=True))


def epochs_beside(floor: str, turns: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """The rows of a contest: medians, the ratio to the floor, the last accuracy, the memory beyond the floor's."""
    seconds = {name: [turn["seconds"] for turn in measured] for name, measured in turns.items()}
    least = turns[floor][-1]["peak"]
    return {
        name: {
            "s an epoch": statistics.median(seconds[name]),
            "ratio": against(seconds[floor], seconds[name]),
            "fastest": min(seconds[name]) / min(seconds[floor]),
            "accuracy": turns[name][-1]["accuracy"],
            "MB more": turns[name][-1]["peak"] - least,
        }
        for name in turns
    }


def this_machine() -> str:
    """What the figures were measured on."""
    import torch  # only now: what is started from a process counts its memory as its own for a moment

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return f"torch {torch.__version__}, Python {platform.python_version()}, {device}, {cores} cores"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
