"""Series of polars as the only column of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs import polars_frames
from include.s3_xcom.codecs.codec import Pulling

if TYPE_CHECKING:
    import polars


def encode(value: Any) -> bytes | None:
    import polars

    return polars_frames.write(value.to_frame()) if type(value) is polars.Series else None


def decode(body: bytes | memoryview, pulling: Pulling) -> polars.Series:
    return polars_frames.decode(body, pulling).to_series()
