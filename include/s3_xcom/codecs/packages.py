"""Tags and binary codecs for the types of other packages: pandas, numpy, pyarrow, polars, pendulum,
psycopg2.

None of them is imported before a value, or a stored object, needs it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs import builtin_types, timezones
from include.s3_xcom.codecs.tags import as_list, as_str, from_base64, tag, to_base64, type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged import Encoder


@dataclass(frozen=True)
class Blob:
    """A value of another package in a binary format."""

    codec: str
    data: bytes | memoryview
    shape: list[int]


@dataclass(frozen=True)
class BinaryCodec:
    suffix: str
    media_type: str
    module: str
    decoder: str

    def decode(self, body: bytes | memoryview, rows: int | None) -> Any:
        module = importlib.import_module(f"include.s3_xcom.codecs.{self.module}")
        bounds = {"rows": rows} if self.suffix == ".parquet" else {}
        return getattr(module, self.decoder)(body, **bounds)


PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.file"
"""Both: https://www.iana.org/assignments/media-types/media-types.xhtml"""

CODECS = {
    "parquet": BinaryCodec(".parquet", PARQUET, "frames", "decode"),
    "npy": BinaryCodec(".npy", "application/x-npy", "arrays", "decode"),
    "table": BinaryCodec(".parquet", PARQUET, "tables", "decode_parquet"),
    "arrow": BinaryCodec(".arrow", ARROW, "tables", "decode_arrow"),
    "polars": BinaryCodec(".arrow", ARROW, "tables", "decode_polars"),
    "polars.Series": BinaryCodec(".arrow", ARROW, "tables", "decode_polars_series"),
}


def find_blob(value: Any) -> Blob | None:
    """The value in a binary format, if its type has one.

    :raises UnsupportedValueError: if it would come back changed
    """
    finder = _BLOBS.get(_package(value))
    return finder(value) if finder is not None else None


def decode_blob(codec: str, body: bytes, rows: int | None = None) -> Any:
    """The value that was found as a :class:`Blob`.

    :param rows: of a frame, how many were pushed
    :raises FormatError: if the codec is not known, or the bytes are nothing it writes
    """
    if codec not in CODECS:
        raise FormatError(
            f"It was stored by the codec {codec!r:.40}, which this version does not know. Was it pushed by a "
            "newer one? Update include/ on this machine."
        )
    return CODECS[codec].decode(body, rows)


def encode(encoder: Encoder, value: Any) -> Any:
    """A value of one of the packages, tagged; None if it is none of them."""
    blob = find_blob(value)
    if blob is not None:
        return encoder.blob(blob.codec, CODECS[blob.codec].suffix, blob.data)
    tagger = _TAGGERS.get(_package(value))
    return tagger(encoder, value) if tagger is not None else None


def is_scalar(value: Any) -> bool:
    """Whether it is one number, time or the like."""
    name = type_name(type(value))
    if name in _PENDULUM or name in _PANDAS:
        return True
    return (
        _package(value) == "numpy"
        and hasattr(type(value), "dtype")
        and not hasattr(type(value), "__array_finalize__")
    )


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _find_pandas(value: Any) -> Blob | None:
    import pandas as pd

    from include.s3_xcom.codecs import frames

    if type(value) in (pd.DataFrame, pd.Series) or isinstance(
        value, (pd.Index, pd.api.extensions.ExtensionArray)
    ):
        return Blob("parquet", frames.encode(value), list(value.shape))
    return None


def _find_numpy(value: Any) -> Blob | None:
    import numpy as np

    from include.s3_xcom.codecs import arrays

    if type(value) is np.ndarray and value.dtype.kind != "O":
        return Blob("npy", arrays.encode(value), list(value.shape))
    return None


def _find_pyarrow(value: Any) -> Blob | None:
    import pyarrow as pa

    from include.s3_xcom.codecs import tables

    if type(value) is not pa.Table:
        return None
    body = tables.encode_parquet(value)
    codec = "table" if body is not None else "arrow"
    return Blob(codec, tables.encode_arrow(value) if body is None else body, list(value.shape))


def _find_polars(value: Any) -> Blob | None:
    import polars

    from include.s3_xcom.codecs import tables

    codec = {polars.DataFrame: "polars", polars.Series: "polars.Series"}.get(type(value))
    return Blob(codec, tables.encode_polars(value), list(value.shape)) if codec else None


_BLOBS: dict[str, Callable[[Any], Blob | None]] = {
    "pandas": _find_pandas,
    "numpy": _find_numpy,
    "pyarrow": _find_pyarrow,
    "polars": _find_polars,
}


def _tag_numpy(encoder: Encoder, value: Any) -> Any:
    import numpy as np

    from include.s3_xcom.codecs import arrays

    if type(value) is np.ndarray:
        items, shape, order = arrays.objects(value)
        return tag("numpy.objects", encoder.items(value, items), shape=shape, order=order)
    if isinstance(value, np.dtype):
        return tag("numpy.dtype", to_base64(arrays.encode(np.empty(0, value))))
    return (
        tag("numpy.scalar", to_base64(arrays.encode_scalar(value))) if isinstance(value, np.generic) else None
    )


def _decode_numpy_objects(value: list, shape: list, order: str) -> Any:
    from include.s3_xcom.codecs import arrays

    return arrays.from_objects(as_list(value), as_list(shape), as_str(order))


def _decode_numpy_scalar(value: str) -> Any:
    from include.s3_xcom.codecs import arrays

    return arrays.decode_scalar(from_base64(value))


def _decode_numpy_dtype(value: str) -> Any:
    from include.s3_xcom.codecs import arrays

    return arrays.decode(from_base64(value)).dtype


# pandas' scalars. Ticks are those of the unit, which is nanoseconds before pandas 2.


def _tag_ticks(name: str, encoder: Encoder, value: Any) -> Any:
    unit = getattr(value, "unit", "ns")
    fields = {}
    if getattr(value, "tzinfo", None) is not None:
        fields["tz"] = timezones.encode(value.tzinfo, None)
    ticks = int(value.asm8.astype("i8"))
    return tag(name, ticks, unit=unit, **fields)


def _decode_timestamp(value: int, unit: str, tz: Any = None) -> Any:
    import numpy as np
    import pandas as pd

    moment = pd.Timestamp(np.datetime64(value, as_str(unit)))
    return moment if tz is None else moment.tz_localize("UTC").tz_convert(timezones.decode(tz))


def _decode_timedelta(value: int, unit: str) -> Any:
    import numpy as np
    import pandas as pd

    return pd.Timedelta(np.timedelta64(value, as_str(unit)))


def _decode_period(value: int, freq: str) -> Any:
    import pandas as pd

    return pd.Period(ordinal=value, freq=as_str(freq))


def _decode_interval(value: list, closed: str) -> Any:
    import pandas as pd

    return pd.Interval(*as_list(value), closed=as_str(closed))


def _pandas_singleton(name: str) -> Any:
    import pandas as pd

    return getattr(pd, name)


_PANDAS: dict[str, Callable[[Encoder, Any], Any]] = {
    "pandas._libs.tslibs.timestamps.Timestamp": functools.partial(_tag_ticks, "pandas.Timestamp"),
    "pandas._libs.tslibs.timedeltas.Timedelta": functools.partial(_tag_ticks, "pandas.Timedelta"),
    "pandas._libs.tslibs.nattype.NaTType": lambda encoder, value: tag("pandas.NaT", None),
    "pandas._libs.missing.NAType": lambda encoder, value: tag("pandas.NA", None),
    "pandas._libs.tslibs.period.Period": lambda encoder, value: tag(
        "pandas.Period", value.ordinal, freq=value.freqstr
    ),
    "pandas._libs.interval.Interval": lambda encoder, value: tag(
        "pandas.Interval", encoder.items(value, [value.left, value.right]), closed=value.closed
    ),
}


def _tag_pandas(encoder: Encoder, value: Any) -> Any:
    tagger = _PANDAS.get(type_name(type(value)))
    return tagger(encoder, value) if tagger is not None else None


# pendulum's times, as Airflow uses them.

_PENDULUM: dict[str, Callable[[Encoder, Any], Any]] = {
    "pendulum.datetime.DateTime": functools.partial(builtin_types.encode_datetime, name="pendulum.DateTime"),
    "pendulum.date.Date": lambda encoder, value: tag("pendulum.Date", value.isoformat()),
    "pendulum.time.Time": functools.partial(builtin_types.encode_time, name="pendulum.Time"),
}


def _tag_pendulum(encoder: Encoder, value: Any) -> Any:
    tagger = _PENDULUM.get(type_name(type(value)))
    return tagger(encoder, value) if tagger is not None else None


def _decode_pendulum(value: str, tz: Any = None, fold: int = 0) -> Any:
    import pendulum

    m = builtin_types.decode_datetime(value, tz, fold)
    fields = (m.year, m.month, m.day, m.hour, m.minute, m.second, m.microsecond)
    return pendulum.DateTime(*fields, tzinfo=m.tzinfo, fold=m.fold)


def _decode_pendulum_date(value: str) -> Any:
    import pendulum

    return pendulum.Date.fromisoformat(as_str(value))


def _decode_pendulum_time(value: str, tz: Any = None, fold: int = 0) -> Any:
    import pendulum

    t = builtin_types.decode_time(value, tz, fold)
    return pendulum.Time(t.hour, t.minute, t.second, t.microsecond, tzinfo=t.tzinfo, fold=t.fold)


# PostgreSQL's ranges, as psycopg2 gives them.

_RANGES = ("DateRange", "DateTimeRange", "DateTimeTZRange", "NumericRange", "Range")


def _tag_range(encoder: Encoder, value: Any) -> Any:
    name = type(value).__name__
    if name not in _RANGES or type_name(type(value)) != f"psycopg2._range.{name}":
        return None
    bounds = value._bounds  # lower_inc and upper_inc say nothing of an endless side
    return tag("psycopg2.Range", encoder.items(value, [value.lower, value.upper]), kind=name, bounds=bounds)


def _decode_range(value: list, kind: str, bounds: str | None) -> Any:
    from psycopg2 import extras

    if kind not in _RANGES:
        raise ValueError
    made = getattr(extras, kind)
    return made(empty=True) if bounds is None else made(*as_list(value), bounds)


def _tag_zone(encoder: Encoder, value: Any) -> Any:
    try:
        return tag("tz", timezones.encode(value, None))
    except UnsupportedValueError:
        return None


_TAGGERS: dict[str, Callable[[Encoder, Any], Any]] = {
    "dateutil": _tag_zone,
    "numpy": _tag_numpy,
    "pandas": _tag_pandas,
    "pendulum": _tag_pendulum,
    "psycopg2": _tag_range,
    "zoneinfo": _tag_zone,
}

DECODERS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _decode_numpy_dtype,
    "numpy.objects": _decode_numpy_objects,
    "numpy.scalar": _decode_numpy_scalar,
    "pandas.Interval": _decode_interval,
    "pandas.NA": lambda value: _pandas_singleton("NA"),
    "pandas.NaT": lambda value: _pandas_singleton("NaT"),
    "pandas.Period": _decode_period,
    "pandas.Timedelta": _decode_timedelta,
    "pandas.Timestamp": _decode_timestamp,
    "pendulum.Date": _decode_pendulum_date,
    "pendulum.DateTime": _decode_pendulum,
    "pendulum.Time": _decode_pendulum_time,
    "psycopg2.Range": _decode_range,
}
