"""Types of Python objects that columns hold as Arrow types: each type's way out above its way back."""

from __future__ import annotations

import datetime
import decimal
import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.s3_xcom.codecs.parquet import dictionaries, moments, nested_columns
from include.s3_xcom.codecs.parquet.nested_columns import NotExactError
from include.s3_xcom.codecs.tagged_json import stdlib

Spec = dict[str, Any]
Above = tuple[list, ...]

DRIVERS_FORMAT = "c"
"""Format of the memoryviews that psycopg2 gives for bytea. A column of them is one of bytes for Arrow."""

MAX_DIGITS = 38
"""Digits of a decimal128, at most."""


@dataclass(frozen=True)
class ColumnType:
    """A type of objects.

    :param encode: takes the objects, whether missing ones are pandas' and not None, and the containers above
        them, level by level; returns an Arrow array, with nulls for objects of another type, which are the
        missing ones, and what decoding needs beside it; raises NotExactError if that would change an object
    :param decode: inverse of ``encode``: returns an array of objects, with None for each null
    """

    name: str
    type: type
    encode: Callable[[list, bool, Above], tuple[pa.Array, Spec]]
    decode: Callable[[pa.ChunkedArray, Spec], np.ndarray]


def objects(items: list) -> np.ndarray:
    """Return a list as an array of objects, whatever it holds."""
    values = np.empty(len(items), dtype=object)
    values[:] = items
    return values


def _as(kind: pa.DataType) -> Callable[[list, bool, Above], tuple[pa.Array, Spec]]:
    return lambda items, from_pandas, above: (pa.array(items, kind, from_pandas=from_pandas), {})


def _from_arrow(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    """Return the objects that Arrow makes. Equal ones are made once if a sample shows that values repeat."""
    are_objects = not (pa.types.is_boolean(array.type) or pa.types.is_floating(array.type))
    make_once = are_objects and dictionaries.repeats(array)
    parts = [_from_chunk(chunk, make_once) for chunk in array.chunks]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=object), *parts])


def _from_chunk(chunk: pa.Array, make_once: bool) -> np.ndarray:
    # As one list that holds all values: pandas would infer other types for a Series or frame of them.
    whole = pa.ListArray.from_arrays(pa.array([0, len(chunk)], pa.int32()), chunk)
    (values,) = whole.to_pandas(date_as_object=True, integer_object_nulls=True, deduplicate_objects=make_once)
    # Numbers and booleans without a null come as numpy's.
    return values.astype(object) if values.dtype != object else values


def _decode_null(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    return np.full(len(array), None, dtype=object)


def _encode_float(items: list, from_pandas: bool, above: Above) -> tuple[pa.Array, Spec]:
    return pa.array(items, pa.float64(), from_pandas=False), {}  # NaN is a number here


def _decode_text(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    return array.to_numpy()


def _encode_time(items: list, from_pandas: bool, above: Above) -> tuple[pa.Array, Spec]:
    kind = datetime.time
    if [None for item in items if type(item) is kind and (item.fold or item.tzinfo is not None)]:
        raise NotExactError
    return pa.array(items, pa.time64("us"), from_pandas=from_pandas), {}


def _encode_decimal(items: list, from_pandas: bool, above: Above) -> tuple[pa.Array, Spec]:
    """Return Decimals as decimal128, which has one exponent; different exponents are stored beside it."""
    numbers = [item for item in items if type(item) is decimal.Decimal]
    places = _places(numbers)
    scale = int(places.max())
    array = pa.array(items, pa.decimal128(MAX_DIGITS, scale), from_pandas=from_pandas)
    largest = max(limit.as_py().copy_abs() for limit in pc.min_max(array).values())
    precision = max(largest.adjusted() + 1 + scale if largest else 0, scale, 1)
    array = array.cast(pa.decimal128(precision, scale))
    if (places == scale).all():
        return array, {}
    of_all = np.zeros(len(items), "i1")
    of_all[array.is_valid().to_numpy(zero_copy_only=False)] = places
    return nested_columns.struct({"value": array, "places": pa.array(of_all)}, array.buffers()[0]), {}


def _places(numbers: list[decimal.Decimal]) -> np.ndarray:
    """Return the number of digits after the decimal point of each number.

    :raises NotExactError: if one is not finite, is -0, or has more than MAX_DIGITS or fewer than 0
    """
    texts = pa.array(list(map(str, numbers)), pa.string())
    if not pc.any(pc.match_substring_regex(texts, r"[EeIN]|^-0(\.0*)?$")).as_py():
        point = pc.find_substring(texts, ".").to_numpy()
        places = np.where(point < 0, 0, pc.binary_length(texts).to_numpy() - point - 1)
    else:
        fields = [number.as_tuple() for number in numbers]
        if any(number.sign and number.digits == (0,) for number in fields):
            raise NotExactError
        if any(type(number.exponent) is str for number in fields):
            raise NotExactError
        places = np.array([-number.exponent for number in fields])
    if places.min() < 0 or places.max() > MAX_DIGITS:
        raise NotExactError
    return places


def _decode_decimal(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    if not pa.types.is_struct(array.type):
        return array.to_pandas().to_numpy()
    numbers, places = nested_columns.fields(array)
    values = np.empty(len(array), dtype=object)
    places = places.fill_null(0).to_numpy()
    for count in np.unique(places).tolist():
        chosen = places == count
        exact = numbers.filter(pa.array(chosen)).cast(pa.decimal128(MAX_DIGITS, count))
        values[chosen] = exact.to_pandas().to_numpy()
    return values


def _encode_uuid(items: list, from_pandas: bool, above: Above) -> tuple[pa.Array, Spec]:
    numbers = [None if type(item) is not uuid.UUID else item.bytes for item in items]
    return pa.array(numbers, pa.binary(16)), {}


def _decode_uuid(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    numbers = array.to_pandas().tolist()
    from_bytes = functools.partial(int.from_bytes, byteorder="big")
    return objects([None if number is None else uuid.UUID(int=from_bytes(number)) for number in numbers])


def _encode_memoryview(items: list, from_pandas: bool, above: Above) -> tuple[pa.Array, Spec]:
    views = [item for item in items if type(item) is memoryview]
    if {(view.format, view.readonly) for view in views} != {(DRIVERS_FORMAT, True)}:
        raise NotExactError
    data = [stdlib.memoryview_bytes(item) if type(item) is memoryview else None for item in items]
    return pa.array(data, pa.binary()), {}


def _decode_memoryview(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    data = array.to_numpy().tolist()
    return objects([None if item is None else stdlib.make_memoryview(item, DRIVERS_FORMAT) for item in data])


TYPES = [
    ColumnType("NoneType", type(None), _as(pa.null()), _decode_null),
    ColumnType("bool", bool, _as(pa.bool_()), _from_arrow),
    ColumnType("int", int, _as(pa.int64()), _from_arrow),
    ColumnType("float", float, _encode_float, _from_arrow),
    ColumnType("str", str, _as(pa.string()), _decode_text),
    ColumnType("bytes", bytes, _as(pa.binary()), _decode_text),
    ColumnType("memoryview", memoryview, _encode_memoryview, _decode_memoryview),
    ColumnType("date", datetime.date, _as(pa.date32()), _from_arrow),
    ColumnType("time", datetime.time, _encode_time, _from_arrow),
    ColumnType("datetime", datetime.datetime, moments.encode, moments.decode),
    ColumnType("Decimal", decimal.Decimal, _encode_decimal, _decode_decimal),
    ColumnType("UUID", uuid.UUID, _encode_uuid, _decode_uuid),
    ColumnType("dict", dict, nested_columns.encode_dicts, nested_columns.decode_dicts),
    ColumnType("list", list, nested_columns.encode_lists, nested_columns.decode_lists),
    ColumnType("tuple", tuple, nested_columns.encode_lists, nested_columns.decode_tuples),
]
BY_TYPE = {column_type.type: column_type for column_type in TYPES}
BY_NAME = {column_type.name: column_type for column_type in TYPES}
NUMBERS = ("float",)
"""Types whose decoded arrays have NaN, not None, for a null."""
