"""Reads that take too long although bytes trickle in: a socket's timeout restarts with each byte.

One thread of the process watches all reads, and breaks the connection of one that takes too long. A thread
for each read would cost a small pull a tenth of its time.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import threading
import time
from typing import Any

from include.s3_xcom import threads

log = logging.getLogger(__name__)

LOOK_SECONDS = 1

_reading: dict[object, tuple[Any, float]] = {}
"""Bodies that are being read, and the end of each one's time, in seconds of time.monotonic()."""

_watcher: threading.Thread | None = None


def read(body: Any, size: int, seconds: float) -> bytes:
    """Read some bytes of a body of botocore.

    It takes no lock: a signal's handler may interrupt it anywhere, and read as well, or raise.

    :param seconds: seconds it may take; it is broken off :data:`LOOK_SECONDS` later at the latest
    """
    if _watcher is None:
        _start_watcher()
    mine = object()
    try:
        _reading[mine] = body, time.monotonic() + seconds
        return body.read(size)
    finally:
        _reading.pop(mine, None)


def _start_watcher() -> None:
    if threads.start(_watch) is None:
        log.debug("There can be no more threads: a read from S3 is bounded by its socket's timeout alone.")


def _watch() -> None:
    global _watcher
    _watcher = threading.current_thread()
    while _watcher is threading.current_thread():  # if several were started at once, one stays
        for mine, (body, until) in _reading.copy().items():
            if time.monotonic() > until:
                _reading.pop(mine, None)
                disconnect(body)
        time.sleep(LOOK_SECONDS)


def _start_anew() -> None:
    """Forget the parent's thread and reads in a process that was just forked."""
    global _watcher
    _watcher = None
    _reading.clear()


os.register_at_fork(after_in_child=_start_anew)


def disconnect(body: Any) -> None:
    """Shut down the connection of a body. Closing it would not wake up the thread that reads."""
    connection = find_socket(body)
    if connection is None:
        _warn_without_guard()
        return
    with contextlib.suppress(OSError):  # it was closed meanwhile
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def find_socket(body: Any) -> socket.socket | None:
    """Return the socket of a body that is being read, from where StreamingBody.set_socket_timeout finds it.

    :return: None if botocore or urllib3 keep it elsewhere, or it is closed already
    """
    try:
        connection = body._raw_stream._fp.fp.raw._sock
    except AttributeError:
        return None
    return connection if isinstance(connection, socket.socket) else None


@functools.cache
def _warn_without_guard() -> None:
    import botocore
    import urllib3

    log.warning(
        "A read from S3 takes longer than read_timeout, and its connection cannot be broken off: botocore %s "
        "with urllib3 %s does not show its socket. Should the read hang, stop the task and start it again.",
        *(botocore.__version__, urllib3.__version__),
    )
