"""The check at the end of each block.

S3 has no checksum of a range, and a proxy may answer with the bytes of another block. The check is a CRC-32
that starts from the number of the block's first element, so that it detects other content and another place.
It is written in whitespace, which JSON allows between elements, with two bits per character: 0xE4000000 is a
line break, a carriage return, a tab and 13 spaces.
"""

from __future__ import annotations

import zlib

from include.s3_xcom.errors import FormatError

CHECK_BYTES = 16
"""Bytes of a block's check."""

PADDING = b" "
"""Padding between a block's content, which never ends with it, and its check."""

_WHITE = b" \t\r\n"


class AlteredError(FormatError):
    """A block that is not the one that was pushed."""

    def __init__(self) -> None:
        super().__init__("A block of the object is not the one that was pushed.")


def seal(content: bytes, first: int, size: int) -> bytes:
    """Return the padding and the check that make a block of its content.

    :param first: number of its first element
    :param size: bytes of the block
    """
    return ending(zlib.crc32(content, first & 0xFFFFFFFF), size - len(content))


def ending(crc: int, size: int) -> bytes:
    """Return padding and check of so many bytes.

    :param crc: CRC-32 of the content
    """
    padding = PADDING * (size - CHECK_BYTES)
    crc = zlib.crc32(padding, crc)
    return padding + bytes(_WHITE[crc >> shift & 3] for shift in range(30, -1, -2))


def unseal(block: bytes, first: int) -> bytes:
    """Return the content of a block. Inverse of :func:`seal`.

    :param first: number of its first element
    :raises AlteredError: if it is not the block that starts with that element, as it was pushed
    """
    content = block[:-CHECK_BYTES].rstrip(PADDING)
    if seal(content, first, len(block)) != block[len(content) :]:
        raise AlteredError
    return content


def lines_of(block: bytes, first: int) -> list[bytes]:
    """Return the lines of a block. Takes and raises what :func:`unseal` takes and raises."""
    return unseal(block, first).splitlines()
