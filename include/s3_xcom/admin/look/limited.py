"""Files that read little of an object, however large it is.

:class:`LimitedFile` asks S3, in the webserver. :class:`AskedFile` asks the webserver, in the process that
looks (:mod:`.apart`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from include.s3_xcom.codecs.compression import decompress_start
from include.s3_xcom.errors import XComError
from include.s3_xcom.reference import Reference, human_size
from include.s3_xcom.s3.ranges import RangedFile, Span
from include.s3_xcom.s3.store import Store

MAX_REQUESTS, MAX_BYTES = 4, 2 * 1024 * 1024
"""Requests, and bytes, that one look at one object may take."""

WHOLE_BYTES = 1024 * 1024
"""Bytes up to which an object is read whole if its start would not tell enough."""

HEAD_BYTES = 64 * 1024
"""Bytes read from the start of a long text."""

MAX_PLAIN_BYTES = 8 * 1024 * 1024
"""Bytes that compressed data may become, at most."""


class TooMuchError(XComError):
    """A read beyond the limits of a look."""


class LimitedFile(RangedFile):
    """A seekable file of an object in S3 that stops before it reads too much.

    :param requests: requests made before, for instance to find the object
    :ivar requests: requests made so far
    :ivar received: bytes of the object read so far
    :raises TooMuchError: from any method that reads
    """

    def __init__(self, store: Store, reference: Reference, requests: int = 0) -> None:
        super().__init__(store, reference)
        self.reference = reference
        self.settings = store.settings
        self.requests = requests
        self.received = 0
        self._counting = threading.Lock()

    @property
    def bytes_left(self) -> int:
        return MAX_BYTES - self.received if self.requests < MAX_REQUESTS else 0

    def _read(self, span: Span) -> memoryview:
        size = span[1] - span[0]
        with self._counting:
            if size > self.bytes_left:
                raise TooMuchError(
                    f"To show this, more than {MAX_REQUESTS} requests or {human_size(MAX_BYTES)} are needed."
                )
            self.requests += 1
            self.received += size
        return super()._read(span)


class AskedFile(RangedFile):
    """A seekable file of an object whose bytes are asked from another process.

    :param ask: returns the bytes of some ranges, and how many more may be asked for
    :ivar bytes_left: bytes that may still be asked for
    """

    def __init__(
        self, reference: Reference, bytes_left: int, ask: Callable[[list[Span]], tuple[list[bytes], int]]
    ) -> None:
        super().__init__(None, reference)
        self.reference = reference
        self.bytes_left = bytes_left
        self._ask = ask

    def fetch(self, spans: list[Span]) -> None:
        missing = [(a, b) for a, b in spans if a < b and len(self._kept(a, b) or b"") < b - a]
        if missing:
            parts, self.bytes_left = self._ask(missing)
            self._fetched += zip(missing, map(memoryview, parts))

    def head(self) -> tuple[bytes, bool]:
        """Return the start of the object's content, decompressed, and whether that is all of it."""
        compression = self.reference.info.compression
        if compression is None:
            is_all = self.size() <= WHOLE_BYTES
            return self.part(0, self.size() if is_all else HEAD_BYTES), is_all
        data = self.part(0, WHOLE_BYTES)
        plain = decompress_start(compression, data, MAX_PLAIN_BYTES)
        is_all = len(data) == self.size() and len(plain) == self.reference.info.raw_size
        return (plain if is_all else plain[:HEAD_BYTES]), is_all

    def _read(self, span: Span) -> memoryview:
        self.fetch([span])
        return self._kept(*span)
