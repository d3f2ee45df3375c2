"""Rows as Airflow 3 keeps them: JSON values, which Postgres and HTTP must not change."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.on_airflow.releases.airflow_3.json_column import from_column, to_column
from include.s3_xcom.reference import ObjectInfo, Reference
from include.s3_xcom.row import parse_row
from tests.helpers.same import assert_same

REFERENCE = Reference("xcom", "xcom/dag_id=a/x.json", 7, "e", ObjectInfo("json", "dict", [3]), "0" * 64)
OWN = REFERENCE.to_json().decode()
SCALARS = [
    None,
    True,
    0,
    1.0,
    0.0,
    -2.0,
    1e15,
    0.1,
    1 / 3,
    2**53,
    -(2**53),
    2**53 + 1,
    2**70,
    1.5,
    1e22,
    5e-324,
    -0.0,
    math.inf,
    math.nan,
]
TEXTS = [
    "",
    "a\0b",
    "\ud800",
    "\U0001f600",
    "null",
    "7",
    OWN,
    f"a line\n{OWN}",
    '{"__s3_xcom__',
    "a\n1",
    "\n",
]


def as_stored(value: Any) -> Any:
    """What comes back through HTTP, JSONB, which orders keys anew, and a column of SQLite."""
    text = json.dumps(value).encode().decode()
    assert "\\u0000" not in text.replace("\\\\", "")
    value = json.loads(text, object_pairs_hook=lambda pairs: dict(sorted(pairs)))
    SQLITE.execute(COLUMN.table.delete())
    SQLITE.execute(COLUMN.table.insert().values(value=value))
    return SQLITE.execute(sqlalchemy.select(COLUMN)).scalar()


SQLITE = sqlalchemy.create_engine("sqlite://", future=True).connect()
COLUMN = sqlalchemy.Table("xcom", sqlalchemy.MetaData(), sqlalchemy.Column("value", sqlalchemy.JSON)).c.value
SQLITE.exec_driver_sql("CREATE TABLE xcom (value JSON)")


def pulled(value: Any) -> Any:
    row = codecs.encode_small(value)
    if row is None:  # it goes to S3
        return value
    return tagged_json.loads(parse_row(from_column(as_stored(to_column(row)))).text)


@pytest.mark.parametrize("value", [*SCALARS, *TEXTS], ids=repr)
def test_a_small_value_comes_back(value):
    assert_same(pulled(value), value)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.text().map(lambda text: f"{text}\n{OWN}")))
def test_any_small_value_comes_back(value):
    assert_same(pulled(value), value)


def test_it_is_never_null():
    assert to_column(b"null") is not None


def test_a_reference_has_a_line_for_people_above_it():
    column = to_column(REFERENCE.to_json())
    assert column.splitlines()[0] == "dict (3), 7 bytes, s3://xcom/xcom/dag_id=a/x.json"
    assert parse_row(from_column(as_stored(column))).reference == REFERENCE


def test_a_container_keeps_the_order_of_its_keys():
    value = {"b": 1, "a": {"d": -0.0, "c": 1e22}}
    row = codecs.encode_inline(value)
    migrated = as_stored(json.loads(row))  # a row of Airflow 2, as Airflow's migration makes it
    for column in (as_stored(to_column(row)), migrated):
        found = tagged_json.loads(parse_row(from_column(column)).text)
        assert_same(found, value)
        assert list(found) == ["b", "a"]


@pytest.mark.parametrize("value", ["hello", 7, None, [1], {"a": 1}, {"__classname__": "x"}])
def test_what_others_wrote_is_read_as_theirs(value):
    row = parse_row(from_column(value))
    assert row.parsed == value
    assert row.is_foreign == isinstance(value, (list, dict))
