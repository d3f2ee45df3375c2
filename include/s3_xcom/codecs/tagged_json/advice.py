"""Advice on what to return instead of a value that cannot be pushed."""

from __future__ import annotations

import functools
import io
from typing import Any

from include.s3_xcom.codecs.codec import Standalone
from include.s3_xcom.codecs.tagged_json.tags import type_name
from include.s3_xcom.errors import UnsupportedValueError

_OF_DESCRIPTION = "Return what you need of a cursor's description, such as [c.name for c in description]"

_LIBRARY_TYPES = (
    ("numpy", "memmap", "Return numpy.asarray(...) of it, or File(path) to hand over the file"),
    ("numpy", "MaskedArray", "Return array.filled(...), or a dict of array.data and array.mask"),
    ("numpy", "ndarray", "Return numpy.asarray(...) of it"),
    ("psycopg2", "Record", "Return tuple(row), or row._asdict()"),
    ("psycopg2", "DictRow", "Return dict(row), or list(row)"),
    ("psycopg2", "Column", _OF_DESCRIPTION),
    ("psycopg2", "cursor", "Return cursor.fetchall(), or a DataFrame made by pandas.read_sql()"),
    ("psycopg", "Column", _OF_DESCRIPTION),
    ("psycopg", "BaseCursor", "Return cursor.fetchall(), or a DataFrame made by pandas.read_sql()"),
    ("sqlalchemy", "RowMapping", "Return dict(...) of it"),
    ("sqlalchemy", "Row", "Return tuple(row), or dict(row._mapping)"),
    ("sqlalchemy", "Result", "Return [tuple(row) for row in result]"),
    ("sqlalchemy", "CursorResult", "Return [tuple(row) for row in result]"),
    ("sqlalchemy", "Query", "Return query.all(), with each row made a tuple or dict"),
    ("psycopg", "Range", "Return (range.lower, range.upper), or str(range)"),
    ("psycopg", "Multirange", "Return a list of (range.lower, range.upper)"),
)


@functools.lru_cache(maxsize=256)
def library_advice(kind: type) -> str | None:
    """Return what to return instead of an object of a known library; None for other types."""
    names = [(base.__module__, base.__name__) for base in kind.__mro__]
    for package, name, advice in _LIBRARY_TYPES:
        if any(module.partition(".")[0] == package and own == name for module, own in names):
            return advice
    return None


def _advice(kind: type) -> str:
    if issubclass(kind, Standalone):
        return "Return it by itself, not within another value"
    if kind.__module__.startswith("pathlib"):
        return "Return File(path) to hand over the file, or str(path) for its name"
    advice = library_advice(kind)
    if advice is not None:
        return advice
    for base in (list, tuple, dict, set, frozenset, str, bytes, int, float):
        if issubclass(kind, base):
            return f"Return the plain {base.__name__} it is made of"
    if issubclass(kind, io.IOBase):
        return "Return File(path) to hand over the file, or what was read from it"
    if hasattr(kind, "__next__"):
        return "Return list(...) of it; or items(...) or, of frames, batches(...), which write it as it comes"
    return "Return a DataFrame, dict, list or string made of what the next task needs"


def unsupported(value: Any) -> UnsupportedValueError:
    """Return the error for a type that has no tag, with advice on what to return instead."""
    kind = type(value)
    return UnsupportedValueError(f"a {type_name(kind)} cannot be pushed. {_advice(kind)}")
