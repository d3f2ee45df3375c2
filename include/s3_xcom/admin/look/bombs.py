"""Refuses what a few bytes would become much more of, before it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from include.s3_xcom.codecs.parquet import joined_files
from include.s3_xcom.errors import FormatError
from include.s3_xcom.reference import human_size

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PLAIN_BYTES = 32 * 1024 * 1024
"""What is decoded at most."""

MAGIC_BYTES = 8
"""Before the messages of an Arrow file, which are those of a stream."""

_CELL_BYTES = 8


def check_pages(chunks: Iterable[bytes]) -> None:
    """Refuse pages of Parquet that become too much, by what is written before each.

    :param chunks: of columns, each with all of its pages
    :raises FormatError: if they do
    """
    if sum(map(joined_files.plain_size, chunks)) > PLAIN_BYTES:
        raise _too_much()


def check_parquet(body: bytes) -> None:
    """Refuse a whole Parquet file that becomes too much. Errors as of :func:`check_pages`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from include.s3_xcom.codecs.parquet import tables

    metadata: pq.FileMetaData = pq.ParquetFile(pa.BufferReader(body)).metadata
    if metadata.num_rows * max(1, metadata.num_columns) * _CELL_BYTES > PLAIN_BYTES:
        raise _too_much()
    chunks = []
    for i in range(metadata.num_row_groups):
        for j in range(metadata.num_columns):
            start, stop = tables.span_of(metadata.row_group(i).column(j))
            chunks.append(body[start:stop])
    check_pages(chunks)


def check_parts(parts: Iterable[tuple[str, bytes]]) -> None:
    """Refuse members of an archive that become too much, by their names. Errors as of :func:`check_pages`."""
    for name, body in parts:
        if name.endswith(".parquet"):
            check_parquet(body)
        elif name.endswith(".arrow"):
            check_stream(body[MAGIC_BYTES:])


# https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format, and Message.fbs
_MARKER = b"\xff\xff\xff\xff"
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3  # the fields of a message
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # types of headers
_DATA, _COMPRESSION = 1, 3  # fields of a dictionary batch, and of a record batch


def check_stream(stream: bytes) -> None:
    """Refuse an Arrow stream with compressed batches, which no push writes.

    :raises FormatError: if there are some
    """
    at = 0
    while stream[at : at + 4] == _MARKER:
        (length,) = struct.unpack_from("<i", stream, at + 4)
        if length <= 0:
            return
        message = stream[at + 8 : at + 8 + length]
        (table,) = struct.unpack_from("<I", message)
        (kind,) = struct.unpack_from("<B", message, _field(message, table, _HEADER_TYPE))
        if kind in (_DICTIONARY_BATCH, _RECORD_BATCH):
            batch = _table_in(message, table, _HEADER)
            if kind == _DICTIONARY_BATCH:
                batch = _table_in(message, batch, _DATA)
            if _field(message, batch, _COMPRESSION):
                raise FormatError("The stored Arrow file is compressed; no push writes that.")
        where = _field(message, table, _BODY_LENGTH)
        (body,) = struct.unpack_from("<q", message, where) if where else (0,)
        at += 8 + length + max(0, body)


def _field(message: bytes, table: int, number: int) -> int:
    """Where a field of a table of flatbuffers is; 0 if the table has none.

    https://flatbuffers.dev/internals/
    """
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    place = 4 + 2 * number
    (offset,) = struct.unpack_from("<H", message, table - back + place) if place < size else (0,)
    return table + offset if offset else 0


def _table_in(message: bytes, table: int, number: int) -> int:
    where = _field(message, table, number)
    return where + struct.unpack_from("<I", message, where)[0]


def _too_much() -> FormatError:
    return FormatError(f"It would become more than {human_size(PLAIN_BYTES)} in memory, and is not shown.")
