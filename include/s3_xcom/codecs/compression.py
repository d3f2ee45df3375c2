"""Compression of whole objects, bounded on the way back."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator

from include.s3_xcom.errors import FormatError

SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}

_PIECE_BYTES = 64 * 1024

GZIP_WINDOW = 16 + zlib.MAX_WBITS  # https://docs.python.org/3/library/zlib.html#zlib.compressobj


def compress(name: str, data: bytes | memoryview) -> bytes:
    """Compress data as one gzip member (RFC 1952) or Zstandard frame (RFC 8878).

    :param name: ``gzip`` or ``zstd``
    """
    if name == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    import pyarrow as pa

    return pa.compress(data, codec="zstd", asbytes=True)


def decompress(name: str, data: bytes, size: int) -> bytes:
    """Decompress data whose size is known.

    :param size: bytes of the result; no more is ever allocated
    :raises FormatError: if the data is damaged, or of another size
    """
    with _damage_named(name):
        if name == "gzip":
            stream = zlib.decompressobj(GZIP_WINDOW)
            plain = stream.decompress(data, size + 1)
            whole = stream.eof and not stream.unused_data
        else:
            import pyarrow as pa

            plain = pa.decompress(data, decompressed_size=size, codec="zstd", asbytes=True)
            whole = True
    if not whole or len(plain) != size:
        raise FormatError("The stored data is shorter or longer than its reference says.")
    return plain


def decompress_start(name: str, data: bytes, limit: int) -> bytes:
    """Decompress the start of data whose end may be missing.

    :param limit: bytes returned at most
    :raises FormatError: if the data is damaged
    """
    with _damage_named(name):
        if name == "gzip":
            return zlib.decompressobj(GZIP_WINDOW).decompress(data, limit)
        return _start_of_zstd(data, limit)


def _start_of_zstd(data: bytes, limit: int) -> bytes:
    import pyarrow as pa

    plain = bytearray()
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        try:
            while len(plain) < limit and (piece := stream.read(_PIECE_BYTES)):
                plain += piece
        except OSError:  # the end is missing
            if not plain:
                raise
    return bytes(plain[:limit])


@contextlib.contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Raise FormatError for an unknown compression, and for damaged data within the block."""
    if name not in SUFFIXES:
        raise FormatError(f"It is compressed as {name!r:.20}, which is not known. Update include/.")
    try:
        yield
    except (zlib.error, OSError, ValueError) as error:
        raise FormatError(f"The stored data cannot be decompressed ({type(error).__name__}).") from None
