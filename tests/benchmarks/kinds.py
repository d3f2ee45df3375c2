"""The kinds of values that queries return, each with its floor: the same content through pyarrow or json."""

from __future__ import annotations

import datetime
import json
import random
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

ROWS = 100_000
UTC = datetime.timezone.utc
START = datetime.datetime(2024, 1, 1, tzinfo=UTC)
WINTER, SUMMER = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2))

_random = random.Random(0)
_missing = [_random.random() < 0.1 for _ in range(ROWS)]


def _column(make: Callable[[int], Any], *, nulls: bool = False) -> pd.DataFrame:
    values = [None if nulls and _missing[i] else make(i) for i in range(ROWS)]
    return pd.DataFrame({"value": pd.Series(values, dtype=object)})


def _moment(i: int) -> datetime.datetime:
    return START + datetime.timedelta(seconds=137 * i, microseconds=i)


def _local(i: int) -> datetime.datetime:
    """As psycopg2 gives timestamptz in a session whose zone has summer time."""
    moment = _moment(i)
    return moment.astimezone(SUMMER if 3 < moment.month < 11 else WINTER)


def _decimal(i: int) -> Decimal:
    return Decimal(_random.randrange(-(10**9), 10**9)).scaleb(-2)


def _document(i: int) -> dict[str, Any]:
    return {"id": i, "tags": ["a", "b"], "score": i / 7, "note": None if i % 3 else "text"}


def query_result() -> pd.DataFrame:
    """A query of six columns, as ``hook.get_pandas_df`` returns it."""
    columns = {
        "id": np.arange(ROWS),
        "price": [_decimal(i) for i in range(ROWS)],
        "day": [(_moment(i)).date() for i in range(ROWS)],
        "note": [None if _missing[i] else f"text {i * 7919 % ROWS}" for i in range(ROWS)],
        "at": pd.to_datetime([_moment(i) for i in range(ROWS)]),
        "ok": pd.Series([None if _missing[i] else i % 3 == 0 for i in range(ROWS)], dtype=object),
    }
    return pd.DataFrame(columns)


def _record(i: int) -> dict[str, Any]:
    return {"id": i, "price": _decimal(i), "day": _moment(i).date(), "at": _moment(i), "note": f"text {i}"}


KINDS: dict[str, Callable[[], Any]] = {
    "query result: int, Decimal, date, text with NULL, timestamptz, bool with NULL": query_result,
    "column of Decimal": lambda: _column(_decimal, nulls=True),
    "column of Decimal, several exponents": lambda: _column(lambda i: Decimal(i).scaleb(-(i % 5))),
    "column of date": lambda: _column(lambda i: _moment(i).date(), nulls=True),
    "column of time": lambda: _column(lambda i: _moment(i).time(), nulls=True),
    "column of datetime in UTC": lambda: _column(_moment, nulls=True),
    "column of datetime, two offsets": lambda: _column(_local, nulls=True),
    "column of bool or None": lambda: _column(lambda i: i % 3 == 0, nulls=True),
    "column of int or None": lambda: _column(lambda i: i * 7919, nulls=True),
    "column of text or None": lambda: _column(lambda i: f"text {i * 7919 % ROWS}", nulls=True),
    "column of UUID": lambda: _column(lambda i: uuid.UUID(int=_random.getrandbits(128)), nulls=True),
    "column of bytes": lambda: _column(lambda i: i.to_bytes(16, "big"), nulls=True),
    "column of dicts (jsonb)": lambda: _column(_document, nulls=True),
    "column of lists (arrays)": lambda: _column(lambda i: [i, i + 1, i + 2], nulls=True),
    "column of int and text": lambda: _column(lambda i: i if i % 2 else f"text {i}"),
    "list of tuples (fetchall)": lambda: [
        (i, _decimal(i), _moment(i).date(), f"text {i}", _moment(i), i % 3 == 0) for i in range(ROWS)
    ],
    "list of dicts with datetime and Decimal": lambda: [_record(i) for i in range(ROWS)],
    "list of np.float64": lambda: list(np.random.default_rng(0).random(ROWS)),
    "dict with int keys": lambda: {i: i / 7 for i in range(ROWS)},
    "plain list of dicts": lambda: [_document(i) for i in range(ROWS)],
}


def floor(value: Any) -> tuple[Callable[[], bytes], Callable[[bytes], Any]]:
    """How to encode and to decode the content of a value, without what makes it exact."""
    if not isinstance(value, pd.DataFrame):
        plain = value if not isinstance(value, dict) else {str(key): item for key, item in value.items()}
        return lambda: json.dumps(plain, default=str).encode(), json.loads
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = value["value"].map(str, na_action="ignore").to_frame() if _is_mixed(value) else value

    def encode() -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pandas(texts), sink)
        return sink.getvalue().to_pybytes()

    kind = next((type(item) for item in value.iloc[:, 0] if item is not None), None)

    def decode(body: bytes) -> pd.DataFrame:
        """To the same Python objects: Arrow gives numpy's instead for some."""
        table = pq.read_table(pa.BufferReader(body))
        if kind is uuid.UUID:
            return table.to_pandas()["value"].map(uuid.UUID, na_action="ignore").to_frame()
        if kind is list:
            return table.to_pandas()["value"].map(np.ndarray.tolist, na_action="ignore").to_frame()
        if kind is dict:
            return table.to_pandas()["value"].map(_with_lists, na_action="ignore").to_frame()
        return table.to_pandas(timestamp_as_object=kind is datetime.datetime, integer_object_nulls=True)

    return encode, decode


def _with_lists(document: dict[str, Any]) -> dict[str, Any]:
    return {key: item.tolist() if type(item) is np.ndarray else item for key, item in document.items()}


def _is_mixed(value: pd.DataFrame) -> bool:
    """Whether Arrow has no type for a column."""
    return "value" in value and not {str, uuid.UUID}.isdisjoint(map(type, value["value"]))
