"""Values as separate JSON texts: the elements of mapped sequences, the cells of columns.

The texts are those that :func:`.engine.dumps` writes. Dicts with the same keys, such as rows, are encoded
column by column. Two rows with the keys ``id`` and ``price``::

    id: 1, 2    price: {"__s3_xcom__":"Decimal","value":"1.50"}, null

    {"id":1,"price":{"__s3_xcom__":"Decimal","value":"1.50"}}
    {"id":2,"price":null}
"""

from __future__ import annotations

import datetime
import decimal
import operator
import uuid
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Any

from include.s3_xcom.codecs.tagged_json import engine, runs, zones
from include.s3_xcom.codecs.tagged_json.tags import is_unicode, tag
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from include.s3_xcom.reference import RESERVED


def dumps_lines(values: list) -> list[bytes]:
    """Return values as lines of JSON text in UTF-8.

    :raises UnsupportedValueError: as :func:`.engine.dumps`; the path starts with the position of the value
    """
    return [f"{text}\n".encode() for text in dumps_many(values)]


def dumps_many(values: list) -> list[str]:
    """Return values as JSON texts. Raises what :func:`dumps_lines` raises."""
    types = set(map(type, values))
    if types == {dict} and (texts := _dumps_rows(values)) is not None:
        return texts
    return _dumps_column(values, types)


def loads_many(joined: str, count: int) -> list[Any]:
    """Read what :func:`dumps_many` returned. Raises what :func:`.engine.loads` raises.

    :param joined: the texts, with commas between them
    :param count: number of the texts
    """
    values = engine.loads(f"[{joined}]")
    if len(values) != count:
        raise FormatError("The stored JSON holds more than one value in a text.")
    return values


def _dumps_rows(rows: list[dict]) -> list[str] | None:
    """Return dicts as JSON texts if they have the same keys; otherwise None."""
    if len(rows) < runs.MIN_ITEMS:
        return None
    names = runs.common_keys(rows)
    if not names or not are_plain_names(names):
        return None
    return dumps_table(names, [list(map(operator.itemgetter(name), rows)) for name in names])


def are_plain_names(names: Sequence[Any]) -> bool:
    """Return whether names can be keys of rows without a tag. There must be at least one name."""
    is_text = set(map(type, names)) == {str}
    return is_text and RESERVED not in names and all(map(is_unicode, names))


def dumps_table(names: Sequence[str], columns: Sequence[list]) -> list[str]:
    """Return rows, which are dicts, from columns. Raises what :func:`dumps_lines` raises.

    :param names: names of the columns, for which :func:`are_plain_names` holds
    """
    texts = []
    for name, column in zip(names, columns):
        try:
            texts.append(_dumps_column(column, set(map(type, column))))
        except UnsupportedValueError as error:
            raise UnsupportedValueError(error.why, (error.path[0], name, *error.path[1:])) from None
    fields = [encode_basestring(name).replace("%", "%%") + ":%s" for name in names]
    return list(map(f"{{{','.join(fields)}}}".__mod__, zip(*texts)))


def _dumps_column(values: Any, types: set[type]) -> list[str]:
    contents = types - {type(None)}
    kind = next(iter(contents), type(None))
    out = _OUT.get(kind) if len(contents) <= 1 else None
    texts = None if out is None else out([item for item in values if item is not None])
    if texts is None:
        return _dumps_each(list(values), types)
    if type(None) not in types:
        return texts
    texts = iter(texts)
    return ["null" if item is None else next(texts) for item in values]


def _dumps_each(values: list, types: set[type]) -> list[str]:
    plain = engine.dumps_each_plain(values, types)
    if plain is not None:
        return plain
    texts = []
    for position, value in enumerate(values):
        try:
            texts.append(engine.dumps(value).decode())
        except UnsupportedValueError as error:
            raise error.inside(position) from None
    return texts


# Columns of one type in bulk; None if a value needs more than the usual text of its type.


def _scalars(out: Callable[[Any], str]) -> Callable[[list], list[str] | None]:
    return lambda values: list(map(out, values)) if runs.are_plain(values) else None


def _text(name: str, out: Callable[[Any], str]) -> Callable[[list], list[str]]:
    """Return an encoder for a type whose values are strings that need no escapes."""
    before, after = f'{{"{RESERVED}":"{name}","value":"', '"}'
    return lambda values: [f"{before}{out(value)}{after}" for value in values]


def _datetimes(values: list[datetime.datetime]) -> list[str] | None:
    found = {id(value.tzinfo): value.tzinfo for value in values}
    zone = next(iter(found.values()))
    if len(found) > 1 or not (zone is None or type(zone) is datetime.timezone):
        return None
    if any(value.fold for value in values):
        return None
    fields = {} if zone is None else {"tz": zones.describe(zone, None)}
    before, _, after = engine.to_text(tag("datetime", "?", **fields)).decode().partition("?")
    return [f"{before}{value.replace(tzinfo=None).isoformat()}{after}" for value in values]


_OUT: dict[type, Callable[[list], list[str] | None]] = {
    type(None): lambda values: [],
    bool: lambda values: ["true" if value else "false" for value in values],
    int: _scalars(str),
    float: _scalars(repr),
    str: _scalars(encode_basestring),
    datetime.date: _text("date", datetime.date.isoformat),
    datetime.datetime: _datetimes,
    decimal.Decimal: _text("Decimal", str),
    uuid.UUID: _text("UUID", lambda value: value.hex),
}
