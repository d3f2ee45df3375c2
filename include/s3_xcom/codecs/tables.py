"""pyarrow's Table, and polars' DataFrame and Series.

A Table is Parquet where Parquet keeps its schema, and an Arrow IPC file otherwise; polars' frames are always
the latter. https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom.errors import FormatError, UnsupportedValueError

if TYPE_CHECKING:
    import polars

THREADED_BYTES = 1024 * 1024

PICKLED_TYPE = "arrow.py_extension_type"


class _PickledType(pa.ExtensionType):
    """Takes the place of a type that pyarrow before 14.0.1 unpickles from any file that names it.

    https://nvd.nist.gov/vuln/detail/CVE-2023-47248
    """

    def __init__(self) -> None:
        super().__init__(pa.null(), PICKLED_TYPE)

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> pa.ExtensionType:
        raise FormatError("The stored data has a pickled type of pyarrow, which is not read.")


with contextlib.suppress(pa.ArrowKeyError):  # later releases have no such type
    pa.unregister_extension_type(PICKLED_TYPE)
pa.register_extension_type(_PickledType())


def encode_parquet(table: pa.Table) -> memoryview | None:
    """A table as a Parquet file, or None if that would not keep it."""
    if (
        not all(map(_is_kept_by_parquet, table.schema.types))
        or len(set(table.column_names)) < table.num_columns
    ):
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, version="2.6")
    body = sink.getvalue()
    same = pq.read_schema(pa.BufferReader(body)).equals(table.schema, check_metadata=True)
    return memoryview(body) if same and table.num_columns else None


def _is_kept_by_parquet(kind: pa.DataType) -> bool:
    types = pa.types
    plain = (types.is_integer, types.is_boolean, types.is_string, types.is_binary, types.is_date32)
    return (
        any(check(kind) for check in plain)
        or types.is_float32(kind)
        or types.is_float64(kind)
        or (types.is_timestamp(kind) and kind.unit != "s")
    )


def decode_parquet(body: bytes | memoryview, rows: int | None = None) -> pa.Table:
    """The table that :func:`encode_parquet` got.

    :param rows: how many were pushed: a few bytes can claim billions
    :raises FormatError: if there are more
    """
    file = pq.ParquetFile(pa.BufferReader(body))
    if rows is not None and file.metadata.num_rows > rows:
        raise FormatError("The stored Parquet has more rows than were pushed.")
    # For little, handing out the columns takes longer than it saves.
    return file.read(use_threads=len(body) >= THREADED_BYTES)


def encode_arrow(table: pa.Table) -> memoryview:
    """A table as an Arrow IPC file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def decode_arrow(body: bytes | memoryview) -> pa.Table:
    """The table that :func:`encode_arrow` got."""
    with pa.ipc.open_file(pa.BufferReader(body)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # what lies in the bucket may point outside of its buffers
    return table


def encode_polars(value: polars.DataFrame | polars.Series) -> bytes:
    """A polars frame as an Arrow IPC file.

    :raises UnsupportedValueError: if polars cannot write it
    """
    import polars

    frame = value.to_frame() if isinstance(value, polars.Series) else value
    sink = io.BytesIO()
    try:
        frame.write_ipc(sink, compression="uncompressed")
    except polars.exceptions.PolarsError as error:
        raise UnsupportedValueError(f"polars cannot write it as Arrow ({type(error).__name__})") from None
    return sink.getvalue()


def decode_polars(body: bytes | memoryview) -> polars.DataFrame:
    """The frame that :func:`encode_polars` got; a Series is its only column.

    :raises FormatError: if polars is not installed here
    """
    try:
        import polars
    except ImportError:
        raise FormatError("It is a polars frame, and polars is not installed on this machine.") from None
    return polars.read_ipc(io.BytesIO(body), memory_map=False)


def decode_polars_series(body: bytes | memoryview) -> Any:
    """The Series that :func:`encode_polars` got. Errors as of :func:`decode_polars`."""
    return decode_polars(body).to_series()
