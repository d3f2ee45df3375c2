"""Values as tasks return them, for hypothesis."""

from __future__ import annotations

import collections
import datetime
import decimal
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pendulum
import pytz
from dateutil import tz as dateutil_tz
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

OFFSETS = [
    datetime.timezone.utc,
    datetime.timezone(datetime.timedelta(0), "GMT"),
    datetime.timezone(datetime.timedelta(hours=5, minutes=45), "X"),
    dateutil_tz.tzutc(),
    dateutil_tz.tzoffset("X", -5400),
    pendulum.UTC,
    pendulum.timezone(3600),
    pytz.FixedOffset(90),
]
ZONES = [*OFFSETS, zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("America/St_Johns")]
TEXT = st.text(st.characters(), max_size=8)  # lone surrogates and NUL included
DECIMALS = st.decimals(allow_nan=False) | st.sampled_from([decimal.Decimal("NaN"), decimal.Decimal("-0.00")])
TIMES = st.times(timezones=st.none() | st.sampled_from(OFFSETS))
MOMENTS = st.datetimes(timezones=st.none() | st.sampled_from(ZONES), allow_imaginary=True)

CONTENTS = (st.integers(-9, 9), st.floats(), TEXT, DECIMALS, st.dates(), MOMENTS, st.times(), st.uuids())
DOCUMENTS = tuple(
    document
    for content in CONTENTS
    for document in (
        st.lists(content | st.none(), max_size=2),
        st.tuples(content, st.lists(content, max_size=1) | st.none()),
        st.fixed_dictionaries({"a": content | st.none(), "b": st.fixed_dictionaries({"c": content})}),
    )
)
"""Such as arrays and JSON of a database: of one form, one content, and any nesting."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    TEXT,
    st.binary(max_size=8),
    DECIMALS,
    st.fractions(),
    st.dates(),
    TIMES,
    TIMES.map(lambda t: pendulum.Time(t.hour, t.minute, t.second, t.microsecond, t.tzinfo, fold=t.fold)),
    MOMENTS,
    MOMENTS.map(lambda m: m.replace(fold=1)),
    st.timedeltas(),
    st.uuids(),
    st.datetimes().map(lambda m: pendulum.instance(m, tz="Europe/Paris")),
    st.dates().map(lambda d: pendulum.Date(d.year, d.month, d.day)),
    st.sampled_from([pd.NaT, pd.NA, ..., range(3), slice(1, None, -1)]),
    st.integers(-(2**62), 2**62).map(pd.Timedelta),
    st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)).map(pd.Timestamp),
    st.builds(
        lambda ticks, zone: pd.Timestamp(ticks, tz="UTC").tz_convert(zone),
        st.integers(-(2**61), 2**61),
        st.sampled_from(ZONES),
    ),
)

structured = hnp.array_dtypes(hnp.scalar_dtypes(), max_size=3)
np_dtypes = st.one_of(
    hnp.scalar_dtypes(),
    structured,
    structured.map(lambda dtype: np.dtype(dtype.descr, align=True)),
    hnp.byte_string_dtypes(),
)
arrays = np_dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
np_scalars = hnp.scalar_dtypes().flatmap(lambda dtype: hnp.arrays(dtype, ())).map(lambda array: array[()])

hashables = st.recursive(
    scalars.filter(lambda value: not isinstance(value, slice)),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)

HOURLY, MONTHLY = ("h", "ME") if pd.__version__ >= "2.2" else ("H", "M")
FREQS = ["D", HOURLY, MONTHLY, "MS", "W-SUN", "2D", "B"]
RESERVED = st.sampled_from(["__s3_xcom__", "__classname__", "__type", "__var", "value"])


def _column(size: int) -> st.SearchStrategy:
    """A column of a frame with so many rows."""

    def of(elements: st.SearchStrategy, dtype: object = object) -> st.SearchStrategy:
        made = st.lists(elements, min_size=size, max_size=size)
        return made.map(lambda items: pd.Series(_objects(items) if dtype is object else items, dtype=dtype))

    day = st.integers(0, 20_000)
    missing = st.one_of(st.none(), st.just(np.nan), st.just(pd.NA), st.just(pd.NaT))
    integers = st.integers(-(2**31), 2**31 - 1)
    return st.one_of(
        hnp.arrays(hnp.integer_dtypes() | hnp.boolean_dtypes() | hnp.unsigned_integer_dtypes(), size).map(
            pd.Series
        ),
        hnp.arrays(
            hnp.floating_dtypes(sizes=(16, 32, 64)) | hnp.complex_number_dtypes(sizes=(64, 128)), size
        ).map(pd.Series),
        of(integers | st.none(), "Int64"),
        of(st.integers(0, 255) | st.none(), "UInt8"),
        of(st.floats(width=32, allow_nan=False) | st.none(), "Float32"),
        of(st.booleans() | st.none(), "boolean"),
        of(st.text(max_size=4).filter(lambda t: t.isprintable()) | st.none(), "string"),
        of(st.text("abc", max_size=2) | st.none(), pd.CategoricalDtype()),
        of(st.integers(0, 3) | st.none(), pd.CategoricalDtype([3, 2, 1, 0], ordered=True)),
        of(day | st.none(), "datetime64[ns]"),
        of(day, "timedelta64[ns]"),
        st.sampled_from(ZONES).flatmap(lambda zone: of(day, pd.DatetimeTZDtype("ns", zone))),
        of(day).map(
            lambda s: pd.Series(pd.PeriodIndex([pd.Period(ordinal=n, freq="M") for n in s], freq="M"))
        ),
        st.builds(
            _sparse,
            of(st.integers(0, 2)),
            st.sampled_from(["i8", "f8", "u1", "f2", "c16", "?", "O"]),
            st.sampled_from([0, 0.0, np.float64(0), 1]),
        ),
        of(st.sampled_from(["x", "y"])).map(lambda s: pd.Series(pd.arrays.SparseArray(s, fill_value="x"))),
        of(day).map(lambda s: pd.Series(pd.Categorical(pd.date_range("2020", periods=len(s), freq="2D")))),
        of(day).map(lambda s: pd.Series(pd.IntervalIndex.from_arrays(s.astype("i8"), s.astype("i8") + 1))),
        *(
            of(kind | missing)
            for kind in (TEXT, integers, st.integers(), st.floats(), st.booleans(), DECIMALS)
        ),
        *(
            of(kind | st.none())
            for kind in (st.dates(), MOMENTS, st.uuids(), st.binary(max_size=4), st.times(), *DOCUMENTS)
        ),
        of(st.lists(integers, max_size=2) | st.dictionaries(TEXT, integers, max_size=2)),
        of(scalars),
    )


def _objects(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def _index(size: int) -> st.SearchStrategy:
    name = st.none() | TEXT | st.integers(0, 3) | st.tuples(st.integers(0, 1), TEXT)
    one = st.one_of(
        st.builds(
            lambda start, step: pd.RangeIndex(start, start + size * step, step),
            st.integers(0, 5),
            st.integers(1, 3),
        ),
        hnp.arrays(hnp.integer_dtypes(sizes=(64,), endianness="="), size).map(pd.Index),
        st.lists(TEXT, min_size=size, max_size=size).map(
            lambda items: pd.Index(_objects(items), dtype=object)
        ),
        st.sampled_from(FREQS).map(lambda freq: pd.date_range("2020-01-01", periods=size, freq=freq)),
        st.just(pd.timedelta_range("1h", periods=size, freq=HOURLY)),
        st.just(pd.period_range("2020", periods=size, freq="Q")),
        st.just(pd.CategoricalIndex(["a"] * size, categories=["b", "a"])),
        _column(size).map(_index_of),
    )
    named = st.builds(lambda index, name: index.rename(name), one, name)
    multi = st.builds(_multi_index, named, named)
    codes = st.lists(st.integers(-1, 1), min_size=size, max_size=size)
    return named | multi | st.builds(_index_of_levels, _column(2), codes, codes)


def _index_of_levels(values: pd.Series, codes: list[int], others: list[int]) -> pd.MultiIndex:
    """Two levels, of which labels may be missing, values unused, and the order any."""
    try:
        return pd.MultiIndex([_index_of(values), ["b", "a"]], [codes, others], names=[None, "other"])
    except (TypeError, ValueError):  # equal values, or such as are not hashable
        reject()


def _sparse(items: pd.Series, dtype: str, fill: Any) -> pd.Series:
    try:
        return pd.Series(pd.arrays.SparseArray(items.astype(dtype), fill_value=fill))
    except ValueError:  # pandas 3 takes no fill value of another type
        reject()


def _index_of(values: pd.Series) -> pd.Index:
    if isinstance(values.dtype, pd.SparseDtype):  # pandas 1.5 makes it dense
        reject()
    try:
        return pd.Index(values.array, dtype=values.dtype)
    except NotImplementedError:  # pandas 2 has no index of half floats
        reject()


def _multi_index(one: pd.Index, other: pd.Index) -> pd.MultiIndex:
    try:
        return pd.MultiIndex.from_arrays([one, other], names=[one.name, other.name])
    except decimal.InvalidOperation:  # pandas sorts them, and there is no order with a signaling NaN
        reject()
    except (TypeError, ValueError):  # pandas sorts the levels, which not all values let it do
        reject()


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows, width = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    series = [draw(_column(rows)) for _ in range(width)]
    frame = pd.DataFrame(dict(enumerate(series)), index=None if series else pd.RangeIndex(rows))
    frame.index = draw(_index(rows))
    labels = draw(st.none() | _index(width))
    if labels is not None:
        frame.columns = labels
    frame.attrs = draw(st.just({}) | st.dictionaries(TEXT, scalars, max_size=1))
    return frame


@st.composite
def series(draw: st.DrawFn) -> pd.Series:
    size = draw(st.integers(0, 5))
    made = draw(_column(size))
    made.index = draw(_index(size))
    made.name = draw(st.none() | hashables.filter(lambda value: value is not pd.NA and value == value))
    return made


data = st.one_of(arrays, np_scalars, np_dtypes, frames(), series(), st.integers(0, 4).flatmap(_index))

values = st.recursive(
    scalars | data,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(TEXT | RESERVED, inner, max_size=3),
        st.dictionaries(hashables, inner, max_size=3),
        st.dictionaries(TEXT, inner, max_size=2).map(collections.OrderedDict),
        st.dictionaries(TEXT, inner, max_size=2).map(lambda items: collections.defaultdict(list, items)),
        st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 5)),
        st.sets(hashables, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(_objects),
    ),
    max_leaves=6,
)
