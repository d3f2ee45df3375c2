"""Every kind of value of docs/types.md."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions

import numpy as np
import pandas as pd
import pendulum
import pytest
from psycopg2.extras import NumericRange

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from tests.helpers import kinds
from tests.helpers.same import assert_same, round_trip

KEPT = {
    name: make for group, makes in kinds.KINDS.items() for name, make in makes.items() if group != "Refused"
}
CLASSES = next(makes for group, makes in kinds.KINDS.items() if group.startswith("Classes"))


@pytest.fixture(autouse=True)
def admit(monkeypatch):
    classes = "airflow.* tests.helpers.kinds.*"
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", classes)


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal(name):
    assert_same(round_trip(KEPT[name]()), KEPT[name]())


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal_from_within_containers(name):
    value = {"k": [(KEPT[name](), 1)]}
    assert_same(round_trip(value), {"k": [(KEPT[name](), 1)]})


@pytest.mark.parametrize("name", KEPT)
def test_many_come_back_equal(name):
    parts = KEPT[name]()
    for part in parts if type(parts) is list else [parts]:
        for values in ([part] * 20, [None, *[part] * 20], [*[part] * 20, 5]):
            assert_same(round_trip(values), values)


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal_from_the_database_if_it_stays_there(name):
    row = codecs.encode_small(KEPT[name]())
    if row is not None:
        assert_same(tagged_json.loads(row), KEPT[name]())


@pytest.mark.parametrize("name", kinds.KINDS["Refused"])
def test_it_is_refused(name):
    value = kinds.KINDS["Refused"][name]()
    for pushed in (value, {"k": [value]}):
        with pytest.raises(UnsupportedValueError):
            codecs.encode(pushed)


@pytest.mark.parametrize("name", kinds.KINDS["Refused"])
def test_one_among_many_is_refused_by_its_place(name):
    plain = {"datetime with a zone of dateutil's files": dt.datetime(2020, 7, 1)}.get(name, 1)
    with pytest.raises(UnsupportedValueError, match=r"at value\[19\]"):
        codecs.encode([*[plain] * 19, kinds.KINDS["Refused"][name]()])


@pytest.mark.parametrize(
    "value",
    [
        dt.timedelta(1),
        pd.Timestamp("2020-01-01", tz="Europe/Berlin"),
        pendulum.datetime(2020, 7, 1, tz="Europe/Berlin"),
        dt.datetime(2020, 7, 1, tzinfo=kinds.BERLIN),
        kinds.Order(1, []),
        kinds.Point(1, 2),
        kinds.Access.READ,
        NumericRange(1, 5),
        fractions.Fraction(1, 3),
        bytearray(b"x"),
        1j,
        float("nan"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_many_share_stands_once(value):
    body = bytes(codecs.encode([value, *[value] * 99, None]).body)
    assert body.count(b"__s3_xcom__") == 1


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_rebuilt_only_where_airflow_admits_them(name, monkeypatch):
    encoded = codecs.encode(CLASSES[name]())
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", "airflow.*")
    with pytest.raises(FormatError, match="allowed_deserialization_classes"):
        codecs.decode(encoded.codec, bytes(encoded.body))
    with pytest.raises(UnsupportedValueError, match="allowed_deserialization_classes"):
        codecs.encode(CLASSES[name]())


def _nans(count: int) -> list[float]:
    return [float("nan") for _ in range(count)]


@pytest.mark.parametrize(
    "value",
    [
        dict.fromkeys(_nans(2)),
        dict.fromkeys(_nans(200), 1),
        {(nan, 1): 1 for nan in _nans(200)},
        set(_nans(200)),
        frozenset(_nans(2)),
        {"a": set(_nans(100)), "b": [set(_nans(2)), {1.5, *_nans(2)}]},
        collections.Counter(_nans(200)),
        collections.OrderedDict.fromkeys(_nans(200)),
        dict.fromkeys(map(np.float64, _nans(200))),
        dict.fromkeys(complex(nan, 0) for nan in _nans(200)),
        set(map(np.float32, _nans(200))),
        [dict.fromkeys(_nans(2))] * 100,
        dict.fromkeys(map(decimal.Decimal, ["nan"] * 200)),
        np.array([dict.fromkeys(_nans(2))] * 3, dtype=object),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nans_stay_as_many_as_they_were(value):
    """As keys they are equal only where they are the same object."""
    pulled = round_trip(value)
    assert type(pulled) is type(value)
    if isinstance(value, collections.Counter):  # which compares by its keys
        pulled, value = list(pulled.items()), list(value.items())
    assert_same(pulled, value)


def test_the_page_of_types_is_up_to_date():
    assert kinds.PAGE.read_text() == kinds.page(), "run make docs"
