"""A string in UTF-8."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.codecs.codec import Pulling


def encode(value: Any) -> bytes | None:
    """Return the string in UTF-8; None if it holds a lone surrogate, which UTF-8 cannot encode."""
    if type(value) is not str:
        return None
    try:
        return value.encode()
    except UnicodeEncodeError:
        return None


def decode(body: bytes | memoryview, pulling: Pulling) -> str:
    return bytes(body).decode()
