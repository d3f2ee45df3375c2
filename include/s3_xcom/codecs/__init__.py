"""Values as the bytes of objects, and back. Each codec is a module; this one chooses.

What is imported counts, in a process per task: pandas and pyarrow only when a value needs them.
"""

from __future__ import annotations

import sys
from typing import Any

from include.s3_xcom.codecs import tagged
from include.s3_xcom.codecs.encoded import Encoded
from include.s3_xcom.errors import FormatError

JSON = "application/json"

SMALL_BYTES = 1024
"""The longest scalar, as JSON, that stays in the metadata database."""

__all__ = ["Encoded", "decode", "encode", "encode_small"]


def encode(value: Any) -> Encoded:
    """The bytes to store for a value, in the most readable format that holds it exactly.

    :raises UnsupportedValueError: if no format does
    """
    if _is_frame(value):
        from include.s3_xcom.codecs import frames

        return frames.encode(value)
    kind = type(value)
    if kind is bytes:
        return Encoded("bytes", value, len(value), ".bin", "application/octet-stream", "bytes", [len(value)])
    body = None
    if kind is str and (body := _utf8(value)) is not None:
        return Encoded("text", body, len(body), ".txt", "text/plain; charset=utf-8", "str", [len(value)])
    if kind in (dict, list):
        body = tagged.dumps_plain(value)
    codec = "json" if body is not None else "tagged"
    body = body if body is not None else tagged.dumps(value)
    shape = [len(value)] if hasattr(value, "__len__") else []
    return Encoded(codec, body, len(body), ".json", JSON, kind.__name__, shape)


def encode_small(value: Any) -> bytes | None:
    """JSON for the metadata database, if the value is a scalar and short; None otherwise.

    :raises UnsupportedValueError: if it would come back changed
    """
    if not tagged.is_scalar(value) or (type(value) is str and len(value) > SMALL_BYTES):
        return None
    text = tagged.dumps(value)
    return text if len(text) <= SMALL_BYTES else None


def decode(codec: str, body: bytes) -> Any:
    """The value that :func:`encode` got.

    :raises FormatError: if the bytes are nothing it writes
    """
    if codec == "parquet":
        from include.s3_xcom.codecs import frames

        return frames.decode(body)
    if codec not in _DECODERS:
        raise FormatError(
            f"It was stored by the codec {codec!r:.40}, which this version does not know. Was it pushed "
            "by a newer one? Update include/ on this machine."
        )
    try:
        return _DECODERS[codec](body)
    except UnicodeDecodeError:
        raise FormatError("The stored text is no UTF-8.") from None


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")  # a value of its type has imported it
    return pandas is not None and type(value) in (pandas.DataFrame, pandas.Series)


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None


_DECODERS = {
    "bytes": bytes,
    "json": tagged.loads_plain,
    "tagged": tagged.loads,
    "text": bytes.decode,
}
