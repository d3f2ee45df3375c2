"""Columns of Python objects as Arrow arrays.

A column of one type, and at most one kind of missing value, gets Arrow's type for it. Any other is
an array of strings, each the JSON text of one object (:mod:`include.s3_xcom.codecs.tagged_json`).
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.tagged_json import stdlib
from include.s3_xcom.errors import UnsupportedValueError

DRIVERS_FORMAT = "c"
"""Of the memoryviews that psycopg2 gives for bytea. A column of these is an Arrow column of bytes."""

Spec = dict[str, Any]

_MISSING = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT}
_MISSING_NAMES = {type(value): name for name, value in _MISSING.items()}


def encode(values: np.ndarray) -> tuple[pa.Array, Spec]:
    """Python objects as Arrow, and the specification that decoding needs.

    :raises UnsupportedValueError: if one of them cannot be pushed; the path has its position
    """
    items = values.tolist()
    contents, missing = _sort_types(items)
    if len(contents) <= 1 and len(missing) <= 1:
        name = next(iter(missing), "None")
        content = next(iter(contents), type(None))
        try:
            array = _ENCODERS[content](items) if content in _ENCODERS else None
        except (pa.ArrowException, OverflowError, ValueError):  # such as an integer beyond 64 bits
            array = None
        if array is not None:
            return array, {"kind": "object", "content": content.__name__, "missing": name}
    return pa.array(_to_texts(items), pa.string()), {"kind": "object", "content": "json"}


def decode(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    """Inverse of :func:`encode`."""
    values = _decode_content(array, spec["content"])
    missing = spec.get("missing", "None")
    if missing != "None":
        values[array.is_null().to_numpy()] = _MISSING[missing]
    return values


def _decode_content(array: pa.ChunkedArray, content: str) -> np.ndarray:
    if content in ("str", "bytes"):
        return array.to_numpy()
    items = array.to_pylist()
    if content == "json":
        items = [tagged_json.loads(text) for text in items]
    elif content == "memoryview":
        items = [None if data is None else stdlib.make_memoryview(data, DRIVERS_FORMAT) for data in items]
    elif content == "UUID":
        items = [None if text is None else uuid.UUID(text) for text in items]
    elif content == "datetime" and array.type.tz:
        items = [None if moment is None else moment.astimezone(datetime.timezone.utc) for moment in items]
    values = np.empty(len(items), dtype=object)
    values[:] = items
    return values


def _sort_types(items: list) -> tuple[set[type], set[str]]:
    """The types of the objects, and apart from them the kinds of missing values."""
    types = set(map(type, items))
    contents = types - set(_MISSING_NAMES)
    missing = types & set(_MISSING_NAMES)
    if float in types and (not contents or any(type(x) is float and x == x for x in items)):
        contents.add(float)  # numbers among which NaN is one more
        missing.discard(float)
    return contents, {_MISSING_NAMES[kind] for kind in missing}


def _to_texts(items: list) -> list[str]:
    texts = []
    for position, item in enumerate(items):
        try:
            texts.append(tagged_json.dumps(item).decode())
        except UnsupportedValueError as error:
            raise error.inside(position) from None
    return texts


def _encode_floats(items: list) -> pa.Array:
    return pa.array(items, pa.float64(), from_pandas=False)


def _encode_datetimes(items: list) -> pa.Array | None:
    moments = [item for item in items if isinstance(item, datetime.datetime) and item is not pd.NaT]
    if any(moment.fold for moment in moments):
        return None
    # By identity: timezone(timedelta(0), "GMT") == timezone.utc.
    if all(moment.tzinfo is None for moment in moments):
        return pa.array(items, pa.timestamp("us"), from_pandas=True)
    if all(moment.tzinfo is datetime.timezone.utc for moment in moments):
        return pa.array(items, pa.timestamp("us", "UTC"), from_pandas=True)
    return None


def _encode_decimals(items: list) -> pa.Array | None:
    """As decimal128, whose numbers all have the same exponent."""
    tuples = [item.as_tuple() for item in items if isinstance(item, decimal.Decimal)]
    exponents = {number.exponent for number in tuples}
    zeros_below = any(number.sign and not any(number.digits) for number in tuples)
    if len(exponents) != 1 or zeros_below:
        return None
    exponent = exponents.pop()
    if not isinstance(exponent, int) or not -38 <= exponent <= 0:
        return None
    return pa.array(items, pa.decimal128(38, -exponent), from_pandas=True)


def _encode_uuids(items: list) -> pa.Array:
    texts = [str(item) if type(item) is uuid.UUID else None for item in items]
    return pa.array(texts, pa.string())


def _encode_memoryviews(items: list) -> pa.Array | None:
    views = [item for item in items if type(item) is memoryview]
    if {(view.format, view.readonly) for view in views} != {(DRIVERS_FORMAT, True)}:
        return None
    return pa.array(
        [stdlib.memoryview_bytes(item) if type(item) is memoryview else None for item in items],
        pa.binary(),
    )


def _as(kind: pa.DataType) -> Callable[[list], pa.Array]:
    return lambda items: pa.array(items, kind, from_pandas=True)


_ENCODERS: dict[type, Callable[[list], pa.Array | None]] = {
    type(None): _as(pa.null()),
    bool: _as(pa.bool_()),
    bytes: _as(pa.binary()),
    datetime.date: _as(pa.date32()),
    datetime.datetime: _encode_datetimes,
    decimal.Decimal: _encode_decimals,
    float: _encode_floats,
    int: _as(pa.int64()),
    memoryview: _encode_memoryviews,
    str: _as(pa.string()),
    uuid.UUID: _encode_uuids,
}
