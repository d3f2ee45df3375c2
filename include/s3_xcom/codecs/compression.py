"""Compression of whole objects, bounded on the way back."""

from __future__ import annotations

import gzip
import zlib

from include.s3_xcom.errors import FormatError

SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}

GZIP_WINDOW = 16 + zlib.MAX_WBITS  # https://docs.python.org/3/library/zlib.html#zlib.compressobj


def compress(name: str, data: bytes | memoryview) -> bytes:
    """The data as one gzip member (RFC 1952) or Zstandard frame (RFC 8878).

    :param name: ``gzip`` or ``zstd``
    """
    if name == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    import pyarrow as pa

    return pa.compress(data, codec="zstd", asbytes=True)


def decompress(name: str, data: bytes, size: int) -> bytes:
    """The data that was compressed, of which the size is known.

    :param size: in bytes; no more is ever allocated
    :raises FormatError: if the data is not what was compressed, or of another size
    """
    try:
        if name == "gzip":
            stream = zlib.decompressobj(GZIP_WINDOW)
            plain = stream.decompress(data, size + 1)
            whole = stream.eof and not stream.unused_data
        elif name == "zstd":
            import pyarrow as pa

            plain = pa.decompress(data, decompressed_size=size, codec="zstd", asbytes=True)
            whole = True
        else:
            raise FormatError(f"It is compressed as {name!r:.20}, which is not known. Update include/.")
    except (zlib.error, OSError, ValueError) as error:
        raise FormatError(f"The stored data cannot be decompressed ({type(error).__name__}).") from None
    if not whole or len(plain) != size:
        raise FormatError("The stored data is shorter or longer than its reference says.")
    return plain
