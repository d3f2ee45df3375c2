"""Separate processes for code that reads the content of objects: it cannot end or fill the webserver.

A helper process, which has imported the libraries but no Airflow, forks a child for each job (:mod:`.child`).
The child has limits of memory and time, and no credentials: it asks this process for the bytes it needs. Its
messages are JSON, and pieces of text::

    here                          child
    job                 ->
                        <-        {"ask": [[0, 65536]]}
    {"left": ...}, bytes ->
                        <-        {"piece": null}, bytes      once for each piece
                        <-        {"done": ...}  or  {"error": ...}
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe, reduction
from multiprocessing.connection import Connection
from typing import Any

from include.s3_xcom.admin.look.limited import TooMuchError
from include.s3_xcom.errors import BadReferenceError, FormatError, XComError
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.ranges import Span

MEMORY_BYTES = 512 * 1024 * 1024
"""Bytes of memory that a job may take, not counting the libraries."""

SECONDS = 10
"""Seconds that a look, or a piece of a download, may take, not counting S3."""

AT_ONCE = 2
"""Looks, and downloads, at the same time in one process of the webserver."""

WAIT_SECONDS = 30
"""Seconds that a look waits for its turn."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""Bytes of the longest message of a child."""

PIECE_BYTES = 1024 * 1024
"""Bytes of the longest piece that is sent at once."""

_START_SECONDS = 60
"""Seconds that the helper may take to import the libraries on a busy machine."""

_PROGRAM = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
importlib.import_module(sys.argv[2]).serve()
"""

_ENVIRONMENT = {"LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ"}
"""Environment variables that the helper inherits; others may be secrets."""

_OF_LIBRARIES = {
    **{f"{name}_THREADS": "1" for name in ("ARROW_IO", "OMP_NUM", "OPENBLAS_NUM", "POLARS_MAX")},
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # other pools reserve more than they use
}
"""Environment variables that make libraries in the helper start few threads and take little memory."""

_TOO_LARGE = f"It takes more than {MEMORY_BYTES // 2**20} MiB of memory to show"

_Running = tuple[subprocess.Popen, Connection]
"""The helper, and the connection over which it receives the connections of its children."""

Give = Callable[[list[Span]], "tuple[int, Iterator[bytes]]"]
"""Function that reads ranges of the object; returns how many more bytes may be read, and the bytes."""


class BusyError(XComError):
    """A look that has to wait for others, or whose process does not start."""


def run(kind: str, reference: Reference, job: dict[str, Any], give: Give) -> Iterator[Any]:
    """Do a job on an object. Yield the pieces of text that it makes, and finally its result.

    :param kind: ``look`` or ``csv``
    :param give: called when the job needs bytes of the object
    :raises FormatError: if the object is in another format, or takes too much memory or time
    :raises BusyError: if too many jobs are being done already
    """
    with _helper.turn(kind), _helper.child() as child:
        limits = {"memory": MEMORY_BYTES, "seconds": SECONDS}
        _send(child, {"kind": kind, "reference": reference.to_json().decode(), **limits, **job})
        spent = 0.0
        while True:
            started = time.monotonic()
            try:
                if not child.poll(2 * SECONDS):  # the child ends itself before that
                    raise EOFError
                message = json.loads(child.recv_bytes(MESSAGE_BYTES))
                piece = child.recv_bytes(PIECE_BYTES) if "piece" in message else b""
            except (EOFError, OSError, ValueError, RecursionError):
                raise _why_ended(spent + time.monotonic() - started) from None
            spent += time.monotonic() - started
            if "ask" in message:
                _answer(child, message["ask"], reference.size, give)
            elif "piece" in message:
                spent = 0.0
                yield piece
            elif "error" in message:
                raise _error(*message["error"])
            else:
                if message["done"] is not None:
                    yield message["done"]
                return


def _answer(child: Connection, spans: list[Span], size: int, give: Give) -> None:
    if not all(0 <= start < stop <= size for start, stop in spans):
        raise FormatError("What it holds is said to lie outside of it.")
    try:
        left, pieces = give([(start, stop) for start, stop in spans])
    except TooMuchError as error:
        _send(child, {"refused": str(error)})
        return
    _send(child, {"left": left})
    for piece in pieces:
        _send(child, piece)


def _send(child: Connection, message: bytes | dict[str, Any]) -> None:
    data = json.dumps(message).encode() if isinstance(message, dict) else message
    with contextlib.suppress(OSError):  # the child has ended: the next receive says so
        child.send_bytes(data)


def _error(name: str, words: str) -> XComError:
    if name == "MemoryError":
        return FormatError(f"{_TOO_LARGE}. Download it.")
    return BadReferenceError(words) if name == "BadReferenceError" else FormatError(words)


def _why_ended(spent: float) -> FormatError:
    if spent >= SECONDS:
        return FormatError(f"It takes more than {SECONDS} s to show. Download it.")
    return FormatError(f"{_TOO_LARGE}, or is damaged: the process that was to show it ended. Download it.")


class _Helper:
    """The helper of this process, started when it is first needed and again if it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._turns = {kind: threading.BoundedSemaphore(AT_ONCE) for kind in ("look", "csv")}

    @contextlib.contextmanager
    def turn(self, kind: str) -> Iterator[None]:
        """Wait for a turn.

        :raises BusyError: if none comes in time
        """
        turns = self._turns[kind]
        if not turns.acquire(timeout=WAIT_SECONDS):
            raise BusyError("Others are looking at objects, as many as may at once. Try again in a moment.")
        try:
            yield
        finally:
            turns.release()

    def child(self) -> Connection:
        """Return the connection to a new child."""
        with contextlib.suppress(OSError):  # no process can be started
            for _ in range(2):
                own, running = self._fork()
                with contextlib.suppress(OSError, EOFError):  # the helper has ended
                    if own.poll(_START_SECONDS):
                        own.recv_bytes()
                        return own
                own.close()
                self._end(running)
        raise BusyError("The process that looks at objects does not start. The webserver's log may say why.")

    def _fork(self) -> tuple[Connection, _Running]:
        own, other = Pipe()
        with self._lock, other:
            running = self._running = self._running or _started()
            with contextlib.suppress(OSError):  # the helper has ended: poll() in child() finds out
                reduction.send_handle(running[1], other.fileno(), None)
        return own, running

    def _end(self, running: _Running) -> None:
        with self._lock:
            if self._running is running:
                self._running = None
                process, control = running
                control.close()
                process.kill()
                process.wait()


def _started() -> _Running:
    own, other = Pipe()
    arguments = json.dumps(list(map(str, sys.path))), f"{__package__}.child"
    with other:
        process = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", "-c", _PROGRAM, *arguments],
            stdin=other.fileno(),
            stdout=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT & os.environ.keys()} | _OF_LIBRARIES,
            start_new_session=True,
        )
    return process, own


def _after_fork() -> None:
    """Leave the helper to the process that this one was forked from."""
    global _helper
    if _helper._running:
        process, control = _helper._running
        process.returncode = 0  # it is no child of this process, so do not wait for it
        control.close()
    _helper = _Helper()


_helper = _Helper()
os.register_at_fork(after_in_child=_after_fork)
