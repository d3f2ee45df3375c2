"""Rows as the JSON values that Airflow 3 keeps in its column.

Booleans, ordinary numbers and strings stay as they are in JSON. Anything else is text. A reference is a line
for people and the row below it, which the UI and the REST API show without asking the backend::

    rows (5 x 11), 13.5 KiB, s3://xcom/xcom/dag_id=TestDag/...
    {"__s3_xcom__": "reference", "version": 1, ...}

It is text because Postgres keeps neither the order of a JSON object's keys, nor the sign of -0.0, nor "\\0".
It is never null, which Airflow 3.0 refuses. An object with the reserved key is a row of Airflow 2 in a
database that was migrated.
"""

from __future__ import annotations

import json
import math
from typing import Any

from include.s3_xcom.reference import RESERVED, is_reference, parse_reference
from include.s3_xcom.row import is_kept_number

_START = f'{{"{RESERVED}"'

_EXACT = 2**53
"""Largest integer that every reader of JSON keeps exactly."""


def to_column(row: bytes) -> Any:
    """Return a row as a JSON value."""
    text = row.decode()
    parsed = json.loads(text)
    if _is_kept(parsed):
        return parsed
    if not isinstance(parsed, dict):
        return f'{_START}:"value","value":{text}}}'
    return f"{parse_reference(parsed)}\n{text}" if is_reference(parsed) else text


def from_column(value: Any) -> bytes:
    """Return the row in the column's content. Inverse of :func:`to_column`.

    Values of other backends become JSON, too; :class:`include.s3_xcom.row.Row` recognises them.
    """
    own = _own_text(value) if type(value) is str else None
    return (json.dumps(value) if own is None else own).encode()


def _own_text(text: str) -> str | None:
    """Return the row in a text; None if the text is a plain string."""
    if text.startswith(_START):
        return text
    row = text.partition("\n")[2]
    return row if row.startswith(_START) else None


def _is_kept(value: Any) -> bool:
    """Return whether the column gives a scalar back as it is."""
    if type(value) is bool:
        return True
    if type(value) is int:
        return abs(value) <= _EXACT
    if type(value) is float:
        return math.isfinite(value) and is_kept_number(value)
    return type(value) is str and "\0" not in value and _own_text(value) is None
