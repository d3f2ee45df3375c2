"""Equal in type and content, all the way down."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa

from include.s3_xcom import codecs


def assert_same(actual: Any, expected: Any, path: str = "value") -> None:
    """Stricter than ``==``: types, signs of zero, order of keys, dtypes, labels and time zones count."""
    assert type(actual) is type(expected), f"{path}: {type(actual)} instead of {type(expected)}"
    check = next((check for kinds, check in _CHECKS if isinstance(expected, kinds)), _check_equal)
    check(actual, expected, path)


def _check_equal(actual: Any, expected: Any, path: str) -> None:
    assert bool(actual == expected), path


def _check_identical(actual: Any, expected: Any, path: str) -> None:
    assert actual is expected, path


def _check_float(actual: float, expected: float, path: str) -> None:
    if math.isnan(expected):
        assert math.isnan(actual), path
    else:
        assert actual == expected, path
        assert math.copysign(1, actual) == math.copysign(1, expected), path


def _check_complex(actual: complex, expected: complex, path: str) -> None:
    _check_float(actual.real, expected.real, f"{path}.real")
    _check_float(actual.imag, expected.imag, f"{path}.imag")


def _check_sequence(actual: Any, expected: Any, path: str) -> None:
    assert len(actual) == len(expected), path
    for i, (one, other) in enumerate(zip(actual, expected)):
        assert_same(one, other, f"{path}[{i}]")
    if isinstance(expected, collections.deque):
        assert actual.maxlen == expected.maxlen


def _check_set(actual: Any, expected: Any, path: str) -> None:
    assert sorted(map(_describe, actual)) == sorted(map(_describe, expected)), path


def _describe(value: Any) -> str:
    inner: Any = repr(value)
    if isinstance(value, frozenset):
        inner = sorted(map(_describe, value))
    elif isinstance(value, tuple):
        inner = list(map(_describe, value))
    return f"{type(value)}{inner}"


def _check_mapping(actual: Any, expected: Any, path: str) -> None:
    _check_sequence(list(actual), list(expected), f"{path}.keys")
    _check_sequence(list(actual.values()), list(expected.values()), f"{path}.values")
    if isinstance(expected, collections.defaultdict):
        assert actual.default_factory is expected.default_factory


def _check_datetime(actual: Any, expected: Any, path: str) -> None:
    assert actual.replace(tzinfo=None) == expected.replace(tzinfo=None), path
    assert actual.fold == expected.fold, path
    assert type(actual.tzinfo) is type(expected.tzinfo), path
    assert str(actual.tzinfo) == str(expected.tzinfo), path
    if isinstance(expected, datetime.datetime):
        assert actual.utcoffset() == expected.utcoffset(), path


def _check_timestamp(actual: Any, expected: Any, path: str) -> None:
    assert actual == expected, path
    assert str(actual.tz) == str(expected.tz), path
    assert getattr(actual, "unit", "ns") == getattr(expected, "unit", "ns"), path


def _check_decimal(actual: Any, expected: Any, path: str) -> None:
    assert actual.as_tuple() == expected.as_tuple(), path


def _check_array(actual: np.ndarray, expected: np.ndarray, path: str) -> None:
    assert actual.dtype == expected.dtype, path
    assert actual.shape == expected.shape, path
    if expected.dtype.kind == "O":
        _check_sequence(list(actual.ravel()), list(expected.ravel()), path)
    else:
        assert actual.tobytes() == expected.tobytes(), path
        assert actual.flags.writeable


def _check_scalar(actual: np.generic, expected: np.generic, path: str) -> None:
    assert actual.dtype == expected.dtype, path
    assert actual.tobytes() == expected.tobytes(), path


def _check_frame(actual: pd.DataFrame, expected: pd.DataFrame, path: str) -> None:
    assert actual.shape == expected.shape, path
    assert_same(actual.columns, expected.columns, f"{path}.columns")
    assert_same(actual.index, expected.index, f"{path}.index")
    for i in range(expected.shape[1]):
        _check_values(actual.iloc[:, i], expected.iloc[:, i], f"{path}.iloc[:, {i}]")
    assert_same(actual.attrs, expected.attrs, f"{path}.attrs")
    assert actual.flags == expected.flags


def _check_series(actual: pd.Series, expected: pd.Series, path: str) -> None:
    _check_values(actual, expected, path)
    assert_same(actual.name, expected.name, f"{path}.name")
    assert_same(actual.index, expected.index, f"{path}.index")
    assert_same(actual.attrs, expected.attrs, f"{path}.attrs")


def _check_index(actual: pd.Index, expected: pd.Index, path: str) -> None:
    assert_same(list(actual.names), list(expected.names), f"{path}.names")
    if isinstance(expected, pd.MultiIndex):
        for i, (levels, codes) in enumerate(
            zip(zip(actual.levels, expected.levels), zip(actual.codes, expected.codes))
        ):
            # Whether pandas keeps the freq of a level depends on its release.
            assert_same(*(_without_freq(level.rename(None)) for level in levels), f"{path}.level {i}")
            assert list(codes[0]) == list(codes[1]), f"{path}.codes {i}"
        return
    if isinstance(expected, pd.RangeIndex):
        assert (actual.start, actual.stop, actual.step) == (expected.start, expected.stop, expected.step)
        return
    _check_values(actual, expected, path)
    assert getattr(actual, "freq", None) == getattr(expected, "freq", None), path


def _without_freq(level: pd.Index) -> pd.Index:
    if isinstance(level, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        level = level.copy()
        level.freq = None
    return level


def _check_values(actual: Any, expected: Any, path: str) -> None:
    assert actual.dtype == expected.dtype, path
    assert repr(actual.dtype) == repr(expected.dtype), path
    if isinstance(expected.dtype, pd.CategoricalDtype):
        assert_same(actual.dtype.categories, expected.dtype.categories, f"{path}.categories")
        assert actual.dtype.ordered == expected.dtype.ordered
    if isinstance(expected.dtype, np.dtype) and expected.dtype.kind == "f":
        # Of a missing number, which of its many bit patterns it is does not count.
        actual, expected = np.asarray(actual), np.asarray(expected)
        np.testing.assert_array_equal(actual, expected, err_msg=path)
        assert (np.signbit(actual) == np.signbit(expected))[~np.isnan(expected)].all()
        return
    _check_sequence(list(actual), list(expected), path)


def _check_dataclass(actual: Any, expected: Any, path: str) -> None:
    for field in dataclasses.fields(expected):
        assert_same(getattr(actual, field.name), getattr(expected, field.name), f"{path}.{field.name}")


def _check_polars_frame(actual: polars.DataFrame, expected: polars.DataFrame, path: str) -> None:
    assert actual.schema == expected.schema, path
    assert actual.equals(expected), path


def _check_polars_series(actual: polars.Series, expected: polars.Series, path: str) -> None:
    assert actual.dtype == expected.dtype, path
    assert actual.equals(expected, check_names=True), path


_CHECKS: list[tuple[Any, Any]] = [
    ((type(None), bool, type(...), type(pd.NaT), type(pd.NA)), _check_identical),
    (np.generic, _check_scalar),
    (np.ndarray, _check_array),
    (pd.DataFrame, _check_frame),
    (pd.Series, _check_series),
    (pd.Index, _check_index),
    (pd.api.extensions.ExtensionArray, _check_values),
    (polars.DataFrame, _check_polars_frame),
    (polars.Series, _check_polars_series),
    (pd.Timestamp, _check_timestamp),
    (float, _check_float),
    (complex, _check_complex),
    ((list, tuple, collections.deque), _check_sequence),
    ((set, frozenset), _check_set),
    (collections.Counter, _check_equal),
    (dict, _check_mapping),
    ((datetime.datetime, datetime.time), _check_datetime),
    (decimal.Decimal, _check_decimal),
]


def round_trip(value: Any) -> Any:
    """A value as an object's bytes, and back."""
    encoded = codecs.encode(value)
    return codecs.decode(encoded.codec, bytes(encoded.body))


def assert_same_arrow(actual: pa.ChunkedArray, expected: pa.ChunkedArray, path: str = "array") -> None:
    """Equal in type, dictionaries and values, and valid: reading an invalid one can end the process."""
    actual.validate(full=True)
    assert actual.type == expected.type, f"{path}: {actual.type}"
    actual, expected = (pa.chunked_array([array.combine_chunks()]) for array in (actual, expected))
    # NaN equals nothing, but its text does.
    assert actual.equals(expected) or str(actual.to_pylist()) == str(expected.to_pylist()), path
