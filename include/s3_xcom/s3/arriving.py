"""A large object on its way into memory, read by several ranged requests at once."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
from typing import TYPE_CHECKING

from include.s3_xcom.interruptions import heard
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors, ranges
from include.s3_xcom.s3.parallel import Parallel
from include.s3_xcom.s3.ranges import Span

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store

AHEAD_RANGES = 4
"""Ranges beyond one per connection that may have come, or be on their way, before others are forgotten."""


class Arriving:
    """A whole object on its way into memory; bytes that have come can be read.

    Its end comes first, because Parquet stores the positions of its columns there.

    :param forgets: whether :meth:`forget` will be called, so that not all of it must be in memory at once
    :ivar body: the bytes, with zeros where they have not come yet or were forgotten
    """

    def __init__(self, store: Store, reference: Reference, *, forgets: bool = False) -> None:
        self._store = store
        self._reference = reference
        self._spans = ranges.cut(0, reference.size)
        # Memory is taken only where it is written, and can be given back.
        self._buffer = mmap.mmap(-1, reference.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._advise("MADV_HUGEPAGE", 0, reference.size)  # 512 times fewer page faults
        self.body = memoryview(self._buffer)
        self._digest = hashlib.sha256() if reference.sha256 else None
        self._arrived = 0  # bytes from the start, without a gap
        self._forgotten = 0
        self._taken = 0  # number of results
        self._error: BaseException | None = None
        connections = ranges.at_once(store)
        reading: Parallel[Span, None] = Parallel(
            self._read,
            connections,
            ready=len(self._spans),
            waiting=connections + AHEAD_RANGES if forgets else None,
        )
        self._results = reading.run([self._spans[-1], *self._spans[:-1]])

    def wait(self, start: int, stop: int) -> None:
        """Wait until the bytes between two positions have come.

        :raises ObjectMissingError: if the object is gone
        :raises IntegrityError: if it is not the one that was pushed
        """
        while self._arrived < stop and not (self._taken and start >= self._spans[-1][0]):
            self._next()

    def forget(self, stop: int) -> None:
        """Give back the memory of the bytes before a position, which have come and are not read again."""
        stop = min(stop, self._arrived) // mmap.PAGESIZE * mmap.PAGESIZE
        if stop > self._forgotten:
            self._advise("MADV_DONTNEED", self._forgotten, stop)
            self._forgotten = stop

    def finish(self) -> memoryview:
        """Wait until all bytes have come. Raises also what :meth:`wait` raises.

        :return: the body
        :raises IntegrityError: if it is not what was pushed
        """
        while self._arrived < self._reference.size:
            self._next()
        if self._digest is not None and self._digest.hexdigest() != self._reference.sha256:
            raise errors.altered(self._reference)
        return self.body

    def close(self) -> None:
        """Read no more."""
        self._results.close()

    def _advise(self, name: str, start: int, stop: int) -> None:
        """Advise the system how the memory is used. Some systems and kernels do not know each advice."""
        advice = getattr(mmap, name, None)
        if advice is not None:
            with contextlib.suppress(OSError):
                self._buffer.madvise(advice, start, stop - start)

    def _read(self, span: Span) -> None:
        ranges.read(self._store, self._reference, span, self.body[span[0] : span[1]])

    def _next(self) -> None:
        if self._error is not None:
            raise self._error
        try:
            with heard():
                next(self._results)
        except BaseException as error:
            self._error = error
            raise
        self._taken += 1
        first = self._arrived
        if self._taken == len(self._spans):
            self._arrived = self._reference.size
        elif self._taken > 1:
            self._arrived = self._spans[self._taken - 2][1]
        if self._digest is not None:
            self._digest.update(self.body[first : self._arrived])
