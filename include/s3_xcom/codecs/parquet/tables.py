"""pyarrow's Table as Parquet, for tables whose schema Parquet keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom import threads
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.parquet import joined_files
from include.s3_xcom.codecs.sink import Sink
from include.s3_xcom.errors import FormatError

THREADED_BYTES = 1024 * 1024
"""Bytes of a Parquet file below which decoding its columns in threads is slower."""

STREAMED_BYTES = 32 * 1024 * 1024
"""Bytes of a table in memory above which it is encoded while it is sent."""

GROUP_BYTES, COLUMN_BYTES = 8 * 1024 * 1024, 16 * 1024
"""Bytes in memory of a streamed table's row group (about one part), and least bytes of each column in it."""

HEAD_ROWS, HEAD_BYTES = 1000, 1024 * 1024
"""Most rows, and bytes, of the first row group of a larger table: a look reads only that."""


def encode(value: Any) -> memoryview | None:
    """Return a table as a Parquet file; None if Parquet would change it."""
    return write(value) if _is_kept(value) else None


def stream(value: Any) -> Iterator[bytes] | None:
    """Return a large table in pieces; None if it is small, or if Parquet would change it."""
    if type(value) is not pa.Table or value.nbytes < STREAMED_BYTES or not _is_kept(value):
        return None
    return write_pieces(value)


def write(table: pa.Table, dictionaries: list[str] | bool = True) -> memoryview:
    """Return a table as the bytes of a Parquet file.

    :param dictionaries: paths of the Parquet columns that get a dictionary; True: all
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, version=_VERSION, use_dictionary=dictionaries) as writer:
        head = _head_rows(table)
        if head:
            writer.write_table(table.slice(0, head))
        if head < table.num_rows or not head:
            writer.write_table(table.slice(head))
    return memoryview(sink.getvalue())


def write_pieces(table: pa.Table, dictionaries: list[str] | bool = True) -> Iterator[bytes]:
    """Yield the bytes in pieces, one for each row group. The parameters are those of :func:`write`."""
    sink = Sink()
    head = _head_rows(table)
    size = max(GROUP_BYTES, table.num_columns * COLUMN_BYTES)
    rows = max(1, round(table.num_rows * size / max(1, table.nbytes)))
    with pq.ParquetWriter(sink, table.schema, version=_VERSION, use_dictionary=dictionaries) as writer:
        writer.write_table(table.slice(0, head))
        for start in range(head, table.num_rows, rows):
            writer.write_table(table.slice(start, rows), row_group_size=rows)
            yield sink.take()
    yield sink.take()


def _head_rows(table: pa.Table) -> int:
    """Return the number of rows of a first row group for looks; 0: the table is too small to need one."""
    if table.nbytes <= HEAD_BYTES:
        return 0
    return max(1, min(HEAD_ROWS, table.num_rows * HEAD_BYTES // table.nbytes))


def decode(body: bytes | memoryview, pulling: Pulling) -> pa.Table:
    """Decode what :func:`encode` returned.

    :raises FormatError: if there are more rows than were pushed
    """
    file = open_file(body, pulling)
    if pulling.arriving is None or not file.num_row_groups:
        return file.read(use_threads=by_threads(len(body)))
    return pa.concat_tables(read_groups(file, pulling))


def by_threads(size: int) -> bool:
    """Return whether pyarrow should decode so many bytes with its threads."""
    return size >= THREADED_BYTES and threads.are_enough(pa.cpu_count())


def open_file(body: bytes | memoryview, pulling: Pulling) -> pq.ParquetFile:
    """Open a Parquet file in memory whose end at least has come. Raises what :func:`decode` raises."""
    if pulling.arriving is not None:
        pulling.arriving.wait(len(body) - _FOOTER_LENGTH_BYTES, len(body))
        pulling.arriving.wait(max(0, joined_files.footer_start(body)), len(body))
    file = pq.ParquetFile(pa.BufferReader(body))
    if pulling.rows is not None and file.metadata.num_rows > pulling.rows:
        raise FormatError("The stored Parquet has more rows than were pushed.")
    return file


def read_groups(file: pq.ParquetFile, pulling: Pulling) -> Iterator[pa.Table]:
    """Yield the row groups of a file, each as soon as its bytes have come."""
    for number in range(file.num_row_groups):
        end = _group_end(file.metadata.row_group(number))
        pulling.arriving.wait(0, end)
        yield file.read_row_group(number, use_threads=by_threads(end))
        pulling.arriving.forget(end)


_VERSION = "2.6"
"""Version of the format: the first that keeps nanoseconds."""

_FOOTER_LENGTH_BYTES = 8


def _group_end(group: pq.RowGroupMetaData) -> int:
    """Return the position in bytes at which a row group ends. Its columns follow each other."""
    if not group.num_columns:
        return 0
    return span_of(group.column(group.num_columns - 1))[1]


def span_of(column: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return the range of bytes of a column in a row group: its first byte, and the one after the last."""
    offsets = column.data_page_offset, column.dictionary_page_offset
    start = min((offset for offset in offsets if offset), default=0)  # 0 or None: there is no such page
    return start, start + column.total_compressed_size


def _is_kept(value: Any) -> bool:
    """Return whether Parquet keeps the schema of a table."""
    if type(value) is not pa.Table or not value.num_columns:
        return False
    schema = value.schema
    if any(not field.nullable and column.null_count for field, column in zip(schema, value.columns)):
        return False  # Parquet writes other values for the nulls, or fails
    if not all(map(_is_kept_by_parquet, schema.types)) or len(set(schema.names)) < len(schema):
        return False
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(schema.empty_table(), sink, version=_VERSION)
        return pq.read_schema(pa.BufferReader(sink.getvalue())).equals(schema, check_metadata=True)
    except (pa.ArrowException, FormatError):  # metadata may name Arrow's extension types
        return False


def _is_kept_by_parquet(kind: pa.DataType) -> bool:
    types = pa.types
    plain = (types.is_integer, types.is_boolean, types.is_string, types.is_binary, types.is_date32)
    return (
        any(check(kind) for check in plain)
        or types.is_float32(kind)
        or types.is_float64(kind)
        or (types.is_timestamp(kind) and kind.unit != "s")
    )
