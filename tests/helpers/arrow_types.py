"""All of Arrow's types, and types made of them two deep, with arrays of each."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

UTC = datetime.timezone.utc
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5)

_SAMPLES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.null(), [None, None]),
    (pa.bool_(), [True, False]),
    (pa.int8(), [-128, 127]),
    (pa.uint16(), [0, 2**16 - 1]),
    (pa.int64(), [-(2**63), 2**53 + 1]),
    (pa.uint64(), [0, 2**64 - 1]),
    (pa.float32(), [1.5, float("nan")]),
    (pa.float64(), [0.1, float("-inf")]),
    (pa.string(), ["", "naïve"]),
    (pa.large_string(), ["a", "b"]),
    (pa.binary(), [b"", b"\xff"]),
    (pa.large_binary(), [b"a", b"b"]),
    (pa.binary(3), [b"abc", b"\0\0\0"]),
    (pa.date32(), [datetime.date(2026, 1, 2), datetime.date(1, 1, 1)]),
    (pa.date64(), [datetime.date(2026, 1, 2), datetime.date(1969, 1, 1)]),
    (pa.time32("s"), [datetime.time(1, 2, 3), datetime.time(0)]),
    (pa.time32("ms"), [datetime.time(1, 2, 3, 4000), datetime.time(0)]),
    (pa.time64("us"), [datetime.time(1, 2, 3, 4), datetime.time(0)]),
    (pa.time64("ns"), [1, 86_399_999_999_999]),
    (pa.timestamp("s"), [MOMENT, datetime.datetime(1, 1, 1)]),
    (pa.timestamp("ms", "UTC"), [MOMENT.replace(tzinfo=UTC), datetime.datetime(1, 1, 2, tzinfo=UTC)]),
    (pa.timestamp("us", "Europe/Rome"), [MOMENT.replace(tzinfo=UTC), datetime.datetime(1, 1, 2, tzinfo=UTC)]),
    (pa.timestamp("ns", "+01:00"), [1, -(2**62)]),
    (pa.duration("s"), [datetime.timedelta(1), datetime.timedelta(-1)]),
    (pa.duration("ns"), [1, -(2**62)]),
    (pa.decimal128(5, 2), [decimal.Decimal("1.10"), decimal.Decimal("-999.99")]),
    (pa.decimal128(5, -2), [decimal.Decimal("1E+2"), decimal.Decimal("-5E+2")]),
    (pa.decimal256(50, 10), [decimal.Decimal("1.10"), decimal.Decimal(10**39)]),
]
"""Each type that other types can be made of, with two values."""

_FAR_AWAY = [
    (pa.timestamp("s"), [2**62, 0]),
    (pa.timestamp("s", "UTC"), [-(2**62), 0]),
    (pa.duration("s"), [2**62, 0]),
]
"""Times that a finer unit does not hold."""

_OTHER_DICTIONARIES = [
    (pa.dictionary(pa.uint8(), pa.string(), ordered=True), ["b", "a"]),
    (pa.dictionary(pa.int64(), pa.large_string()), ["b", "a"]),
    (pa.dictionary(pa.int32(), pa.decimal128(5, 2)), [decimal.Decimal("2.50"), decimal.Decimal("1.50")]),
]
"""Dictionaries that are not in order, of indices that :func:`_made_of` does not choose."""

_WRAPPERS: dict[str, tuple[Callable[[pa.DataType], pa.DataType], Callable[[Any, Any], Any]]] = {
    "list": (pa.list_, lambda one, other: [one, other]),
    "large list": (pa.large_list, lambda one, other: [one, other, one]),
    "fixed list": (lambda kind: pa.list_(kind, 2), lambda one, other: [one, other]),
    "struct": (
        lambda kind: pa.struct([("a", kind), ("b", pa.int8())]),
        lambda one, other: {"a": one, "b": 1},
    ),
    "map": (lambda kind: pa.map_(pa.string(), kind), lambda one, other: [("k", one), ("l", other)]),
}


def arrays() -> Iterator[tuple[str, pa.Array]]:
    """An array of each type that this pyarrow can make: with values, with nulls as well, and with nothing."""
    for kind, values in _types():
        for ending, items in _contents(values):
            with contextlib.suppress(pa.ArrowNotImplementedError):
                yield f"{kind}{ending}", pa.array(items, kind)


def _types() -> Iterator[tuple[pa.DataType, list[Any]]]:
    plain = [*_SAMPLES, *_FAR_AWAY, *_OTHER_DICTIONARIES]
    once = [made for kind, values in plain for made in _made_of(kind, values)]
    yield from itertools.chain(plain, once)
    for kind, values in once:
        yield from _made_of(kind, values)


def _made_of(kind: pa.DataType, values: list[Any]) -> Iterator[tuple[pa.DataType, list[Any]]]:
    one, other = values
    for make, wrap in _WRAPPERS.values():
        yield make(kind), [wrap(one, other), wrap(None, one)]
    if not pa.types.is_nested(kind) and not pa.types.is_dictionary(kind) and not pa.types.is_null(kind):
        yield pa.dictionary(pa.int8(), kind), values


def _contents(values: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    items = [*values, *values[::-1], values[0]]
    yield from [("", items), (", nulls", [None, *items, None]), (", empty", [])]
