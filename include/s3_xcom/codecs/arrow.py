"""pyarrow's Table as an Arrow IPC file, where Parquet would change it.

https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from include.s3_xcom.codecs import schema_guard
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.errors import FormatError, UnsupportedValueError

schema_guard.install()


def encode(value: Any) -> memoryview | None:
    """Return a table as the bytes of a file; None if it is no table.

    :raises UnsupportedValueError: if it would come back changed, which is tried here
    """
    if type(value) is not pa.Table:
        return None
    sink = pa.BufferOutputStream()
    try:
        with pa.ipc.new_file(sink, value.schema) as writer:
            writer.write_table(value.unify_dictionaries())
        body = memoryview(sink.getvalue())
        is_same = decode(body, Pulling()).schema.equals(value.schema, check_metadata=True)
    except (pa.ArrowException, OSError, FormatError) as error:
        raise UnsupportedValueError(f"Arrow does not read it again ({type(error).__name__})") from None
    if not is_same:
        raise UnsupportedValueError("Arrow's format changes a type or metadata of it. Cast it first")
    return body


def decode(body: bytes | memoryview, pulling: Pulling) -> pa.Table:
    with pa.ipc.open_file(pa.BufferReader(body)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # offsets in a damaged file may point outside of its buffers
    return table


def read_stream(data: bytes) -> pa.Table:
    """Read the table of an Arrow IPC stream.

    :raises pyarrow.ArrowException: if the data is no such stream
    """
    with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # as in decode()
    return table
