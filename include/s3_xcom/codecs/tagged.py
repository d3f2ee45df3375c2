"""Python values as JSON: plain where JSON can say it, tagged where it cannot.

A tagged value is an object that holds the reserved key::

    {"__s3_xcom__": "tuple", "value": [1, 2]}

and so is a dict that is no JSON object itself, one that holds the reserved key among them. The tags
are written down in docs/format.md. Decoding builds the types named there and runs nothing else.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import fractions
import functools
import itertools
import json
import math
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from include.s3_xcom.codecs import timezones
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from include.s3_xcom.reference import RESERVED

MAX_DEPTH = 128
"""Containers within containers. A tag is an object more, and Python's own JSON recurses."""

# Python refuses to read longer decimal integers, unless told otherwise.
MAX_DECIMAL_BITS = 4096

_SCALARS = {type(None), bool, int, float, str}
_CONTAINERS = {
    *(list, dict, tuple, set, frozenset, bytes, bytearray),
    *(collections.OrderedDict, collections.Counter, collections.defaultdict, collections.deque),
}
_FACTORIES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "set": set,
              "str": str, "tuple": tuple}  # fmt: skip


def is_scalar(value: Any) -> bool:
    """Whether a value is one thing, not a container, a text or data of any length."""
    kind = type(value)
    return (
        kind in _SCALARS or (kind in _ENCODERS and kind not in _CONTAINERS) or _name(kind) in _NAMED_ENCODERS
    )


def dumps_plain(value: dict | list) -> bytes | None:
    """A container as plain JSON text in UTF-8, or None where that would change the value."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() if is_plain(value) else None
    except (TypeError, ValueError, RecursionError):
        return None  # UnicodeEncodeError, a lone surrogate, is a ValueError


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is: exact types, string keys, no reserved key.

    Level by level, so that the loops run in C. The value must be free of cycles.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        types = set(map(type, level))
        if types <= _SCALARS:
            return True
        if not types <= _SCALARS | {dict, list}:
            return False
        dicts = [item for item in level if type(item) is dict] if dict in types else []
        if set(map(type, itertools.chain.from_iterable(dicts))) - {str}:
            return False
        if any(RESERVED in item for item in dicts):
            return False
        lists = [item for item in level if type(item) is list] if list in types else []
        level = list(itertools.chain.from_iterable([*map(dict.values, dicts), *lists]))
    return False


def dumps(value: Any) -> bytes:
    """Any supported value as JSON text in UTF-8.

    :raises UnsupportedValueError: if the value has a type without a tag, holds itself, or nests too
        deeply
    """
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":")).encode()


def to_json(value: Any) -> Any:
    """Any supported value as what the json module writes without loss. Errors as of :func:`dumps`."""
    return _Encoder().encode(value)


def loads_plain(text: bytes | str) -> Any:
    """The value that :func:`dumps_plain` wrote. Errors as of :func:`loads`."""
    return _loads(text)


def loads(text: bytes | str) -> Any:
    """The value that :func:`dumps` wrote.

    :raises FormatError: if the text is nothing it writes
    """
    return _loads(text, object_hook=_decode_object)


def _loads(text: bytes | str, **options: Any) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, **options)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The stored JSON cannot be read ({type(error).__name__}).") from None


class _Encoder:
    """Turns one value into what the json module writes without loss."""

    def __init__(self) -> None:
        self._open: set[int] = set()  # ids of the containers around the current value

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind is bool or value is None:
            return value
        if kind in _ENCODERS:
            return _ENCODERS[kind](self, value)
        encoder = _NAMED_ENCODERS.get(_name(kind))
        if encoder is None:
            raise unsupported(value)
        return encoder(self, value)

    def each(self, container: Any, items: Iterable[Any]) -> list[Any]:
        if id(container) in self._open:
            raise UnsupportedValueError("it holds itself. Break the cycle before you return it")
        if len(self._open) >= MAX_DEPTH:
            raise UnsupportedValueError(f"it nests more than {MAX_DEPTH} levels deep")
        self._open.add(id(container))
        encoded = []
        for position, item in enumerate(items):
            try:
                encoded.append(self.encode(item))
            except UnsupportedValueError as error:
                raise error.inside(position) from None
        self._open.discard(id(container))
        return encoded

    def list(self, value: list) -> Any:
        return self.each(value, value)

    def dict(self, value: dict) -> Any:
        keys = list(value)
        if set(map(type, keys)) <= {str} and RESERVED not in value and all(map(_is_unicode, keys)):
            try:
                return dict(zip(keys, self.each(value, value.values())))
            except UnsupportedValueError as error:
                raise error.renamed(keys) from None
        pairs = self.each(value, itertools.chain.from_iterable(value.items()))
        return tag("dict", list(zip(pairs[::2], pairs[1::2])))

    def sequence(self, name: str, value: Any) -> Any:
        return tag(name, self.each(value, value))

    def int(self, value: int) -> Any:
        return value if value.bit_length() <= MAX_DECIMAL_BITS else tag("int", hex(value))

    def float(self, value: float) -> Any:
        return value if math.isfinite(value) else tag("float", repr(value))

    def str(self, value: str) -> Any:
        if _is_unicode(value):
            return value
        return tag("str", _to_base64(value.encode("utf-8", "surrogatepass")))

    def datetime(self, value: datetime.datetime, name: str = "datetime") -> Any:
        fields = {"fold": 1} if value.fold else {}
        if value.tzinfo is not None:
            fields["tz"] = timezones.encode(value.tzinfo, value)
        return tag(name, value.replace(tzinfo=None, fold=0).isoformat(), **fields)

    def time(self, value: datetime.time, name: str = "time") -> Any:
        fields = {"fold": 1} if value.fold else {}
        if value.tzinfo is not None:
            fields["tz"] = timezones.encode(value.tzinfo, None)
        return tag(name, value.replace(tzinfo=None, fold=0).isoformat(), **fields)

    def ordered_dict(self, value: collections.OrderedDict) -> Any:
        return tag("OrderedDict", self.each(value, map(list, value.items())))

    def counter(self, value: collections.Counter) -> Any:
        return tag("Counter", self.each(value, map(list, value.items())))

    def default_dict(self, value: collections.defaultdict) -> Any:
        factory = value.default_factory
        name = getattr(factory, "__name__", None)
        if factory is not None and _FACTORIES.get(name) is not factory:
            raise UnsupportedValueError(
                "the factory of a defaultdict can be a builtin type or None. Return dict(...) of it"
            )
        return tag("defaultdict", self.each(value, map(list, value.items())), factory=name)

    def deque(self, value: collections.deque) -> Any:
        return tag("deque", self.each(value, value), maxlen=value.maxlen)

    def items_of(self, name: str, value: Any, *items: Any) -> Any:
        return tag(name, self.each(value, items))


def unsupported(value: Any) -> UnsupportedValueError:
    """The error for a type that has no tag, with what to return instead."""
    kind = type(value)
    return UnsupportedValueError(f"a {_name(kind)} cannot be pushed. {_advice(kind)}")


def tag(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {RESERVED: name, "value": value, **fields}


def _advice(kind: type) -> str:
    if kind.__module__ == "pathlib":
        return "Return File(path) to hand over the file, or str(path) for its name"
    if issubclass(kind, (list, tuple, dict, set, frozenset, str, bytes, int, float)):
        return f"Return the plain {kind.__mro__[-2].__name__} it is made of"
    if hasattr(kind, "__next__"):
        return "Return list(...) of it"
    return "Return a DataFrame, dict, list or string made of what the next task needs"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _named(name: str) -> Callable[[_Encoder, Any], Any]:
    return lambda encoder, value: encoder.sequence(name, value)


_ENCODERS: dict[type, Callable[[_Encoder, Any], Any]] = {
    int: _Encoder.int,
    float: _Encoder.float,
    str: _Encoder.str,
    list: _Encoder.list,
    dict: _Encoder.dict,
    tuple: _named("tuple"),
    set: _named("set"),
    frozenset: _named("frozenset"),
    bytes: lambda encoder, value: tag("bytes", _to_base64(value)),
    bytearray: lambda encoder, value: tag("bytearray", _to_base64(value)),
    complex: lambda encoder, value: encoder.items_of("complex", value, value.real, value.imag),
    range: lambda encoder, value: encoder.items_of("range", value, value.start, value.stop, value.step),
    slice: lambda encoder, value: encoder.items_of("slice", value, value.start, value.stop, value.step),
    datetime.datetime: _Encoder.datetime,
    datetime.date: lambda encoder, value: tag("date", value.isoformat()),
    datetime.time: _Encoder.time,
    datetime.timedelta: lambda encoder, value: tag(
        "timedelta", [value.days, value.seconds, value.microseconds]
    ),
    decimal.Decimal: lambda encoder, value: tag("Decimal", str(value)),
    fractions.Fraction: lambda encoder, value: encoder.items_of(
        "Fraction", value, value.numerator, value.denominator
    ),
    uuid.UUID: lambda encoder, value: tag("UUID", value.hex),
    collections.OrderedDict: _Encoder.ordered_dict,
    collections.Counter: _Encoder.counter,
    collections.defaultdict: _Encoder.default_dict,
    collections.deque: _Encoder.deque,
}

# Types of packages that need not be installed, by name.
_NAMED_ENCODERS: dict[str, Callable[[_Encoder, Any], Any]] = {
    "pendulum.datetime.DateTime": functools.partial(_Encoder.datetime, name="pendulum.DateTime"),
    "pendulum.date.Date": lambda encoder, value: tag("pendulum.Date", value.isoformat()),
    "pendulum.time.Time": functools.partial(_Encoder.time, name="pendulum.Time"),
}


def _decode_object(fields: dict[str, Any]) -> Any:
    if RESERVED not in fields:
        return fields
    name = fields.pop(RESERVED)
    decoder = _DECODERS.get(name) if type(name) is str else None
    if decoder is None:
        raise FormatError(
            f"The stored JSON has a tag this version does not know: {str(name)[:40]!r}. Was it "
            "pushed by a newer version? Update include/ on this machine."
        )
    try:
        return decoder(**fields)
    except FormatError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FormatError(f"The stored JSON has a malformed {name} ({type(error).__name__}).") from None


def _no_constant(name: str) -> Any:
    raise FormatError(f"The stored JSON holds {name}, which is no JSON.")


def _list(value: Any) -> list:
    if type(value) is not list:
        raise TypeError
    return value


def _str(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _datetime(value: str, tz: Any = None, fold: int = 0) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(_str(value))
    return timezones.attach(moment, tz).replace(fold=fold) if tz is not None else moment.replace(fold=fold)


def _pendulum(value: str, tz: Any = None, fold: int = 0) -> Any:
    import pendulum

    m = _datetime(value, tz, fold)
    return pendulum.DateTime(
        m.year, m.month, m.day, m.hour, m.minute, m.second, m.microsecond, tzinfo=m.tzinfo, fold=m.fold
    )


def _time(value: str, tz: Any = None, fold: int = 0) -> datetime.time:
    zone = timezones.decode(tz) if tz is not None else None
    return datetime.time.fromisoformat(_str(value)).replace(tzinfo=zone, fold=fold)


def _pendulum_date(value: str) -> Any:
    import pendulum

    return pendulum.Date.fromisoformat(_str(value))


def _pendulum_time(value: str, tz: Any = None, fold: int = 0) -> Any:
    import pendulum

    t = _time(value, tz, fold)
    return pendulum.Time(t.hour, t.minute, t.second, t.microsecond, tzinfo=t.tzinfo, fold=t.fold)


def _default_dict(value: list, factory: str | None) -> collections.defaultdict:
    return collections.defaultdict(None if factory is None else _FACTORIES[factory], _list(value))


_DECODERS: dict[str, Callable[..., Any]] = {
    "int": lambda value: int(_str(value), 16),
    "float": lambda value: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value],
    "str": lambda value: _from_base64(value).decode("utf-8", "surrogatepass"),
    "bytes": lambda value: _from_base64(value),
    "bytearray": lambda value: bytearray(_from_base64(value)),
    "tuple": lambda value: tuple(_list(value)),
    "set": lambda value: set(_list(value)),
    "frozenset": lambda value: frozenset(_list(value)),
    "dict": lambda value: dict(_list(value)),
    "complex": lambda value: complex(*_list(value)),
    "range": lambda value: range(*_list(value)),
    "slice": lambda value: slice(*_list(value)),
    "datetime": _datetime,
    "date": lambda value: datetime.date.fromisoformat(_str(value)),
    "time": _time,
    "timedelta": lambda value: datetime.timedelta(*_list(value)),
    "Decimal": lambda value: decimal.Decimal(_str(value)),
    "Fraction": lambda value: fractions.Fraction(*_list(value)),
    "UUID": lambda value: uuid.UUID(hex=_str(value)),
    "OrderedDict": lambda value: collections.OrderedDict(_list(value)),
    "Counter": lambda value: collections.Counter(dict(_list(value))),
    "defaultdict": _default_dict,
    "deque": lambda value, maxlen: collections.deque(_list(value), maxlen),
    "pendulum.DateTime": _pendulum,
    "pendulum.Date": _pendulum_date,
    "pendulum.Time": _pendulum_time,
}
