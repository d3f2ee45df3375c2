"""DataFrame of polars as an Arrow IPC file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.errors import FormatError, UnsupportedValueError

if TYPE_CHECKING:
    import polars


def encode(value: Any) -> bytes | None:
    import polars

    return write(value) if type(value) is polars.DataFrame else None


def decode(body: bytes | memoryview, pulling: Pulling) -> polars.DataFrame:
    """Decode what :func:`encode` returned.

    :raises FormatError: if polars is not installed here
    """
    try:
        import polars
    except ImportError:
        raise FormatError("It is a polars frame, and polars is not installed on this machine.") from None
    return polars.read_ipc(io.BytesIO(body), memory_map=False)


def write(frame: polars.DataFrame) -> bytes:
    """Return a frame as an Arrow IPC file.

    :raises UnsupportedValueError: if polars cannot write it, or would read other types
    """
    import polars

    try:
        kept = polars.read_ipc(_written(frame.head(1)), memory_map=False).schema == frame.schema
        body = _written(frame).getvalue()
    except polars.exceptions.PolarsError as error:
        raise UnsupportedValueError(f"polars cannot keep it as Arrow ({type(error).__name__})") from None
    if not kept:
        raise UnsupportedValueError("polars reads a type of it as another. Register the type, or cast() it")
    return body


def _written(frame: polars.DataFrame) -> io.BytesIO:
    sink = io.BytesIO()
    frame.write_ipc(sink, compression="uncompressed")
    sink.seek(0)
    return sink
