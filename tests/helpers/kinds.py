"""One value of each kind that tasks return: what the tests push and pull, and docs/types.md is made of."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import pathlib
import re
import sys
import typing
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attr
import dateutil.tz
import numpy as np
import pandas as pd
import pendulum
import polars
import pyarrow as pa
import pytz
from psycopg2.extras import DateRange, NumericRange

from include.s3_xcom import codecs
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.same import assert_same

PAGE = Path(__file__).resolve().parents[2] / "docs/types.md"
GMT = dt.timezone(dt.timedelta(0), "GMT")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Color(enum.Enum):
    RED = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(typing.NamedTuple):
    x: int
    y: Any


@dataclasses.dataclass
class Order:
    number: int
    lines: list = dataclasses.field(default_factory=list)
    total: int = dataclasses.field(init=False, default=0)


@attr.define
class Sensor:
    name: str
    _offset: float = 0.0


class Money:
    version: typing.ClassVar[int] = 2

    def __init__(self, amount: decimal.Decimal) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.amount == other.amount

    def __hash__(self) -> int:
        return hash(self.amount)

    def serialize(self) -> dict:
        return {"amount": self.amount}

    @staticmethod
    def deserialize(data: dict, version: int) -> Money:
        assert version == Money.version
        return Money(data["amount"])


class Weight(Money):
    version = "of the scales"
    __version__ = 2

    @staticmethod
    def deserialize(data: dict, version: int) -> Weight:
        assert version == Weight.__version__
        return Weight(data["amount"])


class Forgetful(Money):
    @staticmethod
    def deserialize(data: dict) -> Forgetful:
        return Forgetful(data["amount"])


@dataclasses.dataclass
class Doubling:
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


class ListSubclass(list):
    pass


def wide_frame() -> pd.DataFrame:
    """A frame of so many columns that its batches are those of an Arrow file."""
    return pd.DataFrame({f"column {n}": [n, n + 0.5, None] for n in range(70)})


def _objects(*items: Any) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _cycle() -> list:
    value: list = []
    value.append(value)
    return value


def _generator() -> Iterator[int]:
    yield 1


_MOMENTS = pd.DatetimeIndex(["2020-01-01T00:00:00.000000000", "2020-01-02T00:00:00.000000001", None])

KINDS: dict[str, dict[str, Callable[[], Any]]] = {
    "Python": {
        "None": lambda: None,
        "bool": lambda: True,
        "int": lambda: 7,
        "int of any size": lambda: -(2**20000),
        "float, with nan, inf and -0.0": lambda: [1.5, float("nan"), float("-inf"), -0.0],
        "complex": lambda: 1 - 2j,
        "str": lambda: "naïve",
        "str, long": lambda: "long " * 1000,
        "str with NUL or lone surrogates": lambda: "\0 \ud800",
        "bytes": lambda: b"\0\xff",
        "bytearray": lambda: bytearray(b"\0"),
        "memoryview, as drivers give binary columns": lambda: memoryview(b"\0\xff").cast("c"),
        "list": lambda: [1, "two", None, [3.0]],
        "tuple": lambda: (1, (2,)),
        "dict with str keys": lambda: {"b": 1, "a": {"c": []}},
        "dict with any other keys": lambda: {1: "int", (2, None): "tuple", None: dt.date(2020, 1, 1)},
        "dict that looks like a reference": lambda: {"__s3_xcom__": "reference", "bucket": "b", "key": "k"},
        "dict with Airflow's markers": lambda: {"__classname__": "x", "__version__": 1, "__data__": {}},
        "dict with Airflow's old markers": lambda: {"__type": "dict", "__source": "x", "__var": {}},
        "set, frozenset": lambda: {frozenset({1}), "a"},
        "OrderedDict": lambda: collections.OrderedDict(b=1, a=2),
        "defaultdict with a builtin factory": lambda: collections.defaultdict(list, {"a": [1]}),
        "Counter": lambda: collections.Counter("abca"),
        "deque": lambda: collections.deque([1, 2], maxlen=3),
        "range, slice": lambda: [range(1, 9, 2), slice(None, 3)],
        "datetime, naive": lambda: dt.datetime(2020, 2, 29, 12, 30, 1, 5),
        "datetime with timezone": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
        "datetime with zoneinfo, and its fold": lambda: dt.datetime(
            2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN
        ),
        "datetime with a zone of pytz, or an offset of dateutil": lambda: [
            pytz.timezone("Europe/Berlin").localize(dt.datetime(2020, 7, 1)),
            dt.datetime(2020, 7, 1, tzinfo=pytz.FixedOffset(90)),
            dt.datetime(2020, 7, 1, tzinfo=dateutil.tz.tzutc()),
            dt.datetime(2020, 7, 1, tzinfo=dateutil.tz.tzoffset("X", -5400)),
        ],
        "timezone, zoneinfo.ZoneInfo": lambda: [GMT, BERLIN],
        "ranges of psycopg2": lambda: [NumericRange(1, 5), NumericRange(empty=True), DateRange()],
        "pendulum.DateTime": lambda: pendulum.datetime(2020, 7, 1, tz="Europe/Berlin"),
        "pendulum.Date, pendulum.Time": lambda: [
            pendulum.date(2020, 7, 1),
            pendulum.Time(1, 2, tzinfo=pendulum.timezone(3600)),
        ],
        "date, time, timedelta": lambda: [dt.date(2020, 1, 1), dt.time(1, 2), dt.timedelta(-1, 2, 3)],
        "Decimal": lambda: decimal.Decimal("1.10"),
        "Fraction": lambda: fractions.Fraction(-1, 3),
        "UUID": lambda: uuid.UUID(int=5),
    },
    "Classes, if `allowed_deserialization_classes` admits them": {
        "Enum, Flag": lambda: [Color.RED, Access.READ | Access.WRITE],
        "namedtuple": lambda: Point(1, [2]),
        "dataclass": lambda: Order(1, [Point(1, 2)]),
        "attrs": lambda: Sensor("a", 1.5),
        "serialize() and deserialize()": lambda: [Money(decimal.Decimal("1.10")), Weight(2)],
    },
    "numpy": {
        "array of numbers, any shape and order": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "array without dimensions": lambda: np.array(5),
        "array of datetime64": lambda: np.array(["2020-01-01", "NaT"], "M8[D]"),
        "array of strings": lambda: np.array(["a", "bc"]),
        "structured array": lambda: np.array([(1, 2.5)], dtype=[("a", ">i2"), ("b", "f8")]),
        "structured array, aligned": lambda: np.frombuffer(
            bytes(range(32)), np.dtype([("a", "i1"), ("b", "i8")], align=True)
        ),
        "array of objects": lambda: _objects(1, "a", [2], None),
        "scalar": lambda: [np.float32(1.5), np.int8(-1), np.bool_(True), np.datetime64("2020-01-01", "h")],
        "dtype": lambda: [np.dtype("M8[ms]"), np.dtype([("a", ">i2"), ("b", "U3")])],
    },
    "pandas": {
        "DataFrame": lambda: pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [True, False]}),
        "DataFrame, empty": lambda: pd.DataFrame(),
        "nullable dtypes": lambda: pd.DataFrame(
            {
                "n": pd.array([1, None], "Int8"),
                "f": pd.array([1.5, None], "Float64"),
                "b": pd.array([True, None]),
            }
        ),
        "string dtypes": lambda: pd.DataFrame({"s": pd.array(["a", None], "string[pyarrow]")}),
        "Arrow dtypes": lambda: pd.DataFrame(
            {"l": pd.arrays.ArrowExtensionArray(pa.chunked_array([[[1], None]]))}
        ),
        "Categorical with its order": lambda: pd.DataFrame(
            {
                "c": pd.Categorical(["x", None], ["y", "x"], ordered=True),
                "d": pd.Categorical(pd.date_range("2020", periods=2)),
            }
        ),
        "timestamps, naive and with a zone": lambda: pd.DataFrame(
            {
                "n": _MOMENTS,
                "z": _MOMENTS.tz_localize("Europe/Berlin"),
                "p": _MOMENTS.tz_localize(pendulum.UTC),
            }
        ),
        "timedelta, period, interval": lambda: pd.DataFrame(
            {
                "t": pd.to_timedelta([1, None]),
                "p": pd.period_range("2020", periods=2, freq="Q"),
                "i": pd.interval_range(0, 2),
            }
        ),
        "sparse": lambda: pd.DataFrame(
            {
                "s": pd.arrays.SparseArray([0, 0, 1]),
                "f": pd.arrays.SparseArray([0.0, 0.0, 1.5], fill_value=0),
                "t": pd.arrays.SparseArray(["a", "a", "b"], fill_value="a"),
            }
        ),
        "objects: str, with None or NaN": lambda: pd.DataFrame({"a": ["x", None], "b": ["x", np.nan]}),
        "objects: Decimal, date, UUID, bytes": lambda: pd.DataFrame(
            {
                "d": [decimal.Decimal("1.10"), None],
                "t": [dt.date(2020, 1, 1), None],
                "u": [uuid.UUID(int=1), None],
                "b": [b"x", None],
            }
        ),
        "objects: datetime with any zone above": lambda: pd.DataFrame(
            {
                "g": pd.Series([dt.datetime(2020, 1, 1, tzinfo=GMT), None], dtype=object),
                "d": pd.Series([dt.datetime(2020, 1, 1, tzinfo=dateutil.tz.tzutc()), None], dtype=object),
            }
        ),
        "objects: dict, list, mixed": lambda: pd.DataFrame({"d": [{"a": (1,)}, [2]], "m": [1, "a"]}),
        "any index": lambda: pd.DataFrame(
            {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["n", None])
        ),
        "index with freq": lambda: pd.DataFrame(
            {"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D")
        ),
        "any column labels": lambda: pd.DataFrame(
            [[1, 2, 3]], columns=pd.Index([0, ("a", 1), "a"], dtype=object)
        ),
        "duplicate column labels": lambda: pd.DataFrame([[1, 2]], columns=["same", "same"]),
        "attrs": lambda: pd.concat([pd.DataFrame({"a": [1]})]).pipe(_with_attrs),
        "Series": lambda: pd.Series([1, None], index=["a", "b"], name=("x", 1), dtype="Int64"),
        "Index": lambda: pd.date_range("2020", periods=2, freq="h", name="t"),
        "Timestamp, Timedelta, Period, Interval": lambda: [
            pd.Timestamp("2020-01-01", tz="Europe/Berlin"),
            pd.Timedelta(5),
            pd.Period("2020-01", "M"),
            pd.Interval(0, 1),
        ],
        "NaT, NA": lambda: [pd.NaT, pd.NA],
    },
    "Arrow and polars": {
        "pyarrow.Table": lambda: pa.table({"a": [1, None], "b": ["x", "y"]}),
        "pyarrow.Table of other types": lambda: pa.table({"a": pa.array([{"x": [1]}])}),
        "polars.DataFrame": lambda: polars.DataFrame({"a": [1, None], "b": [dt.date(2020, 1, 1), None]}),
        "polars.Series": lambda: polars.Series("s", ["a", None], dtype=polars.Categorical),
    },
    "Together": {
        "dict of frames and arrays": lambda: {"f": pd.DataFrame({"a": [1]}), "a": [np.arange(1000.0)]},
        "tuples in lists of dicts": lambda: [{"a": ({1: b"x"},)}],
        "the same object twice": lambda: [[shared := [1]], shared],
    },
    "Refused": {
        "a list that holds itself": _cycle,
        "more than 128 levels": lambda: functools.reduce(lambda inner, _: [inner], range(130), []),
        "pathlib.Path": lambda: pathlib.Path("x"),
        "datetime with a zone of dateutil's files": lambda: dt.datetime(
            2020, 7, 1, tzinfo=dateutil.tz.gettz("Europe/Berlin")
        ),
        "generator": _generator,
        "function": lambda: print,
        "open file": lambda: sys.__stdout__,
        "class": lambda: Color,
        "subclass of a builtin": lambda: ListSubclass([1]),
        "class without a way back": lambda: object(),
        "deserialize() that does not take a version": lambda: Forgetful(1),
        "dataclass that changes its fields": lambda: Doubling(1),
        "defaultdict with another factory": lambda: collections.defaultdict(lambda: 0),
        "numpy.ma.MaskedArray": lambda: np.ma.array([1, 2], mask=[True, False]),
        "Arrow dtypes that Parquet lacks": lambda: pd.Series(
            pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([None], pa.month_day_nano_interval())]))
        ),
        "longdouble in a frame": lambda: pd.DataFrame({"a": np.array([1], "longdouble")}),
    },
}


def _with_attrs(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs["source"] = ("a", 1)
    return frame


FORMATS = {
    "json": "JSON",
    "tagged": "JSON with tags",
    "text": "UTF-8 text",
    "bytes": "the bytes",
    "parquet": "Parquet",
    "table": "Parquet",
    "arrow": "Arrow IPC",
    "polars": "Arrow IPC",
    "polars.Series": "Arrow IPC",
    "npy": ".npy",
    "zip": "ZIP of JSON and parts",
}


def describe(value: Any) -> str:
    """Where a value goes and in which format, or why it does not."""
    try:
        if codecs.encode_small(value) is not None:
            return "database, JSON"
        return f"S3, {FORMATS[codecs.encode(value).codec]}"
    except UnsupportedValueError as error:
        # Some releases of numpy say where a MaskedArray is really defined; Python 3.11 renamed EnumMeta.
        return f"*{error}*".replace("numpy.ma.core.", "numpy.ma.").replace("EnumType", "EnumMeta")


def as_earlier_releases(make: Callable[[], Any]) -> Any:
    """A value with labels of objects, as pandas made them before 3."""
    if pd.__version__ < "3":
        return make()
    with pd.option_context("future.infer_string", False):
        return make()


OTHERWISE_MADE = {
    "Categorical with its order": "microseconds",
    "DataFrame, empty": "labels are a range",
    "Index": "microseconds",
    "Timestamp, Timedelta, Period, Interval": "microseconds",
    "index with freq": "microseconds",
    "pendulum.DateTime": "pendulum 3 has a class of its own for zones",
}
"""What later releases of the libraries make otherwise, and how."""


def assert_same_kind(name: str, actual: Any, make: Callable[[], Any]) -> None:
    """Compare a value with what earlier releases of its library made."""
    expected = as_earlier_releases(make)
    if name in OTHERWISE_MADE:
        assert_same_but_for_releases(actual, expected)
    else:
        assert_same(actual, expected)


def assert_same_but_for_releases(actual: Any, expected: Any) -> None:
    """Compare a value with what another release of its library made, by what it says of itself."""
    if _text(actual) != _text(expected):
        assert_same(actual, expected)


def _text(value: Any) -> tuple[type, str]:
    return type(value), re.sub(r"(datetime|timedelta)64\[\w+", r"\1", str(value))


def page() -> str:
    """The text of docs/types.md."""
    lines = [
        "# Types",
        "",
        "Each kind below is pushed and pulled by the tests, and comes back equal in type and content, at any",
        "nesting; the last ones are refused at the push, with the message shown. This page is made from the",
        "tests (`make docs`).",
    ]
    for group, kinds in KINDS.items():
        lines += ["", f"## {group}", "", "| kind | where it goes |", "| --- | --- |"]
        lines += [f"| {kind} | {describe(make())} |" for kind, make in kinds.items()]
    lines += [
        "",
        "## Files",
        "",
        "`File(path)` is stored as the file itself, streamed; in a list or dict, as an object of its own",
        "beside the value's. It comes back as a `File` that has moved no data yet.",
        "",
        "## What does not count as content",
        "",
        "Which bit pattern a NaN of a float column has; which chunks an Arrow table consists of; values of a",
        "MultiIndex's level that no row has, where they are many more than the rows; whether two equal parts",
        "of a value are the same object.",
        "",
    ]
    return "\n".join(lines)
