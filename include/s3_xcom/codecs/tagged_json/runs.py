"""Long lists of values of one type, encoded in bulk: one tag for all instead of one for each.

A list of 16 Decimals or more, which may have None among them::

    {"__s3_xcom__": "run", "of": "Decimal", "value": ["1.50", null, "2.00", ...]}

Values of any other type, if their tags differ only in the value; the shared fields are written once::

    {"__s3_xcom__": "run", "of": "pandas.Timedelta", "fields": {"unit": "ns"}, "value": [500, 750, ...]}

A list of tuples or lists of one length, or of dicts with the same keys, by columns, each a list again::

    [(1, date(2026, 1, 31)), (2, date(2026, 2, 28)), ...]

    {"__s3_xcom__": "table", "of": "tuple",
     "value": [[1, 2, ...], {"__s3_xcom__": "run", "of": "date", "value": ["2026-01-31", "2026-02-28", ...]}]}
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import itertools
import math
import operator
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.tagged_json import classes, stdlib, zones
from include.s3_xcom.codecs.tagged_json.tags import as_list, as_str, from_base64, is_unicode, tag, to_base64
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.reference import RESERVED

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder

MIN_ITEMS = 16
"""Length from which a list is encoded in bulk; a shorter one is easier to read value by value."""

_STAND_ALONE = {"blob", "file", "part", "run", "table"}
"""Tags that are never gathered into one."""

SCALARS = {type(None), bool, int, float, str}
"""Types whose values JSON holds as they are, except for a few that :func:`are_plain` finds."""


def encode(encoder: Encoder, items: list) -> Any:
    """Return a list as one tag, or as a JSON array; None if its values must be encoded one by one.

    :raises UnsupportedValueError: if a value in a tuple, list or dict cannot be pushed
    """
    types = set(map(type, items))
    if types <= SCALARS and are_plain(items):
        return items
    contents = types - {type(None)}
    kind = contents.pop()
    if contents:
        return None
    if kind in _RUNS:
        out, _ = _RUNS[kind]
        values = out(items)
        if values is not None:
            return tag("run", values, of=kind.__name__)
    if kind is datetime.datetime:
        return _of_one_zone(items)
    if type(None) in types:
        return None
    if kind in _CONTAINERS.values():
        return _table(encoder, items, kind)
    return _numpy_out(encoder, items, kind)


def are_plain(items: list) -> bool:
    """Return whether JSON holds each scalar as it is: no infinity, very long integer or lone surrogate."""
    types = set(map(type, items))
    for kind in types & _ARE_PLAIN.keys():
        of_kind = items if len(types) == 1 else [item for item in items if type(item) is kind]
        if not _ARE_PLAIN[kind](of_kind):
            return False
    return True


_ARE_PLAIN: dict[type, Callable[[list], bool]] = {
    float: lambda numbers: all(map(math.isfinite, numbers)),
    int: lambda numbers: max(map(int.bit_length, numbers)) <= stdlib.MAX_DECIMAL_BITS,
    str: lambda texts: is_unicode("".join(texts)),
}


def common_keys(rows: list[dict]) -> list[str] | None:
    """Return the keys of dicts if all have the same in the same order, and each is a plain string."""
    shapes = set(map(tuple, rows))
    if len(shapes) > 1 or not set(map(type, itertools.chain.from_iterable(rows))) <= {str}:
        return None
    return list(shapes.pop())


def gather(encoded: list) -> Any:
    """Join tags that differ only in their values into one tag; return any other list as it is."""
    tags = [item for item in encoded if item is not None]
    first = tags[0] if tags else None
    if type(first) is not dict or first.get(RESERVED, "run") in _STAND_ALONE:
        return encoded
    fields = {key: field for key, field in first.items() if key not in (RESERVED, "value")}
    if not all(_differs_in_value(item, first, fields) for item in tags):
        return encoded
    values = [None if item is None else item["value"] for item in encoded]
    return tag("run", values, of=first[RESERVED], fields=fields)


def _differs_in_value(item: Any, first: dict, fields: dict) -> bool:
    """Return whether a tag differs from the first one only in its value. A null would be read as None."""
    return (
        type(item) is dict
        and item.keys() == first.keys()
        and item[RESERVED] == first[RESERVED]
        and item["value"] is not None
        and all(item[name] == field for name, field in fields.items())
    )


def run_back(
    find: Callable[[str], Callable[..., Any] | None], value: Any, of: str, fields: dict | None = None
) -> list:
    """Decode the tag ``run``, which :func:`encode` and :func:`gather` write.

    :param find: returns the decoder of one value by the name of its tag
    """
    if of == "numpy":
        if getattr(value, "ndim", None) != 1:
            raise TypeError("it is no array of one dimension")
        return list(value)
    if fields is None:
        _, back = _RUNS[_RUN_NAMES[as_str(of)]]
    elif of == "datetime" and fields.keys() == {"tz"} and "utcoffset" not in fields["tz"]:
        back = _back_to_zone(fields["tz"])
    else:
        if "class" in fields:
            fields["class"] = classes.load(fields["class"])
        back = functools.partial(find(as_str(of)), **fields)
    return [None if item is None else back(item) for item in as_list(value)]


# Types whose values are encoded in bulk: the way out of a whole list, or None, above the way back of one
# value.


def _each(out: Callable[[Any], Any]) -> Callable[[list], list]:
    return lambda items: [None if item is None else out(item) for item in items]


def _text(back: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: back(as_str(value))


def _floats_out(items: list) -> list:
    return [item if item is None or math.isfinite(item) else repr(item) for item in items]


def _float_back(value: float | str) -> float:
    return value if type(value) is float else stdlib.float_back(value)


def _complexes_out(items: list) -> list | None:
    is_plain = all(item is None or (math.isfinite(item.real) and math.isfinite(item.imag)) for item in items)
    return _each(lambda item: [item.real, item.imag])(items) if is_plain else None


def _fractions_out(items: list) -> list | None:
    pairs = _each(lambda item: [item.numerator, item.denominator])(items)
    return pairs if are_plain([number for pair in pairs if pair for number in pair]) else None


def _datetimes_out(items: list) -> list | None:
    """Encode datetimes as ISO 8601 with offset, if that tells all of their zones and none has a fold."""
    moments = [item for item in items if item is not None]
    found = {id(moment.tzinfo): moment.tzinfo for moment in moments}.values()
    if not all(zone is None or _is_plain_offset(zone) for zone in found):
        return None
    return None if any(moment.fold for moment in moments) else _each(datetime.datetime.isoformat)(items)


def _is_plain_offset(zone: datetime.tzinfo) -> bool:
    if type(zone) is not datetime.timezone or zone.utcoffset(None).microseconds:  # Python 3.10 loses them
        return False
    return "name" not in zones.describe(zone, None)


def _of_one_zone(items: list) -> Any:
    """Encode datetimes that share a zone as one tag; return None for others."""
    moments = [item for item in items if item is not None]
    zone = moments[0].tzinfo
    if zone is None or any(moment.tzinfo is not zone or moment.fold for moment in moments):
        return None
    try:
        described = zones.describe(zone, moments[0])
    except UnsupportedValueError:  # the error names the value when they are encoded one by one
        return None
    if "utcoffset" in described:  # pytz has a separate object for each UTC offset of a zone
        return None
    values = _each(lambda moment: moment.replace(tzinfo=None).isoformat())(items)
    return tag("run", values, of="datetime", fields={"tz": described})


def _back_to_zone(tz: dict) -> Callable[[str], datetime.datetime]:
    zone = zones.rebuild(tz)
    return lambda text: datetime.datetime.fromisoformat(text).replace(tzinfo=zone)


def _times_out(items: list) -> list | None:
    is_plain = all(item is None or (item.tzinfo is None and not item.fold) for item in items)
    return _each(datetime.time.isoformat)(items) if is_plain else None


_RUNS: dict[type, tuple[Callable[[list], list | None], Callable[[Any], Any]]] = {
    bytearray: (_each(to_base64), lambda value: bytearray(from_base64(value))),
    bytes: (_each(to_base64), from_base64),
    complex: (_complexes_out, lambda value: complex(*as_list(value))),
    datetime.date: (_each(datetime.date.isoformat), datetime.date.fromisoformat),
    datetime.datetime: (_datetimes_out, datetime.datetime.fromisoformat),
    datetime.time: (_times_out, datetime.time.fromisoformat),
    datetime.timedelta: (
        _each(lambda item: [item.days, item.seconds, item.microseconds]),
        lambda value: datetime.timedelta(*as_list(value)),
    ),
    decimal.Decimal: (_each(str), _text(decimal.Decimal)),
    float: (_floats_out, _float_back),
    fractions.Fraction: (_fractions_out, lambda value: fractions.Fraction(*as_list(value))),
    uuid.UUID: (_each(lambda value: value.hex), _text(lambda text: uuid.UUID(hex=text))),
}
_RUN_NAMES = {kind.__name__: kind for kind in _RUNS}


def _numpy_out(encoder: Encoder, items: list, kind: type) -> Any:
    """Encode numpy's numbers, dates and spans of time as an array."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(kind, (numpy.number, numpy.bool_, numpy.datetime64)):
        return None
    dtypes = {item.dtype for item in items}  # they may differ in the unit of time
    dtype = dtypes.pop()
    if dtypes or numpy.dtype(dtype.str).type is not kind or dtype.itemsize > 8:  # not as .npy keeps it
        return None
    from include.s3_xcom.codecs import npy

    array = numpy.array(items, dtype)
    return tag("run", encoder.blob("npy", ".npy", npy.encode(array)), of="numpy")


_CONTAINERS = {kind.__name__: kind for kind in (tuple, list, dict)}


def _table(encoder: Encoder, rows: list, kind: type) -> Any:
    """Encode rows by columns, if all have the same keys, or the same length."""
    if kind is dict:
        names = common_keys(rows)
        if not names or not all(map(is_unicode, names)):
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
            row, *rest = error.path or (0,)  # the path is empty if the column itself nests too deeply
            raise UnsupportedValueError(error.why, (row, name, *rest)) from None
    return tag("table", columns, of=kind.__name__, **fields)


def table_back(value: list, of: str, keys: list | None = None) -> list:
    """Decode the tag ``table``, which :func:`encode` writes."""
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
