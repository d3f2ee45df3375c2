"""Tags for the types of Python's standard library."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import math
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs import timezones
from include.s3_xcom.codecs.tags import as_list, as_str, from_base64, tag, to_base64
from include.s3_xcom.errors import UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged import Encoder

# Python refuses to read longer decimal integers, unless told otherwise.
MAX_DECIMAL_BITS = 4096

CONTAINERS = {
    *(list, dict, tuple, set, frozenset, bytes, bytearray, memoryview),
    *(collections.OrderedDict, collections.Counter, collections.defaultdict, collections.deque),
}

_FACTORIES = {kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)}


def is_unicode(text: str) -> bool:
    """Whether UTF-8 has it: it holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_int(encoder: Encoder, value: int) -> Any:
    return value if value.bit_length() <= MAX_DECIMAL_BITS else tag("int", hex(value))


def _encode_float(encoder: Encoder, value: float) -> Any:
    return value if math.isfinite(value) else tag("float", repr(value))


def _encode_str(encoder: Encoder, value: str) -> Any:
    return value if is_unicode(value) else tag("str", to_base64(value.encode("utf-8", "surrogatepass")))


def encode_datetime(encoder: Encoder, value: datetime.datetime, name: str = "datetime") -> Any:
    """Local time, apart from it the zone, and which of two equal local times it is."""
    fields: dict[str, Any] = {"fold": 1} if value.fold else {}
    if value.tzinfo is not None:
        fields["tz"] = timezones.encode(value.tzinfo, value)
    return tag(name, value.replace(tzinfo=None, fold=0).isoformat(), **fields)


def encode_time(encoder: Encoder, value: datetime.time, name: str = "time") -> Any:
    fields: dict[str, Any] = {"fold": 1} if value.fold else {}
    if value.tzinfo is not None:
        fields["tz"] = timezones.encode(value.tzinfo, None)
    plain = datetime.time(value.hour, value.minute, value.second, value.microsecond)
    return tag(name, plain.isoformat(), **fields)


def _encode_default_dict(encoder: Encoder, value: collections.defaultdict) -> Any:
    factory = value.default_factory
    name = getattr(factory, "__name__", None)
    if factory is not None and _FACTORIES.get(name) is not factory:
        raise UnsupportedValueError(
            "the factory of a defaultdict can be a builtin type or None. Return dict(...) of it"
        )
    return tag("defaultdict", encoder.pairs(value), factory=name)


def _encode_memoryview(encoder: Encoder, value: memoryview) -> Any:
    """As database drivers give binary columns."""
    fields = {} if value.format == "B" else {"format": value.format}
    return tag("memoryview", to_base64(memoryview_bytes(value)), **fields)


def memoryview_bytes(value: memoryview) -> bytes:
    """The bytes that a memoryview is of.

    :raises UnsupportedValueError: if they do not tell all of it
    """
    try:
        data = value.tobytes()
        same = value.ndim == 1 and value.c_contiguous and make_memoryview(data, value.format) == value
    except (NotImplementedError, TypeError, ValueError):
        same = False
    if not same:
        raise UnsupportedValueError(
            "a memoryview can be pushed if it has one dimension and no gaps. Return bytes(...) of it, or "
            "numpy.asarray(...)"
        )
    return data


def make_memoryview(data: bytes, format: str = "B") -> memoryview:  # noqa: A002
    """Inverse of :func:`memoryview_bytes`.

    :param format: of its items, in the terms of the struct module; psycopg2's have ``c``
    """
    return memoryview(data).cast(format)


def _as_sequence(name: str) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: tag(name, encoder.items(value, value))


def _as_pairs(name: str) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: tag(name, encoder.pairs(value))


def _as_parts(name: str, *attributes: str) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: tag(name, encoder.items(value, [getattr(value, a) for a in attributes]))


ENCODERS: dict[type, Callable[[Encoder, Any], Any]] = {
    type(None): lambda encoder, value: value,
    bool: lambda encoder, value: value,
    int: _encode_int,
    float: _encode_float,
    str: _encode_str,
    bytes: lambda encoder, value: tag("bytes", to_base64(value)),
    bytearray: lambda encoder, value: tag("bytearray", to_base64(value)),
    memoryview: _encode_memoryview,
    list: lambda encoder, value: encoder.items(value, value),
    dict: lambda encoder, value: encoder.mapping(value),
    tuple: _as_sequence("tuple"),
    set: _as_sequence("set"),
    frozenset: _as_sequence("frozenset"),
    complex: _as_parts("complex", "real", "imag"),
    range: _as_parts("range", "start", "stop", "step"),
    slice: _as_parts("slice", "start", "stop", "step"),
    datetime.datetime: encode_datetime,
    datetime.date: lambda encoder, value: tag("date", value.isoformat()),
    datetime.time: encode_time,
    datetime.timedelta: _as_parts("timedelta", "days", "seconds", "microseconds"),
    datetime.timezone: lambda encoder, value: tag("tz", timezones.encode(value, None)),
    decimal.Decimal: lambda encoder, value: tag("Decimal", str(value)),
    fractions.Fraction: _as_parts("Fraction", "numerator", "denominator"),
    uuid.UUID: lambda encoder, value: tag("UUID", value.hex),
    collections.OrderedDict: _as_pairs("OrderedDict"),
    collections.Counter: _as_pairs("Counter"),
    collections.defaultdict: _encode_default_dict,
    collections.deque: lambda encoder, value: tag("deque", encoder.items(value, value), maxlen=value.maxlen),
    type(...): lambda encoder, value: tag("Ellipsis", None),
    type(NotImplemented): lambda encoder, value: tag("NotImplemented", None),
}


def decode_datetime(value: str, tz: Any = None, fold: int = 0) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(as_str(value))
    return (moment if tz is None else timezones.attach(moment, tz)).replace(fold=fold)


def decode_time(value: str, tz: Any = None, fold: int = 0) -> datetime.time:
    zone = None if tz is None else timezones.decode(tz)
    return datetime.time.fromisoformat(as_str(value)).replace(tzinfo=zone, fold=fold)


def _decode_default_dict(value: list, factory: str | None) -> collections.defaultdict:
    return collections.defaultdict(None if factory is None else _FACTORIES[factory], as_list(value))


def _decode_memoryview(value: str, format: str = "B") -> memoryview:  # noqa: A002
    return make_memoryview(from_base64(value), as_str(format))


def _from_list(kind: Callable[[list], Any]) -> Callable[[list], Any]:
    return lambda value: kind(as_list(value))


def _from_parts(kind: Callable[..., Any]) -> Callable[[list], Any]:
    return lambda value: kind(*as_list(value))


DECODERS: dict[str, Callable[..., Any]] = {
    "int": lambda value: int(as_str(value), 16),
    "float": lambda value: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value],
    "str": lambda value: from_base64(value).decode("utf-8", "surrogatepass"),
    "bytes": from_base64,
    "bytearray": lambda value: bytearray(from_base64(value)),
    "memoryview": _decode_memoryview,
    "tuple": _from_list(tuple),
    "set": _from_list(set),
    "frozenset": _from_list(frozenset),
    "dict": _from_list(dict),
    "complex": _from_parts(complex),
    "range": _from_parts(range),
    "slice": _from_parts(slice),
    "datetime": decode_datetime,
    "date": lambda value: datetime.date.fromisoformat(as_str(value)),
    "time": decode_time,
    "timedelta": _from_parts(datetime.timedelta),
    "tz": lambda value: timezones.decode(value),
    "Decimal": lambda value: decimal.Decimal(as_str(value)),
    "Fraction": _from_parts(fractions.Fraction),
    "UUID": lambda value: uuid.UUID(hex=as_str(value)),
    "OrderedDict": _from_list(collections.OrderedDict),
    "Counter": _from_list(lambda pairs: collections.Counter(dict(pairs))),
    "defaultdict": _decode_default_dict,
    "deque": lambda value, maxlen: collections.deque(as_list(value), maxlen),
    "Ellipsis": lambda value: ...,
    "NotImplemented": lambda value: NotImplemented,
}
