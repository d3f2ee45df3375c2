"""Frames that come one after the other, as tables of one schema; later frames are not known in advance.

So the first frame gives a column of objects a type that later frames fit into as well: Decimals get as many
digits as possible, dicts and lists become JSON. A later frame is fitted to that type, or refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.parquet import columns, frames, nested_columns, object_columns
from include.s3_xcom.codecs.parquet.columns import Spec
from include.s3_xcom.codecs.parquet.object_types import MAX_DIGITS
from include.s3_xcom.errors import UnsupportedValueError

PLACES = 18
"""Digits after the decimal point for Decimals of several exponents, if the first frame needs no more."""


Kind = tuple[pa.DataType, str]
"""Arrow type of a column, and for objects the content of its specification."""


class Chunks:
    """The tables of frames that are alike."""

    def __init__(self) -> None:
        self._schema: pa.Schema | None = None
        self._first = pd.DataFrame()  # without rows
        self._kinds: list[Kind] = []

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """Return a frame as a table of the schema that the first frame had.

        :raises UnsupportedValueError: if it cannot be pushed, or has other columns, or other types
        """
        if self._schema is None:
            table = frames.to_table(frame, self._encode_first)
            self._schema, self._first = table.schema, frame.iloc[:0].copy()
            return table
        self.check(frame)
        kinds = iter(self._kinds)
        table = frames.to_table(frame, lambda values: _fitted(values, next(kinds, None)))
        if not table.schema.equals(self._schema):  # compares names and types
            raise _other_types(table.schema, self._schema, frame.columns)
        return table

    def _encode_first(self, values: columns.Values) -> tuple[pa.Array, Spec]:
        array, spec = _fitted(values, None)
        self._kinds.append((array.type, spec.get("content", "")))
        return array, spec

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse a frame whose columns, dtypes or kind of index differ from those of the first.

        :raises UnsupportedValueError: if they differ
        """
        if self._schema is not None:
            _check_alike(frame, self._first)


def _other_types(found: pa.Schema, expected: pa.Schema, labels: pd.Index) -> UnsupportedValueError:
    """Return the error for a frame whose columns are stored as other types than those of the first."""
    for label, field, first in zip(labels, found, expected):
        if field.type != first.type:
            return UnsupportedValueError(
                f"it is stored as {field.type}, and as {first.type} in the first. Cast it in the query, or "
                "convert each chunk with astype()",
                (label,),
            )
    return UnsupportedValueError("its index has other levels or types than that of the first")


def _check_alike(frame: pd.DataFrame, first: pd.DataFrame) -> None:
    labels = frame.columns
    if not labels.identical(first.columns) or labels.dtype != first.columns.dtype:
        raise UnsupportedValueError("its columns are not those of the first, in the same order")
    for position, label in enumerate(first.columns):
        dtype, expected = frame.dtypes.iloc[position], first.dtypes.iloc[position]
        if not _same_dtype(dtype, expected):
            raise UnsupportedValueError(
                f"its dtype is {dtype}, and {expected} in the first. Convert each chunk with astype()",
                (label,),
            )
    if type(frame.index) is not type(first.index) or list(frame.index.names) != list(first.index.names):
        raise UnsupportedValueError("its index is of another kind than that of the first")
    if not all(map(_same_dtype, _dtypes(frame.index), _dtypes(first.index))):
        raise UnsupportedValueError("its index has other dtypes than that of the first")


def _dtypes(index: pd.Index) -> list[Any]:
    return [level.dtype for level in index.levels] if isinstance(index, pd.MultiIndex) else [index.dtype]


def _same_dtype(one: Any, other: Any) -> bool:
    if isinstance(one, pd.CategoricalDtype) and isinstance(other, pd.CategoricalDtype):
        # Categories must be in the same order, that of the codes. Comparing the dtypes would hash the
        # categories.
        same = _same_dtype(one.categories.dtype, other.categories.dtype)
        return same and one.ordered == other.ordered and _are_same(one.categories, other.categories)
    if isinstance(one, pd.SparseDtype):
        return repr(one) == repr(other)  # as fill values, 0, 0.0 and -0.0 compare equal
    return one == other


def _are_same(one: pd.Index, other: pd.Index) -> bool:
    """Return whether labels are the same. Equal ones may differ: Decimals of other exponents, 1 and True."""
    if not one.equals(other) or one.dtype.kind not in "Of":
        return one.equals(other)
    return tagged_json.dumps_many(list(one)) == tagged_json.dumps_many(list(other))


def _fitted(values: columns.Values, kind: Kind | None) -> tuple[pa.Array, Spec]:
    """Encode values as :func:`columns.encode` does, in a type that fits all frames.

    :param kind: kind of the column in the first frame; None: this is the first
    """
    expected, content = kind or (None, "")
    is_object = isinstance(values.dtype, np.dtype) and values.dtype.kind == "O"
    if is_object and content == "json":
        return object_columns.encode_json(values)
    array, spec = columns.encode(values)
    if not is_object or array.type == expected:
        return array, spec
    if spec["content"] in ("dict", "list", "tuple"):
        array, spec = object_columns.encode_json(values)
    elif pa.types.is_null(array.type):
        array = pa.nulls(len(array), expected or pa.string())
    elif spec["content"] == "Decimal":
        array = _widen_decimals(array, expected)
    elif spec["content"] == "datetime" and spec.get("zones"):
        array = _widen_moments(array)
    if expected is not None and array.type != expected and pa.types.is_string(expected):
        array, spec = object_columns.encode_json(values)
    if expected is not None and array.type != expected:
        raise UnsupportedValueError(
            f"its objects are stored as {array.type}, and as {expected} in the first. Cast the column in the "
            "query, or convert it to one type"
        )
    return array, spec


def _widen_decimals(array: pa.Array, expected: pa.DataType | None) -> pa.Array:
    """Widen Decimals to all digits; those of several exponents to structs of value and places.

    They stay as they are if they do not fit ``expected``.
    """
    is_one = not pa.types.is_struct(array.type)
    if is_one and (expected is None or pa.types.is_decimal(expected)):
        return array.cast(pa.decimal128(MAX_DIGITS, array.type.scale))
    if is_one:
        value, places = array, pa.array(np.full(len(array), array.type.scale, "i1"))
    else:
        value, places = array.flatten()
    wide = (
        pa.decimal128(MAX_DIGITS, max(value.type.scale, PLACES)) if expected is None else _values_of(expected)
    )
    if wide is None or not _has_room(wide, value.type):
        return array
    return _beside(value.cast(wide), places, "value", "places")


def _values_of(expected: pa.DataType) -> pa.DataType | None:
    """Return the type of the values in structs of value and places; None for other types."""
    if not pa.types.is_struct(expected) or not pa.types.is_decimal(expected[0].type):
        return None
    return expected[0].type


def _has_room(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Return whether Decimals fit into a wider type. Arrow's cast does not check that, and wraps around."""
    return narrow.scale <= wide.scale and narrow.precision - narrow.scale <= wide.precision - wide.scale


def _widen_moments(array: pa.Array) -> pa.Array:
    """Store times of one zone like times of several, which later frames may have."""
    if pa.types.is_struct(array.type):
        return array
    return _beside(array, pa.array(np.zeros(len(array), "i1")), "utc", "zone")


def _beside(array: pa.Array, other: pa.Array, name: str, other_name: str) -> pa.Array:
    mask = array.buffers()[0] if array.null_count else None
    return nested_columns.struct({name: array, other_name: other}, mask)
