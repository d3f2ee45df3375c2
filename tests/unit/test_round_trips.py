"""What is encoded comes back equal, in type and content."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import io
import math
import pathlib
import uuid
import zoneinfo

import duckdb
import numpy as np
import pandas as pd
import pendulum
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytz
from pandas.testing import assert_frame_equal, assert_series_equal

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from tests.helpers.same import assert_same, round_trip

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


PLAIN = [
    {},
    [],
    {"a": 1, "b": [None, True, 1.5, "ü", {"c": []}]},
    [1, -1, 2**63, 10**4000],
    {"": "empty key", "ключ": "non-ASCII"},
]

TAGGED = [
    (),
    (1, (2, [3])),
    {1, 2},
    frozenset({("a", 1)}),
    {1: "int", (2, 3): "tuple", None: "none"},
    {"__s3_xcom__": "reference", "bucket": "theirs"},
    {"__classname__": "x", "__version__": 1, "__data__": {}},
    {"__type": "dict", "__var": {}, "__source": "x"},
    [{"__s3_xcom__": {"__s3_xcom__": "tuple", "value": []}}],
    math.inf,
    -math.inf,
    2**20000,
    3 + 4j,
    "lone surrogate \ud800",
    {"key \udfff": "\ud83d\ude00"},
    "nul \0 and a pair \U0001f600",
    b"\x00\xff",
    bytearray(b"xyz"),
    range(1, 10, 2),
    slice(None, 5),
    dt.datetime(2020, 2, 29, 12, 30, 1, 5),
    dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
    dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30), "NST")),
    pytz.timezone("Europe/Berlin").localize(dt.datetime(2020, 7, 1)),
    pendulum.datetime(2020, 7, 1, tz="Europe/Berlin"),
    dt.date(1, 1, 1),
    dt.time(23, 59, 59, 999999),
    dt.timedelta(days=-1, microseconds=1),
    decimal.Decimal("1.10"),
    decimal.Decimal("-0E+3"),
    decimal.Decimal("Infinity"),
    fractions.Fraction(-1, 3),
    uuid.UUID(int=5),
    collections.OrderedDict(b=1, a=2),
    collections.Counter("abca"),
    collections.defaultdict(list, {"a": [1]}),
    collections.deque([1, 2], maxlen=5),
]


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_json_values_are_stored_as_plain_json(value):
    encoded = codecs.encode(value)
    assert encoded.codec == "json"
    assert_same(round_trip(value), value)


@pytest.mark.parametrize("value", TAGGED, ids=lambda value: type(value).__name__)
def test_other_values_come_back_with_their_types(value):
    assert_same(round_trip([value])[0], value)
    assert_same(round_trip({"k": (value,)})["k"][0], value)


def test_nan_and_negative_zero_come_back():
    nan, zero = round_trip([math.nan, -0.0])
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1


def test_strings_are_stored_as_text():
    encoded = codecs.encode("ä" * 5000)
    assert (encoded.codec, encoded.suffix) == ("text", ".txt")
    assert bytes(encoded.body).decode() == "ä" * 5000


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "short", dt.date(2020, 1, 1), decimal.Decimal("1.5")])
def test_small_scalars_stay_in_the_database(value):
    assert_same(tagged_json.loads(codecs.encode_small(value)), value)


@pytest.mark.parametrize(
    "value", [[], {}, (), b"", "x" * 2000, 2**10000], ids=lambda value: type(value).__name__
)
def test_containers_bytes_and_long_scalars_do_not(value):
    assert codecs.encode_small(value) is None


def frame_of_many_types() -> pd.DataFrame:
    moments = pd.DatetimeIndex(["2020-01-01T00:00:00.000000000", "2020-01-02T00:00:00.000000001", None])
    utc = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    frame = pd.DataFrame(
        {
            "int": [1, 2, 3],
            "int8": np.array([1, -2, 3], "i1"),
            "big endian": np.array([1, 2, 3], ">i4"),
            "uint64": np.array([1, 2, 2**64 - 1], "u8"),
            "float": [1.5, np.nan, -0.0],
            "float16": np.array([1, 2, 3], "f2"),
            "complex": np.array([1j, 2, 3]),
            "bool": [True, False, True],
            "text": ["a", None, "c"],
            "text nan": ["a", np.nan, "c"],
            "moment": moments,
            "zoned": moments.tz_localize("Europe/Berlin"),
            "zoned utc": moments.tz_localize(dt.timezone.utc),
            "duration": pd.to_timedelta([1, 2, None]),
            "Int8": pd.array([1, None, 3], dtype="Int8"),
            "Float64": pd.array([1.5, None, 3], dtype="Float64"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["a", None, "b"], dtype="string"),
            "string arrow": pd.array(["a", None, "b"], dtype="string[pyarrow]"),
            "category": pd.Categorical(["x", "y", None], categories=["z", "y", "x"], ordered=True),
            "category int": pd.Categorical([1, 2, None], categories=[3, 2, 1]),
            "period": pd.period_range("2020-01", periods=3, freq="M"),
            "interval": pd.interval_range(0, 3),
            "sparse": pd.arrays.SparseArray([0, 0, 1]),
            "decimal": [decimal.Decimal("1.10"), None, decimal.Decimal("2.20")],
            "decimals": [decimal.Decimal("1.1"), None, decimal.Decimal("2.20")],
            "date": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 3)],
            "uuid": [uuid.UUID(int=1), None, uuid.UUID(int=2)],
            "mixed": [1, "a", None],
            "none and nan": [None, np.nan, 1],
            "lists": [[1, 2], [3, 4], [5, 6]],
            "dicts": [{"a": 1}, {}, None],
            "bytes": [b"a", None, b""],
            "aware": [utc, None, utc],
            "none": [None] * 3,
            "ints and none": [1, None, 3],
        },
        index=pd.date_range("2020-01-01", periods=3, freq="D", name="when"),
    )
    frame["aware"] = pd.Series([utc, None, utc], dtype=object, index=frame.index)
    frame["ints and none"] = pd.Series([1, None, 3], dtype=object, index=frame.index)
    frame.attrs = {"source": ("a", 1)}
    return frame


def test_frames_come_back_with_dtypes_index_and_attrs():
    frame = frame_of_many_types()
    actual = round_trip(frame)
    assert_frame_equal(actual, frame, check_exact=True, check_freq=True)
    assert list(map(str, actual.dtypes)) == list(map(str, frame.dtypes))
    for column in frame:
        assert list(map(type, actual[column])) == list(map(type, frame[column]))
        assert repr(list(actual[column])) == repr(list(frame[column]))
    assert actual.attrs == frame.attrs


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame({"a": [1]}, index=pd.RangeIndex(5, 7, 2, name="step")),
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["n", None])),
        pd.DataFrame([[1, 2]], columns=["same", "same"]),
        pd.DataFrame([[1, 2]], columns=[0, "0"]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        pd.DataFrame({"when": [1]}, index=pd.Index([2], name="when")),
        pd.DataFrame([[1]], columns=pd.Index([dt.date(2020, 1, 1)], name="day")),
    ],
    ids=["empty", "no rows", "no columns", "range", "multi", "same", "mixed", "tuples", "clash", "dates"],
)
def test_indexes_and_labels_come_back(frame):
    actual = round_trip(frame)
    assert_frame_equal(actual, frame, check_exact=True, check_index_type="exact", check_column_type="exact")
    assert type(actual.index) is type(frame.index)


RANGES = pd.MultiIndex.from_product([pd.RangeIndex(5), pd.RangeIndex(3)], names=["a", None])


@pytest.mark.parametrize("index", [RANGES[[0, 4]], RANGES[:3], RANGES[[4]], RANGES[:0], RANGES])
def test_an_index_whose_levels_are_ranges_comes_back(index):
    for value in (index, pd.DataFrame(index=index), pd.Series(1, index), pd.DataFrame({"x": 1}, index)):
        assert_same(round_trip(value), value)


LEVELS = {
    "integers beyond floats": pd.Index([2**53 + 1, 5, -7]),
    "unsigned": pd.Index(np.array([2**64 - 1, 1], "u8")),
    "booleans": pd.Index([True, False]),
    "floats": pd.Index([1.5, -2.0]),
    "texts": pd.Index(["b", "a"]),
    "dates": pd.DatetimeIndex(["2020-01-02", "2019-01-01"]),
    "dates in a zone": pd.DatetimeIndex(["2020-01-02", "2019-01-01"], tz="Europe/Rome"),
    "spans": pd.to_timedelta([5, 1]),
    "periods": pd.PeriodIndex(["2020-01", "2019-01"], freq="M"),
    "intervals": pd.IntervalIndex.from_breaks([0, 1, 2]),
    "categories": pd.CategoricalIndex(["x", "y"], categories=["y", "x", "z"], ordered=True),
    "Int64": pd.Index(pd.array([2**60 + 1, 3], dtype="Int64")),
    "range": pd.RangeIndex(5, 1, -2),
    "Decimals": pd.Index([decimal.Decimal("1.10"), decimal.Decimal("2")], dtype=object),
    "anything": pd.Index([1, "a", (1, 2)], dtype=object, tupleize_cols=False),
    "tuples with NaN": pd.Index([(1, float("nan")), (2,)], dtype=object, tupleize_cols=False),
}


@pytest.mark.parametrize("codes", [[0, -1, 1], [1, 0, 1], [-1, -1, -1], [1, 1, 1], []], ids=str)
@pytest.mark.parametrize("name", LEVELS)
def test_levels_and_codes_come_back_also_where_labels_are_missing(name, codes):
    index = pd.MultiIndex([LEVELS[name], ["u", "v"]], [codes, [0, 1, 0][: len(codes)]], names=["n", None])
    numbers = list(range(len(index)))
    for value in (
        index,
        pd.DataFrame({"x": numbers}, index=index),
        pd.Series(numbers, index=index, dtype="int64"),
        pd.DataFrame([numbers], columns=index),
    ):
        assert_same(round_trip(value), value)


@pytest.mark.parametrize("order", ["sorted", "as they come", "any", "with some unused", "with many unused"])
def test_long_levels_and_their_codes_come_back(order):
    chance = np.random.default_rng(0)
    numbers = chance.permutation(5000) + 2**60
    rows = {"with some unused": 4500, "with many unused": 100}.get(order, 5000)
    codes = np.append(chance.permutation(5000)[:rows], -1)
    if order == "as they come":
        codes = np.append(np.arange(5000), -1)
    index = pd.MultiIndex(
        [pd.Index(np.sort(numbers) if order == "sorted" else numbers), ["a"]], [codes, [0] * len(codes)]
    )
    again = round_trip(pd.DataFrame(index=index)).index
    assert [level.dtype for level in again.levels] == [level.dtype for level in index.levels]
    assert again.equals(index)
    if order == "with many unused":
        assert len(again.levels[0]) == 100
    else:
        assert_same(again, index)


def test_a_level_that_has_a_value_twice_is_refused():
    index = pd.MultiIndex([[1, 1], ["a"]], [[0, 1], [0, 0]], verify_integrity=False)
    with pytest.raises(UnsupportedValueError, match=r"at value\['index'\], a level of it has a value twice"):
        codecs.encode(pd.DataFrame(index=index))


def test_levels_named_by_numbers_keep_their_places():
    index = pd.MultiIndex.from_arrays([["a", "b"], [1, 2]], names=[1, 0])
    actual = round_trip(pd.DataFrame({"x": [1, 2]}, index=index)).index
    assert actual.names == [1, 0]
    assert list(actual) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "labels",
    [
        [float("nan"), (decimal.Decimal("NaN"), None), (decimal.Decimal("NaN"), None)],
        [(decimal.Decimal("NaN"), 1), (decimal.Decimal("1"), 1), (decimal.Decimal("2"), 1)],
        [decimal.Decimal("NaN"), decimal.Decimal("1"), None],
    ],
    ids=repr,
)
def test_levels_that_cannot_be_sorted_come_back(labels):
    values = np.empty(3, dtype=object)
    values[:] = labels
    level = pd.Index(values, dtype=object, tupleize_cols=False)
    index = pd.MultiIndex([pd.RangeIndex(3), level], [range(3)] * 2, names=["n", "label"])
    again = round_trip(pd.DataFrame({"x": [1, 2, 3]}, index=index)).index
    assert again.names == index.names
    assert repr(again.tolist()) == repr(index.tolist())


def test_series_come_back():
    series = pd.Series([1, 2], index=["a", "b"], name=("a", 1), dtype="Int64")
    assert_series_equal(round_trip(series), series, check_exact=True)


def test_frames_are_parquet_that_pandas_reads(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pd.RangeIndex(3, 7, 2))
    (tmp_path / "frame.parquet").write_bytes(codecs.encode(frame).body)
    assert_frame_equal(pd.read_parquet(tmp_path / "frame.parquet"), frame)


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize(
    "column",
    [
        *(
            np.array([1, 0, 1], dtype)
            for dtype in ("?", "i1", "i8", "u1", "u8", "f4", "f8", "M8[ns]", "m8[ns]")
        ),
        *(
            pd.Series(values, dtype=object)
            for values in (
                ["a", None, "b"],
                [1, None, 2],
                [True, False, None],
                [1.5, None, float("nan")],
                [b"a", None, b""],
                [dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)],
                [decimal.Decimal("1.50"), None, decimal.Decimal("2.25")],
                [[1], None, [2, 3]],
                [1, "a", None],
                [None, None, None],
            )
        ),
        pd.Series(["a", "b", "a"], dtype="category"),
        pd.Series([1, None, 2], dtype="Int64"),
    ],
    ids=repr,
)
def test_pandas_reads_them_as_if_it_had_written_them(column, rows):
    frame = pd.DataFrame({"value": column})[:rows]
    body = io.BytesIO(codecs.encode(frame).body)
    stored = pq.read_table(body)
    written = pa.Schema.from_pandas(frame[:0]).metadata
    expected = stored.replace_schema_metadata(written).to_pandas()
    assert_frame_equal(pd.read_parquet(body), expected)


def test_pandas_reads_their_attrs_as_if_it_had_written_them():
    frame = pd.DataFrame({"value": [1, 2]})
    frame.attrs["source"] = "query"
    body = io.BytesIO(codecs.encode(frame).body)
    written = pa.Table.from_pandas(frame).to_pandas()
    assert pd.read_parquet(body).attrs == written.attrs


def cycle() -> list:
    value: list = [1]
    value.append({"me": value})
    return value


def deep() -> list:
    value: list = []
    for _ in range(5000):
        value = [value]
    return value


class TextSubclass(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ([1, {"f": print}], r"at value\[1\]\['f'\], a builtin_function"),
        ((n for n in ()), "list"),
        (pathlib.Path("x"), "File"),
        ([TextSubclass("x")], "plain str"),
        (cycle(), "holds itself"),
        (deep(), "deep"),
        (pd.DataFrame({"a": [1, print]}), r"\['a'\]\[1\]"),
        (pd.DataFrame({"a": np.array([1], dtype="longdouble")}), "astype"),
    ],
    ids=["function", "generator", "path", "subclass", "cycle", "deep", "cell", "longdouble"],
)
def test_what_cannot_be_kept_is_refused_with_advice(value, hint):
    with pytest.raises(UnsupportedValueError, match=hint):
        codecs.encode(value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"NaN",
        b"[" * 100_000,
        b'{"__s3_xcom__": "os.system", "value": "x"}',
        b'{"__s3_xcom__": "set", "value": [[]]}',
        b'{"__s3_xcom__": "bytes", "value": "?"}',
        b'{"__s3_xcom__": ["tuple"], "value": []}',
        b'{"__s3_xcom__": "datetime", "value": "today"}',
        b'{"__s3_xcom__": "datetime", "value": "2020-01-01", "tz": {"library": "os", "name": "x"}}',
        b'{"__s3_xcom__": "range", "value": [1, 2, 0]}',
        b"\xff",
    ],
)
def test_malformed_text_is_a_format_error(text):
    with pytest.raises(FormatError):
        codecs.decode("tagged", text)


@pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1" * 100])
def test_malformed_parquet_is_a_format_error(body):
    with pytest.raises(FormatError):
        codecs.decode("parquet", body)


def test_an_unknown_codec_is_a_format_error():
    with pytest.raises(FormatError, match="newer"):
        codecs.decode("pickle", b"")


def test_parquet_that_claims_more_rows_than_were_pushed_is_refused_unread():
    body = bytes(codecs.encode(pd.DataFrame({"a": np.zeros(1_000_000)})).body)
    assert len(codecs.decode("parquet", body, rows=1_000_000)) == 1_000_000
    with pytest.raises(FormatError, match="more rows"):
        codecs.decode("parquet", body, rows=40)


def test_frames_are_parquet_that_duckdb_reads(tmp_path):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], "Int64"),
            "place": pd.Categorical(["x", None]),
            "price": [decimal.Decimal("1.10"), None],
            "moment": pd.DatetimeIndex(["2020-01-01", None]),
            "x": [0.5, np.nan],
        },
        index=pd.Index(["a", "b"], name="id"),
    )
    path = tmp_path / "frame.parquet"
    path.write_bytes(codecs.encode(frame).body)
    found = duckdb.sql(f"SELECT id, n, place, price, moment, x FROM '{path}'").fetchall()
    moment = dt.datetime(2020, 1, 1)
    assert found == [
        ("a", 1, "x", decimal.Decimal("1.10"), moment, 0.5),
        ("b", None, None, None, None, None),
    ]


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2026-03-27", periods=5, freq="D", tz="UTC").tz_convert("Europe/Rome"),
        pd.date_range("2026-03-27", periods=5, freq="D", tz="Europe/Rome").tz_convert("UTC"),
        pd.date_range("2026-01-01", periods=5, freq="W", tz="UTC").tz_convert("America/New_York"),
        pd.date_range("2026-01-01", periods=3, freq=pd.offsets.BDay(offset=dt.timedelta(hours=2))),
    ],
    ids=["days in another zone", "days in UTC", "weeks in another zone", "business days and hours"],
)
def test_a_freq_that_does_not_fit_is_kept(index):
    """pandas keeps it through tz_convert(), before 3."""
    frame = pd.DataFrame({"a": range(len(index))}, index=index)
    assert_frame_equal(round_trip(frame), frame, check_exact=True, check_freq=True)
    categories = pd.Series(pd.Categorical(index))
    assert round_trip(categories).cat.categories.freq == categories.cat.categories.freq


@pytest.mark.parametrize("offset", [pd.DateOffset(months=1), pd.DateOffset(2), pd.offsets.Easter()])
def test_a_freq_without_a_name_is_refused_in_words(offset):
    index = pd.date_range("2026-01-01", periods=3, freq=offset)
    with pytest.raises(UnsupportedValueError, match=r"Set index\.freq = None first"):
        round_trip(pd.DataFrame({"a": range(3)}, index=index))
