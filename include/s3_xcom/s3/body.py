"""The bytes of an object as a stream, which is resumed if the connection breaks.

The SHA-256 in the reference is checked whenever an object is read from its start to its end.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.errors import XComError
from include.s3_xcom.interruptions import heard, raise_remembered
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors, stalls
from include.s3_xcom.s3.client import backoff, foreign_error
from include.s3_xcom.s3.pinned import get_pinned

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store

CHUNK_BYTES = 1024 * 1024
"""Bytes of one read. They must come within ``read_timeout``: a socket's timeout restarts with each byte."""

_PARTIAL_CONTENT = 206

HEALTHY_BYTES = 16 * 1024 * 1024
"""Bytes received without a break after which attempts are counted from 1 again."""


class Body(io.RawIOBase):
    """The bytes of an object, or a range of them.

    :param span: first byte and the one after the last; None: all
    :ivar failed: whether S3 failed while it was read
    :raises ObjectMissingError: if it is gone
    :raises IntegrityError: if it is not the one that was pushed; at the start, or at its end
    :raises StorageError: if S3 does not give it, also while it is read
    """

    def __init__(self, store: Store, reference: Reference, span: tuple[int, int] | None = None) -> None:
        self._store = store
        self._reference = reference
        self._start, self._stop = span or (0, reference.size)
        self._position = self._start
        is_whole = (self._start, self._stop) == (0, reference.size)
        self._digest = hashlib.sha256() if is_whole and reference.sha256 else None
        self._process = os.getpid()
        self._attempts = 1
        self._last_break = self._position
        self.failed = False
        self._response: BinaryIO | None = None
        self._response = self._get()

    @property
    def received(self) -> int:
        """Bytes received."""
        return self._position - self._start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the bytes that are left, at most CHUNK_BYTES at a time."""
        return iter(lambda: self._chunk(CHUNK_BYTES), b"")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        super().close()

    def _chunk(self, size: int) -> bytes:
        """Return some bytes, at least one; none at the end."""
        try:
            with heard():
                return self._read(size)
        except XComError:
            self.failed = True
            raise

    def _read(self, size: int) -> bytes:
        size = min(size, CHUNK_BYTES, self._stop - self._position)
        if size and os.getpid() != self._process:  # forked: the parent reads this connection
            self._process = os.getpid()
            self._response.close()
            self._response = self._get()
        while size:
            try:
                chunk = stalls.read(self._response, size, self._store.settings.read_timeout)
                if not chunk:
                    raise EOFError
            except _breaks() as error:
                raise_remembered()
                foreign = foreign_error(error)
                if foreign is not None:
                    raise foreign from foreign.__cause__
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
        if self._attempts >= self._store.settings.max_attempts:
            with self._translated():
                raise ResponseStreamingError(error=error) from error
        self._last_break = self._position
        time.sleep(backoff(self._attempts))
        self._attempts += 1
        self._response = self._get()

    def _get(self) -> BinaryIO:
        whole = (self._position, self._stop) == (0, self._reference.size)
        byte_range = {} if whole else {"Range": f"bytes={self._position}-{self._stop - 1}"}
        with self._translated():
            response = get_pinned(self._store.client, self._reference, byte_range)
        error = self._misfit(response, is_range=not whole)
        if error is not None:
            response["Body"].close()
            raise error
        return response["Body"]

    def _misfit(self, response: dict[str, Any], *, is_range: bool) -> XComError | None:
        """Return an error if an answer holds other bytes than those from the position on; None if it fits.

        https://www.rfc-editor.org/rfc/rfc9110#name-206-partial-content
        """
        wanted = self._stop - self._position
        length = response.get("ContentLength")  # None if a proxy sends the answer in chunks
        is_partial = response["ResponseMetadata"]["HTTPStatusCode"] == _PARTIAL_CONTENT
        if is_range:
            expected = f"bytes {self._position}-{self._stop - 1}/{self._reference.size}"
            # rclone answers 200 to a range that it sends as asked, which its length shows.
            if response.get("ContentRange") != expected or not (is_partial or length == wanted):
                return errors.other_bytes(self._reference, self._position, self._stop)
        elif "ContentRange" in response or is_partial:
            return errors.other_bytes(self._reference, self._position, self._stop)
        if length not in (None, wanted):
            return errors.truncated(self._reference, length, wanted)
        return None

    def _translated(self) -> Any:
        reference = self._reference
        return errors.translated(
            self._store.settings, "pull", reference.address, reference.owner, reference.pushed
        )

    def _check(self, chunk: bytes) -> None:
        if self._digest is None:
            return
        self._digest.update(chunk)
        if self._position == self._stop and self._digest.hexdigest() != self._reference.sha256:
            raise errors.altered(self._reference)


@functools.cache
def _breaks() -> tuple[type[Exception], ...]:
    """Return the errors of a body that breaks off. Botocore is imported only here: that takes a while."""
    from http.client import HTTPException

    from botocore.exceptions import HTTPClientError, IncompleteReadError
    from urllib3.exceptions import HTTPError

    return EOFError, OSError, HTTPException, HTTPError, HTTPClientError, IncompleteReadError
