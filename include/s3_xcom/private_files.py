"""Private copies of pulled files: directories that go with their File, or with the process that made them.

A task's process ends without clean-up handlers (os._exit), or by a signal. So each process holds a lock on
its directories, which the kernel lets go of when the process is gone, and a later process removes what nobody
holds. A lock is seen wherever the directory is, also in other containers, where process ids say nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path

PREFIX = "s3_xcom_files-"


def new_directory(owner: object) -> Path:
    """A new directory, removed together with its owner, and those removed that no process holds.

    :param owner: what the directory is for
    """
    _remove_abandoned()
    directory, lock = _make_locked()
    weakref.finalize(owner, _remove, directory, lock, os.getpid())
    return directory


def _make_locked() -> tuple[Path, int | None]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _lock(directory, wait=True)
        # Another process may have come between, and taken it for abandoned.
        if directory.is_dir():
            return directory, lock
        if lock is not None:
            os.close(lock)


def _remove(directory: Path, lock: int | None, pid: int) -> None:
    if os.getpid() != pid:  # a process forked from the one that made it
        return
    shutil.rmtree(directory, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _remove_abandoned() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _lock(directory, wait=False)
        if lock is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _lock(directory: Path, *, wait: bool) -> int | None:
    """A file descriptor that holds the lock of a directory; None if another does, or there are no locks."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by its process, or a file system without locks
        os.close(descriptor)
        return None
    return descriptor
