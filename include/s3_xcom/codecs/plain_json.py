"""Lists and dicts that JSON holds as they are."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.tagged_json import engine


def encode(value: Any) -> bytes | None:
    return engine.dumps_plain(value) if type(value) in (dict, list) else None


def decode(body: bytes | memoryview, pulling: Pulling) -> Any:
    return engine.loads_plain(bytes(body))
