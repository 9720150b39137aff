"""Where what is made of data once is kept: in a folder beside the data, or in the user's cache folder."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

FOLDER = ".hotplate-cache"
SECONDS_TO_KEEP_SCRAPS = 24 * 3600  # of a process that was killed while it wrote


def cache_folders(beside: Path | None = None) -> list[Path]:
    """Where a file may be kept, the best place first.

    :param beside: the folder of the data, if the file may be kept there
    """
    users = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "hotplate"
    return [users] if beside is None else [beside / FOLDER, users]


def with_room(folders: Sequence[Path], size: int) -> Path | None:
    """The first of the folders that can be written to and has room for so many bytes."""
    return next((folder for folder in folders if _has_room(folder, size)), None)


def own_name(path: Path) -> Path:
    """A name in the same folder that no other process writes to."""
    return path.with_name(f".tmp-{secrets.token_hex(8)}-{path.name}")


def remove_scraps(folder: Path) -> None:
    """Removes what processes that were killed long ago have left under such names."""
    for path in folder.glob(".tmp-*"):
        with suppress(OSError):  # another process removed it
            if time.time() - path.stat().st_mtime > SECONDS_TO_KEEP_SCRAPS:
                path.unlink()


def _has_room(folder: Path, size: int) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return shutil.disk_usage(folder).free > size
    except OSError:
        return False
