"""polars' DataFrame as an Arrow IPC file."""

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
    """Inverse of :func:`encode`.

    :raises FormatError: if polars is not installed here
    """
    try:
        import polars
    except ImportError:
        raise FormatError("It is a polars frame, and polars is not installed on this machine.") from None
    return polars.read_ipc(io.BytesIO(body), memory_map=False)


def write(frame: polars.DataFrame) -> bytes:
    """A frame as an Arrow IPC file.

    :raises UnsupportedValueError: if polars cannot write it
    """
    import polars

    sink = io.BytesIO()
    try:
        frame.write_ipc(sink, compression="uncompressed")
    except polars.exceptions.PolarsError as error:
        raise UnsupportedValueError(f"polars cannot write it as Arrow ({type(error).__name__})") from None
    return sink.getvalue()
