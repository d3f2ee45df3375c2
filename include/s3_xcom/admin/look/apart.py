"""Run what reads the content of objects in processes of their own: none of it can end or fill the webserver.

A helper, in which the libraries are imported and no Airflow, forks a child for each job (:mod:`.child`). The
child has a limit of memory and of time, and no credentials: it asks here for the bytes that it needs. Its
messages are JSON, and pieces of text::

    here                          child
    job                 ->
                        <-        {"ask": [[0, 65536]]}
    {"left": ...}, bytes ->
                        <-        {"piece": null}, bytes      as often as there are any
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
"""Memory that a job may take beside what the libraries do."""

SECONDS = 10
"""Time that a look, or a piece of a download, may take, without that of S3."""

AT_ONCE = 2
"""How many looks run at once in a process of the webserver, and how many downloads."""

WAIT_SECONDS = 30
"""How long one waits for its turn."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""The longest message of a child."""

PIECE_BYTES = 1024 * 1024
"""The longest piece of bytes that is sent at once."""

_START_SECONDS = 60
"""How long the helper may take to import the libraries, on a busy machine."""

_PROGRAM = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
importlib.import_module(sys.argv[2]).serve()
"""

_ENVIRONMENT = {"LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ"}
"""Variables that the helper inherits; others may be secrets."""

_OF_LIBRARIES = {
    **{f"{name}_THREADS": "1" for name in ("ARROW_IO", "OMP_NUM", "OPENBLAS_NUM", "POLARS_MAX")},
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # others reserve more than they use
}
"""Variables for the helper, with which libraries start few threads and take little memory."""

_TOO_LARGE = f"It takes more than {MEMORY_BYTES // 2**20} MiB of memory to show"

_Running = tuple[subprocess.Popen, Connection]
"""The helper, and the connection over which it gets those of its children."""

Give = Callable[[list[Span]], "tuple[int, Iterator[bytes]]"]
"""Function that reads ranges of the object: how many bytes more may be read, and those, in pieces."""


class BusyError(XComError):
    """Nothing can be looked at now."""


def run(kind: str, reference: Reference, job: dict[str, Any], give: Give) -> Iterator[Any]:
    """Run a job on an object. Yield the pieces of text that it makes, and at last what it is done with.

    :param kind: ``look`` or ``csv``
    :param give: called when the job needs some of the object
    :raises FormatError: if the object is not what it says it is, or takes too much memory or time
    :raises BusyError: if too many run already
    """
    with _helper.turn(kind), _helper.child() as child:
        limits = {"memory": MEMORY_BYTES, "seconds": SECONDS}
        _send(child, {"kind": kind, "reference": reference.to_json().decode(), **limits, **job})
        spent = 0.0
        while True:
            started = time.monotonic()
            try:
                if not child.poll(2 * SECONDS):  # it ends itself before that
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
    with contextlib.suppress(OSError):  # it has ended: what is received next says so
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
    """The helper of this process. It is started when it is first needed, and again if it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._turns = {kind: threading.BoundedSemaphore(AT_ONCE) for kind in ("look", "csv")}

    @contextlib.contextmanager
    def turn(self, kind: str) -> Iterator[None]:
        """Wait for one's turn.

        :raises BusyError: if it does not come
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
            with contextlib.suppress(OSError):  # as above
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
        process.returncode = 0  # or it would be waited for here
        control.close()
    _helper = _Helper()


_helper = _Helper()
os.register_at_fork(after_in_child=_after_fork)
