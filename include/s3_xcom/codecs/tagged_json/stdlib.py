"""Types of Python's standard library: each type's way out directly above its way back."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import math
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.tagged_json import zones
from include.s3_xcom.codecs.tagged_json.tags import (
    TaggedType,
    as_list,
    as_str,
    from_base64,
    is_unicode,
    singleton,
    tag,
    to_base64,
)
from include.s3_xcom.errors import UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder

# Numbers and texts; JSON holds most of them as they are

# Bits of the longest integer written in decimal: Python refuses to read longer ones by default.
MAX_DECIMAL_BITS = 4096


def _int_out(encoder: Encoder, value: int) -> Any:
    return value if value.bit_length() <= MAX_DECIMAL_BITS else tag("int", hex(value))


def _int_back(value: str) -> int:
    return int(as_str(value), 16)


def _float_out(encoder: Encoder, value: float) -> Any:
    return value if math.isfinite(value) else tag("float", repr(value))


def float_back(value: str) -> float:
    if value not in ("nan", "inf", "-inf"):
        raise ValueError
    return float(value)  # a new object, because two keys that are one NaN would become one key


def _str_out(encoder: Encoder, value: str) -> Any:
    return value if is_unicode(value) else tag("str", to_base64(value.encode("utf-8", "surrogatepass")))


def _str_back(value: str) -> str:
    return from_base64(value).decode("utf-8", "surrogatepass")


# Dates and times


def datetime_out(encoder: Encoder, value: datetime.datetime, name: str = "datetime") -> Any:
    """Encode local time, zone, and which of two equal local times it is."""
    fields: dict[str, Any] = {"fold": 1} if value.fold else {}
    if value.tzinfo is not None:
        fields["tz"] = zones.describe(value.tzinfo, value)
    return tag(name, value.replace(tzinfo=None, fold=0).isoformat(), **fields)


def datetime_back(value: str, tz: Any = None, fold: int = 0) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(as_str(value))
    return (moment if tz is None else zones.attach(moment, tz)).replace(fold=fold)


def time_out(encoder: Encoder, value: datetime.time, name: str = "time") -> Any:
    fields: dict[str, Any] = {"fold": 1} if value.fold else {}
    if value.tzinfo is not None:
        fields["tz"] = zones.describe(value.tzinfo, None)
    plain = datetime.time(value.hour, value.minute, value.second, value.microsecond)
    return tag(name, plain.isoformat(), **fields)


def time_back(value: str, tz: Any = None, fold: int = 0) -> datetime.time:
    zone = None if tz is None else zones.rebuild(tz)
    return datetime.time.fromisoformat(as_str(value)).replace(tzinfo=zone, fold=fold)


def _date_out(encoder: Encoder, value: datetime.date) -> Any:
    return tag("date", value.isoformat())


def _date_back(value: str) -> datetime.date:
    return datetime.date.fromisoformat(as_str(value))


# Binary data


def _memoryview_out(encoder: Encoder, value: memoryview) -> Any:
    """Encode a memoryview, which is what database drivers give for binary columns."""
    data = memoryview_bytes(value)
    fields: dict[str, Any] = {} if value.format == "B" else {"format": value.format}
    if not value.readonly:
        fields["readonly"] = False
    return tag("memoryview", to_base64(data), **fields)


def _memoryview_back(value: str, format: str = "B", readonly: bool = True) -> memoryview:  # noqa: A002
    data = from_base64(value)
    return make_memoryview(data if readonly else bytearray(data), as_str(format))


def memoryview_bytes(value: memoryview) -> bytes:
    """Return the bytes of a memoryview.

    :raises UnsupportedValueError: if the bytes and the format do not tell all of it
    """
    try:
        data = value.tobytes()
        again = make_memoryview(data, value.format)
        same = value.ndim == 1 and value.c_contiguous and again.format == value.format
    except (NotImplementedError, TypeError, ValueError):
        same = False
    if not same:
        raise UnsupportedValueError(
            "a memoryview can be pushed if it has one dimension and no gaps. Return bytes(...) of it, or "
            "numpy.asarray(...)"
        )
    return data


def make_memoryview(data: bytes | bytearray, format: str = "B") -> memoryview:  # noqa: A002
    """Make a memoryview of bytes. Inverse of :func:`memoryview_bytes`.

    :param format: format of its items in terms of the struct module; psycopg2's memoryviews have ``c``
    """
    return memoryview(data).cast(format)


# Containers

_FACTORIES = {kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)}


def _dict_back(value: list | None, keys: list | None = None, values: list | None = None) -> dict:
    """Decode a dict from pairs, or if it is long, from its keys and its values."""
    if value is not None:
        return dict(as_list(value))
    if len(as_list(keys)) != len(as_list(values)):
        raise ValueError("there is not one value for each key")
    return dict(zip(keys, values))


def _default_dict_out(encoder: Encoder, value: collections.defaultdict) -> Any:
    factory = value.default_factory
    name = getattr(factory, "__name__", None)
    if factory is not None and _FACTORIES.get(name) is not factory:
        raise UnsupportedValueError(
            "the factory of a defaultdict can be a builtin type or None. Return dict(...) of it"
        )
    return encoder.dict_tag("defaultdict", value, factory=name)


def _default_dict_back(value: list | None, factory: str | None, **more: Any) -> collections.defaultdict:
    return collections.defaultdict(
        None if factory is None else _FACTORIES[factory], _dict_back(value, **more)
    )


def _deque_out(encoder: Encoder, value: collections.deque) -> Any:
    return tag("deque", encoder.sequence(value), maxlen=value.maxlen)


def _deque_back(value: list, maxlen: int | None) -> collections.deque:
    return collections.deque(as_list(value), maxlen)


def _text(name: str, kind: type, out: Callable[[Any], str], back: Callable[[str], Any]) -> TaggedType:
    """Describe a type whose values are fully told by a string."""
    return TaggedType(
        name, (kind,), lambda encoder, value: tag(name, out(value)), lambda value: back(as_str(value))
    )


def _binary(kind: type) -> TaggedType:
    name = kind.__name__
    return TaggedType(
        name,
        (kind,),
        lambda encoder, value: tag(name, to_base64(value)),
        lambda value: kind(from_base64(value)),
        scalar=False,
    )


def _parts(kind: type, *attributes: str) -> TaggedType:
    """Describe a type whose values are fully told by attributes that its constructor takes."""
    name = kind.__name__
    return TaggedType(
        name,
        (kind,),
        lambda encoder, value: tag(name, encoder.items(value, [getattr(value, a) for a in attributes])),
        lambda value: kind(*as_list(value)),
    )


def _sequence(kind: type) -> TaggedType:
    name = kind.__name__
    return TaggedType(
        name,
        (kind,),
        lambda encoder, value: tag(name, encoder.sequence(value)),
        lambda value: kind(as_list(value)),
        scalar=False,
    )


def _mapping(kind: type) -> TaggedType:
    name = kind.__name__
    return TaggedType(
        name,
        (kind,),
        lambda encoder, value: encoder.dict_tag(name, value),
        lambda value, **more: kind(_dict_back(value, **more)),
        scalar=False,
    )


TYPES = [
    TaggedType("int", (int,), _int_out, _int_back),
    TaggedType("float", (float,), _float_out, float_back),
    TaggedType("str", (str,), _str_out, _str_back),
    _parts(complex, "real", "imag"),
    _text("Decimal", decimal.Decimal, str, decimal.Decimal),
    _parts(fractions.Fraction, "numerator", "denominator"),
    _text("UUID", uuid.UUID, lambda value: value.hex, lambda text: uuid.UUID(hex=text)),
    TaggedType("datetime", (datetime.datetime,), datetime_out, datetime_back),
    TaggedType("date", (datetime.date,), _date_out, _date_back),
    TaggedType("time", (datetime.time,), time_out, time_back),
    _parts(datetime.timedelta, "days", "seconds", "microseconds"),
    TaggedType("tz", (datetime.timezone,), zones.zone_out, lambda value: zones.rebuild(value)),
    _parts(range, "start", "stop", "step"),
    _parts(slice, "start", "stop", "step"),
    singleton("Ellipsis", ...),
    singleton("NotImplemented", NotImplemented),
    _binary(bytes),
    _binary(bytearray),
    TaggedType("memoryview", (memoryview,), _memoryview_out, _memoryview_back, scalar=False),
    _sequence(tuple),
    _sequence(set),
    _sequence(frozenset),
    TaggedType("deque", (collections.deque,), _deque_out, _deque_back, scalar=False),
    TaggedType(
        "dict",
        (dict,),
        lambda encoder, value: encoder.mapping(value),
        _dict_back,
        scalar=False,
    ),
    _mapping(collections.OrderedDict),
    _mapping(collections.Counter),
    TaggedType(
        "defaultdict", (collections.defaultdict,), _default_dict_out, _default_dict_back, scalar=False
    ),
]
