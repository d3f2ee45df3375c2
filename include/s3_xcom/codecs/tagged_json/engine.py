"""Python values as JSON: plain if JSON can hold them, otherwise tagged.

A tagged value is an object that holds the reserved key::

    {"__s3_xcom__": "tuple", "value": [1, 2]}

A dict is tagged too if it is no JSON object, or holds the reserved key. docs/format.md describes the tags.
Decoding builds the types named there and executes nothing else.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import Attachment, Pulling
from include.s3_xcom.codecs.tagged_json import classes, runs, stdlib, zones
from include.s3_xcom.codecs.tagged_json.tags import (
    TaggedType,
    as_str,
    from_base64,
    is_unicode,
    tag,
    to_base64,
)
from include.s3_xcom.errors import FormatError, UnsupportedValueError, XComError, decoding_error
from include.s3_xcom.reference import RESERVED

MAX_DEPTH = 128
"""Containers within containers. A tag adds one level, and Python's json module recurses."""

SMALL_PART_BYTES = 1024
"""Bytes of binary data up to which it stays in the JSON, as base64."""

NO_FILE = (
    "a File cannot stand in a frame or a mapped sequence. Return it beside the frame; to expand over files, "
    "return a plain list of them, which moves none"
)

_STDLIB = {kind: tagged for tagged in stdlib.TYPES for kind in tagged.types}
_STDLIB_BY_NAME = {tagged.name: tagged for tagged in stdlib.TYPES}

_LIBRARIES = {"numpy": "numpy_", "pandas": "pandas_", "pendulum": "pendulum_", "psycopg2": "psycopg2_"}
"""Packages with tagged types, and the module here that has these: imported when a value needs it."""

_OUT: dict[type, Callable[[Encoder, Any], Any]] = {
    type(None): lambda encoder, value: value,
    bool: lambda encoder, value: value,
    list: lambda encoder, value: encoder.sequence(value),
    **{kind: tagged.out for kind, tagged in _STDLIB.items()},
}


def is_scalar(value: Any) -> bool:
    """Return whether a value is a single one: no container, and no data of any length."""
    kind = type(value)
    if kind in _OUT:
        return kind is not list and (kind not in _STDLIB or _STDLIB[kind].scalar)
    tagged = _find_library_type(kind)
    return tagged.scalar if tagged is not None else classes.is_scalar(value)


@functools.lru_cache(maxsize=256)
def _find_library_type(kind: type) -> TaggedType | None:
    for library in _packages(kind) & _LIBRARIES.keys():
        for tagged in _library_types(library):
            if tagged.fits(kind):
                return tagged
    return None


def _library_types(library: str) -> list[TaggedType]:
    return importlib.import_module(f"{__package__}.{_LIBRARIES[library]}").TYPES


@functools.lru_cache(maxsize=256)
def _packages(kind: type) -> set[str]:
    """Return the packages that a class and its bases come from."""
    return {base.__module__.partition(".")[0] for base in kind.__mro__}


def dumps_plain(value: dict | list) -> bytes | None:
    """Return a container as plain JSON text in UTF-8; None if that would change the value."""
    # Checked first, because writing a long value in vain is slow.
    if not set(map(type, value)) <= ({str} if type(value) is dict else runs.SCALARS | {dict, list}):
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # It has no cycles now; still to check is what the json module converts silently.
        return text.encode() if _is_plain(value, f'"{RESERVED}"' in text) else None
    except (TypeError, ValueError, RecursionError):
        return None  # also for a lone surrogate: UnicodeEncodeError is a ValueError


def _is_plain(value: dict | list, may_hold_reserved: bool) -> bool:
    """Return whether JSON holds a value as it is: exact types, string keys, no reserved key.

    It goes level by level, so that the loops are in C.
    """
    dicts, lists = ([value], []) if type(value) is dict else ([], [value])
    for _ in range(MAX_DEPTH):
        if set(map(type, _chain(dicts))) - {str}:
            return False
        if may_hold_reserved and any(RESERVED in item for item in dicts):
            return False
        types = set(map(type, _items(dicts, lists)))
        if types <= runs.SCALARS:
            return True
        if not types <= runs.SCALARS | {dict, list}:
            return False
        # Usually these are only dicts, which need no sorting.
        inner = list(_items(dicts, lists))
        dicts = inner if types == {dict} else [item for item in inner if type(item) is dict]
        lists = [] if types == {dict} else [item for item in inner if type(item) is list]
    return False


def _items(dicts: list[dict], lists: list[list]) -> Iterator[Any]:
    return itertools.chain(_chain(map(dict.values, dicts)), _chain(lists))


_chain = itertools.chain.from_iterable


def dumps(value: Any, parts: Parts | None = None) -> bytes:
    """Return any supported value as JSON text in UTF-8.

    :param parts: takes binary data that is too large for the text; without it, all data stays in the text
    :raises UnsupportedValueError: if the value has a type without a tag, holds itself, or nests too deeply
    """
    return to_text(to_json(value, parts))


MAX_SHORT = stdlib.MAX_DECIMAL_BITS // 4
"""Characters up to which any integer can be read again: a digit has less than 4 bits."""


def dumps_each_plain(values: list, types: set[type]) -> list[str] | None:
    """Return values as plain JSON texts; None if that would change one of them.

    :param types: types of the values
    """
    joined = join_scalars(values, types)
    if joined is not None:
        texts = joined.split("\n")
        return texts if max(map(len, texts)) <= MAX_SHORT or runs.are_plain(values) else None
    if not values or not types <= runs.SCALARS | {dict, list}:
        return None
    try:
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        texts = list(map(encoder.encode, values))  # finds cycles, which _is_plain() would follow
        is_plain = _is_plain(values, may_hold_reserved=True)
        return texts if is_plain and is_unicode("".join(texts)) else None
    except (TypeError, ValueError, RecursionError):  # only a tag can hold it, as NaN
        return None


def join_scalars(values: list, types: set[type]) -> str | None:
    """Return scalars as plain JSON texts separated by line breaks, which JSON escapes within strings.

    It is None if that would change one of them. An integer too long to be read again is not found here: if a
    text is longer than ``MAX_SHORT``, ask :func:`.runs.are_plain`.

    :param types: types of the values
    """
    if not values or not types <= runs.SCALARS:
        return None
    try:
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=("\n", ":"))[1:-1]
    except ValueError:  # NaN, infinity
        return None
    return text if is_unicode(text) else None


def to_json(value: Any, parts: Parts | None = None) -> Any:
    """Return any supported value in a form that the json module writes without loss. See :func:`dumps`."""
    return Encoder(parts).encode(value)


def to_text(tree: Any) -> bytes:
    """Return JSON text in UTF-8 of what :func:`to_json` returned."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


def loads(
    text: bytes | str,
    parts: Mapping[str, bytes] | None = None,
    find_file: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Read what :func:`dumps` returned.

    :param parts: binary data that ``parts`` of :func:`dumps` took, by name
    :param find_file: makes a File of what was stored about it
    :raises FormatError: if :func:`dumps` cannot have written the text
    """
    return loads_plain(text, object_hook=Decoder(parts or {}, find_file).decode)


def loads_plain(text: bytes | str, **options: Any) -> Any:
    """Read what :func:`dumps_plain` returned. Raises what :func:`loads` raises."""
    try:
        return json.loads(text, parse_constant=_no_constant, **options)
    except XComError:
        raise
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"The stored JSON cannot be read ({type(error).__name__}).") from None
    except ValueError as error:  # a number is too long, or the value of a tag is wrong
        raise decoding_error(error, "The stored JSON cannot be read") from None


def _no_constant(name: str) -> Any:
    raise FormatError(f"The stored JSON holds {name}, which is no JSON.")


@dataclass(frozen=True)
class Parts:
    """Destinations for data that cannot stay in the JSON.

    :param add: takes a suffix and binary data, returns the name to find it by
    :param add_file: takes a File, returns the tag that will stand for it
    """

    add: Callable[[str, bytes | memoryview], str]
    add_file: Callable[[Any], dict[str, Any]]


def unwrap(value: Any) -> Any:
    """Return the value itself if Airflow handed out a stand-in for it.

    A stand-in is a lazy proxy, as in the context (``context["execution_date"]``), or the lazy sequence of a
    mapped task's results, which XCom.set makes a list if it is the whole value.
    """
    kind = type(value)
    proxies = sys.modules.get("lazy_object_proxy")
    if proxies is not None and kind is proxies.Proxy:
        try:
            return unwrap(value.__wrapped__)
        except RecursionError:
            raise UnsupportedValueError("it is a lazy proxy that stands for itself") from None
    return list(value) if is_lazy_sequence(value) else value


def is_lazy_sequence(value: Any) -> bool:
    """Return whether a value is Airflow's sequence of the results of a mapped task."""
    kind = type(value)
    return kind.__name__ in _LAZY_SEQUENCES and kind.__module__.startswith("airflow.")


_LAZY_SEQUENCES = {"LazyXComAccess", "LazyXComSelectSequence", "LazyXComSequence"}
"""Class names in Airflow 2.5 to 2.9, in 2.10, and in 3."""


class Encoder:
    """Encoder of one value into a form that the json module writes without loss."""

    def __init__(self, parts: Parts | None = None) -> None:
        self._parts = parts
        self._open: set[int] = set()  # ids of the containers around the current value
        self.can_be_pulled: set[type] = set()  # classes that were checked

    def encode(self, value: Any) -> Any:
        out = _OUT.get(type(value))
        if out is not None:
            return out(self, value)
        itself = unwrap(value)
        if itself is not value:
            return self.encode(itself)
        if isinstance(value, Attachment):
            return self.file(value)
        return self._library_value(value) or classes.encode(self, value)

    def _library_value(self, value: Any) -> Any:
        """Encode a value of one of the libraries; return None for other values."""
        tagged = _find_library_type(type(value))
        if tagged is not None and tagged.scalar:
            return tagged.out(self, value)
        packages = _packages(type(value))
        for codec in registry.of_libraries():
            if codec.library in packages and (body := codec.encode(value)) is not None:
                return self.blob(codec.name, codec.suffix, body)
        if tagged is not None:
            return tagged.out(self, value)
        return zones.other_zone_out(self, value) if packages & {"dateutil", "zoneinfo"} else None

    def items(self, container: Any, items: Iterable[Any]) -> list[Any]:
        """Encode the content of a container.

        :param container: the container, which must not hold itself
        """
        self._enter(container)
        encoded = self._each(items)
        self._open.discard(id(container))
        return encoded

    def sequence(self, container: Any, items: Collection[Any] | None = None) -> Any:
        """Encode the content of a list or a similar container, in bulk if it is long and of one type.

        :param items: the content, if iterating over the container does not give it
        """
        items = container if items is None else items
        if len(items) < runs.MIN_ITEMS:
            return self.items(container, items)
        self._enter(container)
        encoded = self._in_bulk(list(items))
        self._open.discard(id(container))
        return encoded

    def _in_bulk(self, values: list[Any]) -> Any:
        encoded = runs.encode(self, values)
        return runs.gather(self._each(values)) if encoded is None else encoded

    def _each(self, items: Iterable[Any]) -> list[Any]:
        encoded = []
        for position, item in enumerate(items):
            try:
                encoded.append(self.encode(item))
            except UnsupportedValueError as error:
                raise error.inside(position) from None
        return encoded

    def _enter(self, container: Any) -> None:
        if id(container) in self._open:
            raise UnsupportedValueError("it holds itself. Break the cycle before you return it")
        if len(self._open) >= MAX_DEPTH:
            raise UnsupportedValueError(f"it nests more than {MAX_DEPTH} levels deep")
        self._open.add(id(container))

    def mapping(self, value: dict) -> Any:
        """Encode a dict, as a JSON object if it is one."""
        keys = list(value)
        is_object = set(map(type, keys)) <= {str} and RESERVED not in value
        if not is_object or not all(map(is_unicode, keys)):
            return self.dict_tag("dict", value)
        return dict(zip(keys, self.fields(value, value)))

    def dict_tag(self, name: str, value: dict, **fields: Any) -> dict[str, Any]:
        """Encode a dict with any keys: as pairs, or if it is long, its keys and its values in bulk."""
        keys = list(value)
        if len(keys) < runs.MIN_ITEMS:
            return tag(name, self._pairs(value), **fields)
        self._enter(value)
        encoded_keys = self._in_bulk(keys)
        try:
            encoded_values = self._in_bulk(list(value.values()))
        except UnsupportedValueError as error:
            raise error.renamed(keys) from None
        self._open.discard(id(value))
        return tag(name, None, keys=encoded_keys, values=encoded_values, **fields)

    def fields(self, container: Any, fields: Mapping[str, Any]) -> list[Any]:
        """Encode the values of named fields."""
        try:
            return self.items(container, fields.values())
        except UnsupportedValueError as error:
            raise error.renamed(list(fields)) from None

    def _pairs(self, value: Mapping) -> list[list[Any]]:
        """Encode the items of a mapping as pairs."""
        keys = list(value)
        encoded_keys = self.items(value, keys)
        try:
            return list(map(list, zip(encoded_keys, self.items(value, value.values()))))
        except UnsupportedValueError as error:
            raise error.renamed(keys) from None

    def blob(self, codec: str, suffix: str, data: Any) -> Any:
        """Encode binary data: in the text if it is small, otherwise beside it."""
        if self._parts is None or len(data) <= SMALL_PART_BYTES:
            return tag("blob", to_base64(data), codec=codec)
        return tag("part", self._parts.add(suffix, data), codec=codec)

    def file(self, file: Any) -> Any:
        """Encode a File, which can only be stored beside the text."""
        if self._parts is None:
            raise UnsupportedValueError(NO_FILE)
        return self._parts.add_file(file)


class Decoder:
    """Decoder of parsed JSON, which rebuilds the innermost values first."""

    def __init__(self, parts: Mapping[str, bytes], find_file: Callable[[dict[str, Any]], Any] | None) -> None:
        self._own: dict[str, Callable[..., Any]] = {
            "value": lambda value: value,
            "json": lambda value: loads(as_str(value)),
            "blob": lambda value, codec: _decode_blob(codec, from_base64(value)),
            "part": lambda value, codec: _decode_blob(codec, parts[as_str(value)]),
            "file": lambda value: find_file(value),
            "run": functools.partial(runs.run_back, _find_way_back),
            "table": runs.table_back,
        }

    def decode(self, fields: dict[str, Any]) -> Any:
        if RESERVED not in fields:
            return fields
        name = fields.pop(RESERVED)
        if type(name) is not str:
            raise FormatError("The stored JSON has a tag that is no string.")
        back = self._own.get(name) or _find_way_back(name)
        if back is not None:
            return _called(back, name, fields)
        raise FormatError(
            f"The stored JSON has a tag that this version does not know: {name[:40]!r}. Was it pushed by a "
            "newer version? Update include/ on this machine."
        )


def _find_way_back(name: str) -> Callable[..., Any] | None:
    if name in _STDLIB_BY_NAME:
        return _STDLIB_BY_NAME[name].back
    library = name.partition(".")[0]
    if library in _LIBRARIES:
        return next((tagged.back for tagged in _library_types(library) if tagged.name == name), None)
    return classes.DECODERS.get(name)


def _decode_blob(name: str, data: bytes) -> Any:
    codec = registry.find(name)
    if not codec.library:
        raise FormatError(f"The stored JSON holds a {codec.name}, which no push puts there.")
    return codec.decode(data, Pulling())


def _called(decoder: Callable[..., Any], name: str, fields: dict[str, Any]) -> Any:
    try:
        return decoder(**fields)
    except Exception as error:
        raise decoding_error(error, f"The stored JSON has a malformed {name}") from None
