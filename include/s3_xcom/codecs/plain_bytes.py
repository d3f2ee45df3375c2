"""Bytes as they are."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.codecs.codec import Pulling


def encode(value: Any) -> bytes | None:
    return value if type(value) is bytes else None


def decode(body: bytes | memoryview, pulling: Pulling) -> bytes:
    return bytes(body)
