"""All codecs, one line each. To add a kind of value, write its module and its line."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from include.s3_xcom.codecs.codec import ARROW, BYTES, JSON, NPY, PARQUET, TEXT, ZIP, Codec
from include.s3_xcom.errors import FormatError

PICKLE = "pickle"

_CODECS = [
    Codec("bytes", ".bin", BYTES, "plain_bytes", compressible=True, inline=True),
    Codec("text", ".txt", TEXT, "plain_text", compressible=True, inline=True),
    Codec("json", ".json", JSON, "plain_json", compressible=True, inline=True),
    Codec("tagged", ".json", JSON, "tagged_json", compressible=True, inline=True),
    Codec("zip", ".zip", ZIP, "bundle"),
    Codec("parquet", ".parquet", PARQUET, "parquet.frames", "pandas", streams=True),
    Codec("npy", ".npy", NPY, "npy", "numpy", compressible=True),
    Codec("table", ".parquet", PARQUET, "parquet.tables", "pyarrow", streams=True),
    Codec("arrow", ".arrow", ARROW, "arrow", "pyarrow"),
    Codec("polars", ".arrow", ARROW, "polars_frames", "polars"),
    Codec("polars.Series", ".arrow", ARROW, "polars_series", "polars"),
]
_PICKLE = Codec(PICKLE, ".pkl", BYTES, "pickled")
_by_name = {codec.name: codec for codec in _CODECS}


def add(*codecs: Codec) -> None:
    """Add codecs of other packages: files and mapped sequences, which are pulled without their data."""
    _by_name.update({codec.name: codec for codec in codecs})


def find(name: str, *, may_pickle: bool = False) -> Codec:
    """Return the codec with a name.

    :param may_pickle: whether the caller has asked Airflow, and pickles may be read
    :raises FormatError: if there is no such codec
    """
    if name == PICKLE and may_pickle:
        return _PICKLE
    if name not in _by_name:
        raise FormatError(
            f"It was stored by the codec {name!r:.40}, which this version does not know. Was it pushed by a "
            "newer one? Update include/ on this machine."
        )
    return _by_name[name]


def of_libraries() -> Iterator[Codec]:
    """Yield the codecs of libraries that this process has imported, in the order in which they are tried."""
    return (codec for codec in _CODECS if codec.library in sys.modules)
