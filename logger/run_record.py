"""What is needed to know a run again: source, versions, machine, command, seed."""

import json
import logging
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.platform_files import write_whole

PACKAGES = ("torch", "torchvision", "numpy", "tensorboard", "timm", "torchmetrics")


def write_config(path: Path, config: dict[str, Any]) -> None:
    """The config as it was resolved, for people to read; the one in the checkpoints counts."""
    write_whole(path, json.dumps(config, indent=4, ensure_ascii=False).encode())


def write_status(path: Path, state: str, step: int, why: str = "") -> None:
    """What a launcher reads: running, stopped, failed or done, at which step, and why.

    Where it cannot be written, that is said, and nothing raised: the disk may be full, and that be what is being told.
    """
    status = {
        "state": state,
        "step": step,
        "why": why,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    try:
        write_whole(path, json.dumps(status, indent=2, ensure_ascii=False).encode(), sync=state != "running")
    except OSError as error:
        logging.getLogger("trainer").warning("%s: cannot be written: %s", path, error.strerror)


def write_run_record(path: Path, **facts: Any) -> None:
    """Adds this start of the run to `run.json`: a list, one entry for the first start and each resume."""
    starts = _starts(path)
    starts.append(
        {
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": shlex.join([Path(sys.executable).name, *sys.argv]),
            **facts,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": _versions(),
            "git": _git(),
        }
    )
    write_whole(path, json.dumps(starts, indent=2, ensure_ascii=False).encode())


def _starts(path: Path) -> list[Any]:
    if not path.is_file():
        return []
    try:
        starts = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        starts = None
    if not isinstance(starts, list):
        raise UserError(f"{path}: not the list of starts that a run keeps there; move it away to go on")
    return starts


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git() -> dict[str, str] | None:
    """The commit and what differs from it in files that git tracks; None outside a git checkout."""
    try:
        # neither status nor diff may refresh the index: a kill would leave its lock in the user's repository
        git = ("git", "--no-optional-locks", "-c", "diff.autoRefreshIndex=false")
        commit = _run(*git, "rev-parse", "HEAD").strip()
        return {"commit": commit, "status": _run(*git, "status", "--short"), "diff": _run(*git, "diff", "HEAD")}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    folder = Path(__file__).parent
    finished = subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=20)
    return finished.stdout.decode(errors="replace")
