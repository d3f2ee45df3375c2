"""Long lists of values of one type, written in bulk: one tag for all instead of one for each.

A list of 16 Decimals or more, which may have None among them::

    {"__s3_xcom__": "run", "of": "Decimal", "value": ["1.50", null, "2.00", ...]}

A list of tuples, lists or dicts of one length, with the same keys, by columns, each a list again::

    [(1, date(2026, 1, 31)), (2, date(2026, 2, 28)), ...]

    {"__s3_xcom__": "table", "of": "tuple",
     "value": [[1, 2, ...], {"__s3_xcom__": "run", "of": "date", "value": ["2026-01-31", "2026-02-28", ...]}]}
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import math
import operator
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.tagged_json import stdlib, zones
from include.s3_xcom.codecs.tagged_json.tags import as_list, as_str, from_base64, tag, to_base64
from include.s3_xcom.errors import UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder

MIN_ITEMS = 16
"""Shorter lists are written value by value, which is easier to read."""

SCALARS = {type(None), bool, int, float, str}
"""Types whose values JSON holds as they are, but for a few that :func:`are_plain` finds."""


def encode(encoder: Encoder, items: list) -> Any:
    """A list as one tag, or as a JSON array of what it holds; None if it is to be written value by value.

    :raises UnsupportedValueError: if a value in a tuple, list or dict cannot be pushed
    """
    types = set(map(type, items))
    if types <= SCALARS:
        return items if are_plain(items) else None
    contents = types - {type(None)}
    kind = contents.pop()
    if contents:
        return None
    if kind in _TEXTS:
        out, _ = _TEXTS[kind]
        texts = out(items)
        return None if texts is None else tag("run", texts, of=kind.__name__)
    if type(None) in types:
        return None
    if kind in _CONTAINERS.values():
        return _table(encoder, items, kind)
    return _numpy_out(encoder, items, kind)


def are_plain(items: list) -> bool:
    """Whether JSON holds each scalar as it is: no infinity, no very long integer, no lone surrogate."""
    texts = "".join([item for item in items if type(item) is str])
    return (
        all(math.isfinite(item) for item in items if type(item) is float)
        and all(item.bit_length() <= stdlib.MAX_DECIMAL_BITS for item in items if type(item) is int)
        and stdlib.is_unicode(texts)
    )


def common_keys(rows: list[dict]) -> list[str] | None:
    """The keys of dicts, if all have the same in the same order: strings, and none of a subclass."""
    shapes = set(map(tuple, rows))
    if len(shapes) > 1 or not set(map(type, itertools.chain.from_iterable(rows))) <= {str}:
        return None
    return list(shapes.pop())


def run_back(value: Any, of: str) -> list:
    """Inverse of :func:`encode` for the tag ``run``."""
    if of == "numpy":
        if getattr(value, "ndim", None) != 1:
            raise TypeError("it is no array of one dimension")
        return list(value)
    _, back = _TEXTS[_TEXT_NAMES[as_str(of)]]
    return [None if text is None else back(as_str(text)) for text in as_list(value)]


# Types whose values are texts: the way out, for a whole list or not at all, above the way back of one.


def _each(out: Callable[[Any], str]) -> Callable[[list], list]:
    return lambda items: [None if item is None else out(item) for item in items]


def _datetimes_out(items: list) -> list | None:
    """ISO 8601 with offset, if it tells all of the zones, and no time is the second of its kind."""
    moments = [item for item in items if item is not None]
    found = {id(moment.tzinfo): moment.tzinfo for moment in moments}.values()
    if not all(zone is None or _is_plain_offset(zone) for zone in found):
        return None
    return None if any(moment.fold for moment in moments) else _each(datetime.datetime.isoformat)(items)


def _is_plain_offset(zone: datetime.tzinfo) -> bool:
    if type(zone) is not datetime.timezone or zone.utcoffset(None).microseconds:  # lost in Python 3.10
        return False
    return "name" not in zones.describe(zone, None)


def _times_out(items: list) -> list | None:
    is_plain = all(item is None or (item.tzinfo is None and not item.fold) for item in items)
    return _each(datetime.time.isoformat)(items) if is_plain else None


_TEXTS: dict[type, tuple[Callable[[list], list | None], Callable[[str], Any]]] = {
    bytes: (_each(to_base64), from_base64),
    datetime.date: (_each(datetime.date.isoformat), datetime.date.fromisoformat),
    datetime.datetime: (_datetimes_out, datetime.datetime.fromisoformat),
    datetime.time: (_times_out, datetime.time.fromisoformat),
    decimal.Decimal: (_each(str), decimal.Decimal),
    uuid.UUID: (_each(lambda value: value.hex), lambda text: uuid.UUID(hex=text)),
}
_TEXT_NAMES = {kind.__name__: kind for kind in _TEXTS}


def _numpy_out(encoder: Encoder, items: list, kind: type) -> Any:
    """numpy's numbers as an array."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(kind, (numpy.number, numpy.bool_)) or kind is numpy.timedelta64:
        return None
    dtype = numpy.dtype(kind)
    if numpy.dtype(dtype.str).type is not kind or dtype.itemsize > 8:  # as .npy keeps it
        return None
    from include.s3_xcom.codecs import npy

    array = numpy.array(items, kind)
    return tag("run", encoder.blob("npy", ".npy", npy.encode(array)), of="numpy")


_CONTAINERS = {kind.__name__: kind for kind in (tuple, list, dict)}


def _table(encoder: Encoder, rows: list, kind: type) -> Any:
    """Rows by columns, if all have the same keys, or the same length."""
    if kind is dict:
        names = common_keys(rows)
        if not names or not all(map(stdlib.is_unicode, names)):
            return None
        fields = {"keys": names}
    else:
        names, fields = range(len(rows[0])), {}
        if not names or set(map(len, rows)) != {len(names)}:
            return None
    columns = []
    for name in names:
        try:
            columns.append(encoder.sequence(list(map(operator.itemgetter(name), rows))))
        except UnsupportedValueError as error:
            row, *rest = error.path or (0,)  # none where the column itself nests too deeply
            raise UnsupportedValueError(error.why, (row, name, *rest)) from None
    return tag("table", columns, of=kind.__name__, **fields)


def table_back(value: list, of: str, keys: list | None = None) -> list:
    """Inverse of :func:`encode` for the tag ``table``."""
    columns = as_list(value)
    if len(set(map(len, map(as_list, columns)))) != 1:
        raise ValueError("the columns differ in length")
    rows = zip(*columns)
    if of == "dict":
        names = list(map(as_str, as_list(keys)))
        if len(names) != len(columns):
            raise ValueError("there is not one key for each column")
        return [dict(zip(names, row)) for row in rows]
    return list(rows) if of == "tuple" else list(map(_CONTAINERS[as_str(of)], rows))
