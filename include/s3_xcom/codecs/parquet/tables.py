"""pyarrow's Table as Parquet, where Parquet keeps its schema."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom.codecs import schema_guard
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.errors import FormatError

THREADED_BYTES = 1024 * 1024


def encode(value: Any) -> memoryview | None:
    """A table as a Parquet file; None if that would not keep it."""
    if type(value) is not pa.Table:
        return None
    if (
        not all(map(_is_kept_by_parquet, value.schema.types))
        or len(set(value.column_names)) < value.num_columns
    ):
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(value, sink, version="2.6")
    body = sink.getvalue()
    same = pq.read_schema(pa.BufferReader(body)).equals(value.schema, check_metadata=True)
    return memoryview(body) if same and value.num_columns else None


def decode(body: bytes | memoryview, pulling: Pulling) -> pa.Table:
    """Inverse of :func:`encode`.

    :raises FormatError: if there are more rows than were pushed
    """
    schema_guard.check_parquet(body)
    file = pq.ParquetFile(pa.BufferReader(body))
    if pulling.rows is not None and file.metadata.num_rows > pulling.rows:
        raise FormatError("The stored Parquet has more rows than were pushed.")
    # For little, handing out the columns takes longer than it saves.
    return file.read(use_threads=len(body) >= THREADED_BYTES)


def _is_kept_by_parquet(kind: pa.DataType) -> bool:
    types = pa.types
    plain = (types.is_integer, types.is_boolean, types.is_string, types.is_binary, types.is_date32)
    return (
        any(check(kind) for check in plain)
        or types.is_float32(kind)
        or types.is_float64(kind)
        or (types.is_timestamp(kind) and kind.unit != "s")
    )
