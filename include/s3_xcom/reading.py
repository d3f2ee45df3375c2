"""Objects read from S3: whole, in part or as a stream, taken up again where a connection breaks off.

The ETag in the reference pins the object: with If-Match, S3 answers 412 for any other content, at whole reads
and at ranges alike, and costs nothing. The SHA-256 in the reference decides about restored copies, which may
have another ETag, and is checked against what arrives whenever an object is read from its start to its end.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom import failures
from include.s3_xcom.client import backoff, client
from include.s3_xcom.reference import Reference
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

CHUNK_BYTES = 1024 * 1024
"""Read at a time. Must arrive within ``read_timeout``: a socket's own timeout starts anew with each byte."""

HEALTHY_BYTES = 16 * 1024 * 1024
"""After so many without a break, the attempts are counted anew."""

_restored: dict[str, str] = {}
"""The ETags of objects that have their content, but not their ETag, by their addresses."""


def get(settings: Settings, reference: Reference) -> bytes:
    """The whole object, exactly as it was pushed.

    :raises ObjectMissingError: if it is gone
    :raises IntegrityError: if it is not the one that was pushed
    :raises StorageError: if S3 does not give it
    """
    with opened(settings, reference) as body:
        return body.read()


@contextlib.contextmanager
def opened(
    settings: Settings, reference: Reference, span: tuple[int, int] | None = None
) -> Iterator[BinaryIO]:
    """The object as a stream of bytes. Errors as of :func:`get`, also while it is read.

    :param span: the first byte and the one after the last, if it is not to be all
    """
    with (
        failures.explained(settings, "pull", reference.address, reference.owner, reference.pushed),
        io.BufferedReader(_Body(settings, reference, span), CHUNK_BYTES) as body,
    ):
        yield body


class _Body(io.RawIOBase):
    """What arrives of an object. Where it breaks off, it is asked for again from there.

    :param span: the first byte and the one after the last, if it is not to be all
    """

    def __init__(self, settings: Settings, reference: Reference, span: tuple[int, int] | None) -> None:
        self._settings = settings
        self._reference = reference
        self._position, self._stop = span or (0, reference.size)
        self._digest = hashlib.sha256() if span is None and reference.sha256 else None
        self._attempts = 1
        self._last_break = self._position
        self._response: BinaryIO | None = None
        self._watch: _Watch | None = None
        self._response = self._get()
        self._watch = _Watch(settings.read_timeout)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._chunk(CHUNK_BYTES), b""))

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        if self._watch is not None:
            self._watch.end()
        super().close()

    def _chunk(self, size: int) -> bytes:
        """Some bytes, at least one; none at the end.

        :raises IntegrityError: if they are the last ones, and all are not what was pushed
        """
        size = min(size, CHUNK_BYTES, self._stop - self._position)
        while size:
            try:
                chunk = self._watch.read(self._response, size)
                if not chunk:
                    raise EOFError
            except _breaks() as error:
                self._resume(error)
            else:
                self._position += len(chunk)
                self._check(chunk)
                return chunk
        return b""

    def _resume(self, error: Exception) -> None:
        from botocore.exceptions import ResponseStreamingError

        self._response.close()
        if self._position - self._last_break >= HEALTHY_BYTES:
            self._attempts = 1
        if self._attempts >= self._settings.max_attempts:
            raise ResponseStreamingError(error=error) from error
        self._last_break = self._position
        time.sleep(backoff(self._attempts))
        self._attempts += 1
        self._response = self._get()

    def _get(self) -> BinaryIO:
        whole = (self._position, self._stop) == (0, self._reference.size)
        part = {} if whole else {"Range": f"bytes={self._position}-{self._stop - 1}"}
        response = _get_pinned(client(self._settings), self._reference, part)
        if response["ContentLength"] != self._stop - self._position:
            response["Body"].close()
            raise failures.truncated(self._reference, response["ContentLength"], self._stop - self._position)
        return response["Body"]

    def _check(self, chunk: bytes) -> None:
        if self._digest is None:
            return
        self._digest.update(chunk)
        if self._position == self._stop and self._digest.hexdigest() != self._reference.sha256:
            raise failures.altered(self._reference)


def _get_pinned(s3: BaseClient, reference: Reference, part: dict[str, str]) -> dict[str, Any]:
    """GET the object that was pushed, and no other."""
    where = {"Bucket": reference.bucket, "Key": reference.key}
    try:
        etag = _restored.get(reference.address, reference.etag)
        return s3.get_object(IfMatch=etag, **where, **part)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
        whole = s3.get_object(**where)
        with contextlib.closing(whole["Body"]) as body:
            if whole["ContentLength"] != reference.size or _sha256(body) != reference.sha256:
                raise
    _restored[reference.address] = whole["ETag"]
    return s3.get_object(IfMatch=whole["ETag"], **where, **part)


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
        digest.update(chunk)
    return digest.hexdigest()


@functools.cache
def _breaks() -> tuple[type[Exception], ...]:
    """What is raised where a body breaks off. Not before it is needed: botocore takes a while to import."""
    from http.client import HTTPException

    from botocore.exceptions import HTTPClientError, IncompleteReadError
    from urllib3.exceptions import HTTPError

    return EOFError, OSError, HTTPException, HTTPError, HTTPClientError, IncompleteReadError


class _Watch:
    """Breaks a connection off when one read from it takes too long.

    One thread for all reads of a body: to start one takes long where other threads compute.

    :param seconds: what a read may take; a quarter more at most is given
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reading: tuple[Any, float] | None = None
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def read(self, body: Any, size: int) -> bytes:
        self._reading = body, time.monotonic()
        try:
            return body.read(size)
        finally:
            self._reading = None

    def _run(self) -> None:
        while not self._over.wait(self._seconds / 4):
            reading = self._reading
            if reading is not None and time.monotonic() - reading[1] > self._seconds:
                _disconnect(reading[0])


def _disconnect(body: Any) -> None:
    # Where botocore's own StreamingBody.set_socket_timeout finds the socket. Closing it would not wake up the
    # thread that reads.
    with contextlib.suppress(AttributeError, OSError):
        socket.socket.shutdown(body._raw_stream._fp.fp.raw._sock, socket.SHUT_RDWR)
