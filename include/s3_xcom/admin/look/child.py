"""The process that reads the content of objects. :mod:`.apart` starts it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.s3_xcom.admin.look.apart import PIECE_BYTES
from include.s3_xcom.admin.look.limited import AskedFile, TooMuchError
from include.s3_xcom.admin.look.shown import At, Shown, plain
from include.s3_xcom.errors import BadReferenceError, FormatError, XComError, format_errors
from include.s3_xcom.on_airflow.configuration import without_classes
from include.s3_xcom.reference import parse_reference
from include.s3_xcom.s3.ranges import Span

_LOOKS = {
    "arrow": "tables.look_at_arrow",
    "batches": "tables.look",
    "batches.arrow": "elements.look_at_wide_batches",
    "bytes": "texts.look_at_bytes",
    "file": "files.look",
    "items": "elements.look_at_items",
    "items.zip": "elements.look_at_members",
    "json": "trees.look",
    "npy": "arrays.look",
    "parquet": "tables.look",
    "polars": "tables.look_at_arrow",
    "polars.Series": "tables.look_at_arrow",
    "rows": "elements.look_at_rows",
    "table": "tables.look",
    "tagged": "trees.look",
    "text": "texts.look",
    "zip": "files.look_at_archive",
}

_PATIENCE_SECONDS = 600
"""Seconds that a child waits for the webserver, or for the person who downloads."""


def serve() -> None:
    """Fork a process for each connection that comes through standard input, until that is closed."""
    control = Connection(0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for the exit code of a child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the default action ends the process
    for place in (*_LOOKS.values(), "tables_as_csv.pieces"):
        _function(place)
    while True:
        try:
            handle = reduction.recv_handle(control)
        except EOFError:
            return
        if os.fork() == 0:
            try:
                control.close()
                _work(Connection(handle))
            finally:
                os._exit(0)
        os.close(handle)


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)


def _work(parent: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # messages of libraries may hold values of the object
    parent.send_bytes(b"")
    job = json.loads(parent.recv_bytes())
    _limit_memory(job["memory"])
    signal.setitimer(signal.ITIMER_REAL, job["seconds"])
    try:
        reference = parse_reference(json.loads(job["reference"]))
        file = AskedFile(reference, job["left"], functools.partial(_ask, parent))
        with without_classes(), format_errors(reference.info.codec):
            is_look = job["kind"] == "look"
            done = _look(file, job["at"]) if is_look else _write_csv(file, parent, job)
        _send(parent, {"done": done})
    except (XComError, MemoryError) as error:
        kind = next(kind for kind in (MemoryError, BadReferenceError, Exception) if isinstance(error, kind))
        _send(parent, {"error": [kind.__name__, str(error)]})


def _limit_memory(size: int) -> None:
    """Limit the memory allocated from now on; without /proc there is no limit.

    :param size: bytes
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        used = int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
        with contextlib.suppress(ValueError):  # the limit may be lower already
            resource.setrlimit(resource.RLIMIT_DATA, (used + size,) * 2)
        Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, end this process first


def _look(file: AskedFile, at: list[int]) -> Shown:
    codec = file.reference.info.codec
    if codec not in _LOOKS:
        raise FormatError(f"It was stored by the codec {codec!r:.40}, which this version does not know.")
    try:
        return _function(_LOOKS[codec])(file, At(*at))
    except TooMuchError as error:
        return Shown([f"{error} Download it."])


def _write_csv(file: AskedFile, parent: Connection, job: dict[str, Any]) -> None:
    for text in _function("tables_as_csv.pieces")(file, job["for_spreadsheets"]):
        for start in range(0, len(text), PIECE_BYTES):
            with _waiting():
                _send(parent, {"piece": None})
                parent.send_bytes(text[start : start + PIECE_BYTES])
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])


def _ask(parent: Connection, spans: list[Span]) -> tuple[list[bytearray], int]:
    with _waiting():
        _send(parent, {"ask": spans})
        answer = json.loads(parent.recv_bytes())
        if "refused" in answer:
            raise TooMuchError(answer["refused"])
        return [_received(parent, stop - start) for start, stop in spans], answer["left"]


def _received(parent: Connection, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        data += parent.recv_bytes()
    return data


def _send(parent: Connection, message: dict[str, Any]) -> None:
    parent.send_bytes(json.dumps(message, default=plain).encode())


@contextlib.contextmanager
def _waiting() -> Iterator[None]:
    """Stop the clock of the job within the block."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
