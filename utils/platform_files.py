"""What Linux, macOS and Windows do differently with files, in one place."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync_file(descriptor: int) -> None:
    """Returns when the file's bytes are on the disk itself."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's cache
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Returns when renames in the folder are on the disk; Windows offers no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hold_lock(path: Path) -> bool:
    """Takes a lock that this process holds until it ends, however it ends; False if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not inherited by loader workers
    except OSError:
        os.close(descriptor)
        return False
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """Gives a file a second name: a hard link, or a copy where the file system has none."""
    temporary = temporary_name(target)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
        with open(temporary, "rb+") as handle:
            sync_file(handle.fileno())
    if target.exists() and target.samefile(temporary):
        temporary.unlink()  # renaming one link of a file over another does nothing and keeps both
    else:
        os.replace(temporary, target)


def temporary_name(path: Path) -> Path:
    """The name in the same folder under which a file is written before it gets its own."""
    return path.with_name(f".tmp-{path.name}")


@contextmanager
def replacing(path: Path, sync: bool = True, temporary: Path | None = None) -> Iterator[Path]:
    """Gives a name to write to; what is written there becomes `path` at the end, or is removed if anything fails.

    :param sync: return when the name is on the disk
    :param temporary: that name, where several processes may write the same file at once
    """
    temporary = temporary_name(path) if temporary is None else temporary
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def write_whole(path: Path, data: bytes, sync: bool = True, temporary: Path | None = None) -> None:
    """Writes a file so that any crash leaves the old one or the new one, never a part.

    :param sync: a crash of the machine too, not only of the process
    :param temporary: as for `replacing`
    """
    with replacing(path, sync, temporary) as temporary, open(temporary, "wb") as handle:
        handle.write(data)
        handle.flush()
        if sync:
            sync_file(handle.fileno())
