"""Reads that take too long, however many bytes trickle in: a socket's own timeout starts anew with each.

One thread of the process looks at all reads that are under way, and breaks the connection of such a one off.
A thread for each would cost a small pull a tenth of its time.
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

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25

_reading: dict[object, tuple[Any, float]] = {}
"""The bodies that are read now, and until when, by time.monotonic()."""

_begun = threading.Event()
_watcher: threading.Thread | None = None


def read(body: Any, size: int, seconds: float) -> bytes:
    """Some bytes of a body, from botocore.

    :param seconds: what it may take; it is broken off :data:`LOOK_SECONDS` later at the latest
    """
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        _watcher = threading.Thread(target=_watch, daemon=True)
        _watcher.start()
    mine = object()
    _reading[mine] = body, time.monotonic() + seconds
    _begun.set()
    try:
        return body.read(size)
    finally:
        del _reading[mine]


def _watch() -> None:
    while True:
        _begun.wait()
        _begun.clear()
        while _reading:
            time.sleep(LOOK_SECONDS)
            for body, until in _reading.copy().values():
                if time.monotonic() > until:
                    disconnect(body)


def _start_anew() -> None:
    """In a process that was just forked, which has none of its parent's threads, and maybe their locks."""
    global _begun, _watcher
    _begun, _watcher = threading.Event(), None
    _reading.clear()


os.register_at_fork(after_in_child=_start_anew)


def disconnect(body: Any) -> None:
    """Shut the connection of a body down. To close it would not wake up the thread that reads."""
    connection = find_socket(body)
    if connection is None:
        _warn_without_guard()
        return
    with contextlib.suppress(OSError):  # closed meanwhile
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def find_socket(body: Any) -> socket.socket | None:
    """The socket of a body that is being read, where botocore's StreamingBody.set_socket_timeout finds it.

    :return: None where botocore or urllib3 keep it elsewhere, or it is closed already
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
