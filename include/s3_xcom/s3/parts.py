"""The parts of a multipart upload."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


def split(body: bytes | memoryview | BinaryIO, size: int) -> Iterator[bytes]:
    """Cut a body into parts.

    :param size: bytes of the body
    """
    part_size = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    for start in range(0, size, part_size):
        length = min(part_size, size - start)
        if isinstance(body, (bytes, memoryview)):
            yield bytes(memoryview(body)[start : start + length])
        else:
            yield body.read(length)


def gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces into parts that grow, so that a large object fits into the number of parts that S3 takes.

    The size of part n is ``PART_BYTES * (1 + n // 1000)``: 8 MiB for the first 1,000 parts, 16 MiB for the
    next, and so on: 429 GiB in 10,000 parts.
    """
    waiting: deque[memoryview] = deque()
    size = count = 0
    for piece in pieces:
        waiting.append(memoryview(piece))
        size += len(piece)
        del piece
        while size > (enough := PART_BYTES * (1 + count // 1000)):
            yield _take(waiting, enough)
            size -= enough
            count += 1
    yield _take(waiting, size)


def _take(waiting: deque[memoryview], size: int) -> bytes:
    """Take the first bytes off the pieces."""
    taken = []
    while size:
        piece = waiting.popleft()
        if len(piece) > size:
            waiting.appendleft(piece[size:])
        taken.append(piece[:size])
        size -= len(taken[-1])
    return b"".join(taken)
