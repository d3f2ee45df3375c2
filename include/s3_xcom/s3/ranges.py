"""Large objects read by several ranged requests at once: as a stream, or as a seekable file.

Each range is a :class:`Body`: of the object that was pushed and no other, resumed if it breaks off.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.s3_xcom.errors import XComError
from include.s3_xcom.interruptions import heard
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors
from include.s3_xcom.s3.body import CHUNK_BYTES, Body
from include.s3_xcom.s3.parallel import Parallel, connections

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store

RANGE_BYTES = 8 * 1024 * 1024

_WAITING_RANGES = 2
"""Ranges beyond one per connection that may have come, or be on their way, and wait to be read."""

SINGLE_GET_BYTES = 2 * RANGE_BYTES
"""Bytes up to which an object is read by one request."""

Span = tuple[int, int]
"""A range: its first byte and the one after the last."""


def cut(start: int, stop: int) -> list[Span]:
    """Cut a range into ranges of one request each."""
    return [(first, min(first + RANGE_BYTES, stop)) for first in range(start, stop, RANGE_BYTES)]


def at_once(store: Store) -> int:
    """Return how many ranges to read at once. It makes the store's client, once and not in each thread."""
    with errors.translated(store.settings, "read from", store.address()):
        _ = store.client
    return connections(store.settings.transfer_connections, RANGE_BYTES)


def read(store: Store, reference: Reference, span: Span, into: memoryview) -> memoryview:
    """Read a range of an object by one request. Raises what :class:`Body` raises.

    :param into: buffer that is as long, or longer
    :return: the slice of it that holds the bytes
    """
    start, stop = span
    into = into[: stop - start]
    with Body(store, reference, span) as body:
        done = 0
        while done < len(into):
            done += body.readinto(into[done : done + CHUNK_BYTES])
    return into


class RangeStream(io.RawIOBase):
    """The bytes of a large object, or a range: the first MiB alone, the rest by several requests at once.

    Its parameters, attributes and errors are those of :class:`Body`.
    """

    def __init__(self, store: Store, reference: Reference, span: Span | None = None) -> None:
        self._reference = reference
        start, stop = span or (0, reference.size)
        self._digest = hashlib.sha256() if span is None and reference.sha256 else None
        self._left = stop - start
        self.received = 0
        self.failed = False
        self._error: BaseException | None = None
        self._at_once = at_once(store)
        self._reading = Parallel(
            lambda job: read(store, reference, *job), 1, ready=_WAITING_RANGES, waiting=1
        )
        first = min(start + CHUNK_BYTES, start + RANGE_BYTES, stop)
        self._parts = self._reading.run(self._jobs([(start, first), *cut(first, stop)]))
        self._free: list[memoryview] = []  # each new one would stay in the arena of its thread
        self._part = self._next()

    def _jobs(self, spans: list[Span]) -> Iterator[tuple[Span, memoryview]]:
        for span in spans:
            yield span, self._free.pop() if self._free else memoryview(bytearray(RANGE_BYTES))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if not self._part and self._left:
            self._free.append(memoryview(self._part.obj))
            self._reading.at_once = self._at_once  # more than the first MiB is wanted
            self._reading.waiting = self._at_once + _WAITING_RANGES
            self._part = self._next()
        size = min(len(buffer), len(self._part))
        buffer[:size] = self._part[:size]
        self._part = self._part[size:]
        return size

    def close(self) -> None:
        self._parts.close()
        self._part, self._error = memoryview(b""), None
        self._free.clear()
        super().close()

    def _next(self) -> memoryview:
        if self._error is not None:
            raise self._error  # later bytes must not look like the end
        try:
            with heard():
                part = next(self._parts)
            if self._digest is not None:
                self._digest.update(part)
                if len(part) == self._left and self._digest.hexdigest() != self._reference.sha256:
                    raise errors.altered(self._reference)
        except BaseException as error:
            self._error = error
            self.failed = isinstance(error, XComError)
            raise
        self.received += len(part)
        self._left -= len(part)
        return part


class RangedFile(io.RawIOBase):
    """An object as a seekable file. Each read is a request, unless the bytes were fetched before.

    Its ranges are of the object that was pushed, by its ETag; its SHA-256 is not checked. It raises what
    :class:`Body` raises.
    """

    def __init__(self, store: Store, reference: Reference) -> None:
        self._store = store
        self._reference = reference
        self._position = 0
        self._fetched: list[tuple[Span, memoryview]] = []

    def fetch(self, spans: list[Span]) -> None:
        """Read ranges now, by several requests at once, and keep them until the file is closed.

        Ranges with little between them are read together, and none is read twice.
        """
        spans = [span for span in spans if not any(_holds(kept, span) for kept, _ in self._fetched)]
        joined = [part for span in _join(spans) for part in cut(*span)]
        reading = Parallel(self._read, self._store.settings.transfer_connections, ready=len(joined))
        with heard(), contextlib.closing(reading.run(joined)) as parts:
            self._fetched += zip(joined, parts)

    def part(self, start: int, stop: int) -> bytes:
        """Return a range of the object, by one request if it was not fetched before."""
        stop = min(stop, self.size())
        self.fetch([(start, stop)])
        self.seek(start)
        return self.read(stop - start)

    def forget(self) -> None:
        """Drop what was fetched before."""
        self._fetched.clear()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reference.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def size(self) -> int:
        return self._reference.size

    def readinto(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), self._reference.size - self._position)
        done = 0
        while done < wanted:  # pyarrow takes a short read for an error
            start, stop = self._position, self._position + wanted - done
            data = self._kept(start, stop)
            if data is None:
                data = self._read((start, stop))
            buffer[done : done + len(data)] = data
            done += len(data)
            self._position += len(data)
        return done

    def close(self) -> None:
        self.forget()
        super().close()

    def _read(self, span: Span) -> memoryview:
        return read(self._store, self._reference, span, memoryview(bytearray(span[1] - span[0])))

    def _kept(self, start: int, stop: int) -> memoryview | None:
        """Return fetched bytes from a position on, maybe fewer than asked for; None if there are none."""
        for (first, end), data in self._fetched:
            if first <= start < end:
                return data[start - first : stop - first]
        return None


def _holds(outer: Span, inner: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


GAP_BYTES = 256 * 1024
"""Bytes between two ranges below which they are read together: a round trip would take longer."""


def _join(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] < GAP_BYTES:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
