"""Values that libraries show as others than they are: equal when they come back, or refused."""

from __future__ import annotations

import datetime
import zoneinfo

import dateutil.tz
import numpy as np
import pandas as pd
import pytest

from include.s3_xcom import batches, codecs, rows
from include.s3_xcom.codecs.parquet.indexes import unique_names
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.same import assert_same, round_trip


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.date_range("2020", periods=2, freq="D").array,
        lambda: pd.date_range("2020", periods=2, tz="Europe/Rome").array,
        lambda: pd.Series(pd.to_datetime(["2020-01-01", None])).array,
        lambda: pd.to_timedelta([1, None]).array,
        lambda: pd.timedelta_range("1h", periods=2, freq="D").array,
        lambda: pd.Series([1, 2]).array,
        lambda: pd.Series(["a", None], dtype=object).array,
    ],
    ids=range(7),
)
def test_pandas_own_arrays_come_back(make):
    actual, expected = round_trip(make()), make()
    assert_same(actual, expected)
    assert getattr(actual, "freq", None) == getattr(expected, "freq", None)


@pytest.mark.parametrize(
    "kind", [np.longlong, np.ulonglong, np.int64, np.intc], ids=lambda kind: kind.__name__
)
def test_scalars_of_numpy_keep_their_type_also_where_another_has_the_same_dtype(kind):
    for value in (kind(5), [kind(5)] * 20, pd.Series([kind(5), None], dtype=object).tolist()):
        assert_same(round_trip([value])[0], value)


RECORDS = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray)
WITHIN = np.dtype([("r", np.dtype((np.record, [("a", "i4")])), 2)])


@pytest.mark.parametrize(
    "value", [RECORDS, RECORDS[0], RECORDS.dtype, np.zeros(1, RECORDS.dtype), np.zeros(1, WITHIN)], ids=str
)
def test_records_which_files_of_numpy_do_not_tell_are_refused(value):
    with pytest.raises(UnsupportedValueError):
        codecs.encode(value)
    with pytest.raises(UnsupportedValueError):
        codecs.encode([value])


def test_fields_that_overlap_are_refused():
    dtype = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2], "itemsize": 8})
    with pytest.raises(UnsupportedValueError, match="cannot be kept"):
        codecs.encode(np.zeros(2, dtype))


def test_a_zone_of_a_file_is_refused_whatever_key_it_was_given():
    path = zoneinfo.TZPATH[0] + "/Europe/Rome"
    with open(path, "rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file, key="Asia/Tokyo")
    for value in (zone, datetime.datetime(2020, 1, 1, tzinfo=zone), [datetime.time(1, tzinfo=zone)] * 20):
        with pytest.raises(UnsupportedValueError, match="zone"):
            codecs.encode([value])
    assert_same(round_trip([zoneinfo.ZoneInfo.no_cache("Europe/Rome")])[0].key, "Europe/Rome")


@pytest.mark.parametrize("seconds", [0.5, -0.000001, 3600, 3600.25])
def test_an_offset_of_dateutil_keeps_its_fraction(seconds):
    zone = dateutil.tz.tzoffset(None, seconds)
    moment = datetime.datetime(2020, 1, 1, tzinfo=zone)
    for value in ([moment], [moment] * 20, [datetime.time(1, tzinfo=zone)]):
        again = round_trip(value)
        assert [item.utcoffset() for item in again] == [zone.utcoffset(None)] * len(value)


class Frame(pd.DataFrame):
    """A subclass, such as a GeoDataFrame."""


class Column(pd.Series):
    pass


def test_subclasses_of_frames_are_refused():
    frame = Frame({"a": [1]})
    for value in (frame, Column([1]), [frame]):
        with pytest.raises(UnsupportedValueError):
            codecs.encode(value)
    for make in (rows, lambda frame: batches(frame, 1)):
        with pytest.raises(TypeError, match="not a Frame"):
            make(frame)


LONE = "\ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.Series([1], name=LONE),
        lambda: pd.DataFrame([[1, 2]], columns=pd.Index([LONE, "b"], dtype=object)),
        lambda: pd.DataFrame({"a": [1]}, index=pd.Index([1], name=LONE)),
        lambda: pd.Series(pd.Categorical.from_codes([0, 1], pd.Index([LONE, "b"], dtype=object))),
        lambda: pd.Series(
            pd.Categorical.from_codes([0, 1], pd.Index([("a",), 1], dtype=object, tupleize_cols=False))
        ),
        lambda: pd.MultiIndex.from_arrays(
            [pd.Index([(1, 2), (3, 4)], tupleize_cols=False, dtype=object), [1, 2]]
        ),
    ],
    ids=[
        "name",
        "label",
        "name of index",
        "category",
        "category that pandas cannot hash",
        "tuples as labels",
    ],
)
def test_odd_labels_and_categories_come_back(make):
    assert_same(round_trip(make()), make())


def test_a_text_that_arrow_cannot_hold_is_refused_by_its_column():
    frame = pd.DataFrame({"a": pd.array([LONE], dtype=pd.StringDtype("python"))})
    with pytest.raises(UnsupportedValueError, match=r"at value\['a'\], its dtype string holds what Arrow"):
        codecs.encode(frame)


def test_thousands_of_equal_labels_cost_no_more_than_others():
    labels = ["same"] * 5000 + ["same.3"]
    names = unique_names(labels)
    assert len(set(names)) == len(labels)
    assert names[:3] == ["same", "same.1", "same.2"]
    frame = pd.DataFrame([range(len(labels))], columns=labels)
    assert_same(round_trip(frame), frame)
