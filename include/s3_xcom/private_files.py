"""Files that go with the process that made them: private copies of pulled files, and unfinished downloads.

A task's process ends without clean-up handlers (os._exit), or by a signal. So each process holds a lock on
its files, which the kernel releases when the process is gone, and a later process removes the files that
nobody locks. A lock is seen wherever the file is, also in other containers, where process ids say nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import re
import shutil
import socket
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from include.s3_xcom.errors import DiskError, XComError

PREFIX = "s3_xcom_files-"

PARTIAL = ".s3_xcom_partial"
"""Suffix of an unfinished download, which is beside its target."""

ABANDONED_SECONDS = 3600
"""Age in seconds at which a file of another machine counts as abandoned: its locks may not be seen here."""

_PARTIAL_NAME = re.compile(rf"\.[0-9a-f]{{32}}\.([\w-]*){re.escape(PARTIAL)}")


def new_directory(owner: object) -> Path:
    """Make a directory that is removed with its owner, and remove those that no process locks.

    :param owner: the object that the directory is for
    """
    for abandoned in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if abandoned.is_dir():
            _remove_abandoned(abandoned)
    directory, lock = _locked(lambda: Path(tempfile.mkdtemp(prefix=PREFIX)))
    weakref.finalize(owner, _remove, directory, lock, os.getpid())
    return directory


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """Make an empty file beside a target, to be filled and renamed to it. It is removed if it is not renamed.

    Files of interrupted downloads there, which no process locks, are removed as well.

    :raises OSError: if it cannot be made
    """
    for abandoned in target.parent.glob(f".*{PARTIAL}"):
        found = _PARTIAL_NAME.fullmatch(abandoned.name)
        is_old = found and (found[1] == _kernel() or _age(abandoned) > ABANDONED_SECONDS)
        if is_old and abandoned.is_file():
            _remove_abandoned(abandoned)
    path, lock = _locked(lambda: _touched(target.with_name(f".{uuid.uuid4().hex}.{_kernel()}{PARTIAL}")))
    pid = os.getpid()
    try:
        yield path
    finally:
        _remove(path, lock, pid)


@contextlib.contextmanager
def disk_errors(what: str, size: int) -> Iterator[None]:
    """Raise errors of this machine's disk as DiskError.

    :param what: start of the message: the work that the error prevents
    :param size: bytes of the file
    :raises DiskError: for such an error
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, XComError):
            raise
        advice = "Does the directory exist, and may this process write there?"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = f"Make room for {size:,} bytes, or set TMPDIR to where there is some."
        raise DiskError(f"{what}: {error.strerror or type(error).__name__}. {advice}") from error


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write all bytes to a file without a buffer, which may take fewer at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _locked(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """Make a file or directory, and lock it."""
    while True:
        path = make()
        lock = _lock(path, wait=True)
        # Another process may have removed it as abandoned before it was locked.
        if path.exists():
            return path, lock
        if lock is not None:
            os.close(lock)


def _remove(path: Path, lock: int | None, pid: int) -> None:
    if os.getpid() != pid:  # forked from the process that made it
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    if lock is not None:
        os.close(lock)


@functools.cache
def _kernel() -> str:
    """Return a name for this machine's kernel, whose processes see each other's locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return socket.gethostname()[:8]  # not Linux


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # it is gone
        return 0


def _remove_abandoned(path: Path) -> None:
    lock = _lock(path, wait=False)
    if lock is not None:
        with contextlib.suppress(OSError):
            _remove(path, lock, os.getpid())


def _lock(path: Path, *, wait: bool) -> int | None:
    """Return a descriptor that holds the lock of a file; None if another does, or there are no locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # its process holds it, or the file system has no locks
        os.close(descriptor)
        return None
    return descriptor
