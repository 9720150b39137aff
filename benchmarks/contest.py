"""Times several ways of doing the same, in turn within one process, and shows them beside a floor."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch


def contest(arms: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each arm measures, round after round; a first round is not counted. Every other round goes backwards."""
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in list(arms) if number % 2 else reversed(list(arms)):
            measured = arms[name]()
            if number > 0:
                times[name].append(measured)
    return times


def report(
    title: str,
    times: Mapping[str, Sequence[float]],
    floor: str,
    difference: bool = False,
    path: Path | None = None,
) -> None:
    """Prints the median of each arm and, round by round against the floor, its ratio or its difference.

    :param path: a JSON file for all of it
    """
    print(f"{title}; {machine()}")
    rows = {}
    for name, values in times.items():
        pairs = list(zip(values, times[floor]))
        against = statistics.median(a - b if difference else a / b for a, b in pairs)
        rows[name] = {"median": statistics.median(values), "difference" if difference else "ratio": against}
        shown = f"{against:+10.1f}" if difference else f"{against:10.3f}"
        print(f"  {name:34} {rows[name]['median']:12.4f} {shown}   ({min(values):.4f} to {max(values):.4f})")
    if path is not None:
        path.write_text(json.dumps({"title": title, "machine": machine(), "floor": floor, "rows": rows}, indent=2))


def machine() -> str:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    threads = f"{torch.get_num_threads()} thread(s)"
    return f"torch {torch.__version__}, Python {platform.python_version()}, {device}, {cores} cores, {threads}"
