"""The kinds of values that queries return, each with its floor: the same content through pyarrow or json."""

from __future__ import annotations

import datetime
import json
import random
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.s3_xcom.reference import human_size
from tests.benchmarks import measure as single
from tests.benchmarks.peers import OURS, run

ROWS = 100_000
UTC = datetime.timezone.utc
START = datetime.datetime(2024, 1, 1, tzinfo=UTC)
WINTER, SUMMER = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2))

ROUNDS = 9

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


def _record(i: int) -> dict[str, Any]:
    return {"id": i, "price": _decimal(i), "day": _moment(i).date(), "at": _moment(i), "note": f"text {i}"}


KINDS: dict[str, Callable[[], Any]] = {
    "one row, for what any push and pull takes": lambda: pd.DataFrame({"value": [1]}),
    "query result": lambda: single.query_result(ROWS),
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

    if _is_mixed(value):
        column = value["value"]
        return lambda: json.dumps(column.tolist()).encode(), lambda body: pd.DataFrame(
            {"value": json.loads(body)}
        )
    texts = value["value"].map(str, na_action="ignore").to_frame() if _is_text(value) else value

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
    """Whether a column holds integers and texts, which Arrow has no type for."""
    return "value" in value and {int, str} <= set(map(type, value["value"]))


def _is_text(value: pd.DataFrame) -> bool:
    """Whether a column is text, or what is written as text."""
    return "value" in value and not {str, uuid.UUID}.isdisjoint(map(type, value["value"]))


def with_s3(value: Any, s3: Any) -> single.Pair:
    """The floor with one PUT and one GET."""
    encode, decode = floor(value)
    where = {"Bucket": "xcom", "Key": "floor"}
    return (
        lambda: s3.put_object(Body=encode(), **where),
        lambda: decode(s3.get_object(**where)["Body"].read()),
    )


def measure(env: dict[str, str], directory: Path) -> list[str]:
    """The lines of the table, made by a process of its own."""
    lines = [
        "",
        f"## Kinds of values, {ROWS:,} rows or items each but for the first",
        "",
        "The floor is the same content, as the same Python objects, through pyarrow or json.",
        "",
        "| value | push s | pull s | floor push s | floor pull s | x floor | size | floor size | memory |",
        "|" + " --- |" * 9,
    ]
    for name in KINDS:
        result = json.loads(run([sys.executable, "-m", "tests.benchmarks.kinds", name], env, directory))
        cells = [f"{result[key]:.3f}" for key in ("backend push", "backend pull", "floor push", "floor pull")]
        sizes = [human_size(result[key]) for key in ("size", "floor size")]
        memory = ", ".join(human_size(result[f"{what} memory"]) for what in ("push", "pull"))
        lines.append("| " + " | ".join([name, *cells, f"{result['ratio']:.2f}", *sizes, memory]) + " |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    value = KINDS[sys.argv[1]]()
    result = single.seconds(OURS, value, ROUNDS, with_s3)
    result["floor size"] = len(floor(value)[0]())
    result["size"] = json.loads(single.row_of(OURS, value))["size"]
    result.update(single.memory(OURS, value))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
