"""Values that a library writes without an error and reads as others: kept, or refused at the push."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import pytz

from include.s3_xcom import codecs
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.same import assert_same, round_trip


def by(*levels: Any) -> pd.Series:
    """Return a Series of as many values as the levels of its index have."""
    return pd.Series(range(len(levels[0])), index=pd.MultiIndex.from_arrays(list(levels)))


def arrow(array: pa.Array) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))


def with_attrs(value: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["a"] = value
    return frame


def nan_beside_na() -> pd.arrays.FloatingArray:
    return pd.arrays.FloatingArray(np.array([np.nan, 1.0]), np.array([False, True]))


PICKLED = "arrow.py_extension_type"

KEPT: dict[str, Callable[[], Any]] = {
    "texts that differ by a NUL": lambda: by(["a", "a\0"], [1, 1]),
    "a level with a missing value": lambda: (
        pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"], "v": 1}).groupby(["a", "b"], dropna=False).sum()
    ),
    "intervals within each other": lambda: by(pd.IntervalIndex.from_tuples([(0, 3), (1, 2)]), [1, 2]),
    "NaN beside NA": lambda: pd.Series(nan_beside_na()),
    "NaN beside NA in a level": lambda: by(pd.Index(nan_beside_na()), [1, 2]),
    "NaN as a category": lambda: pd.Series(
        pd.Categorical.from_codes(
            [0, 1], pd.Index(pd.arrays.FloatingArray(np.array([1, np.nan]), np.zeros(2, bool)))
        )
    ),
    "1 and True in a level": lambda: by(pd.Index([1, True], dtype=object), [1, 1]),
    "attrs with the name of pyarrow's pickled type": lambda: with_attrs(PICKLED),
    "a column of that name": lambda: pd.DataFrame({PICKLED: [1]}),
    "a category of that name": lambda: pd.Series(pd.Categorical([PICKLED])),
    "an array of objects without a dimension": lambda: np.array(None),
    "one of them within a list": lambda: [np.array(None)],
}


@pytest.mark.parametrize("name", KEPT)
def test_they_come_back(name):
    make = KEPT[name]
    again = round_trip(make())
    assert_same(again, make())
    if isinstance(again, pd.Series):
        assert repr(list(again.index)) == repr(list(make().index))


TABLES: dict[str, Callable[[], pa.Table]] = {
    "nulls of a field that says it has none": lambda: pa.table(
        [pa.array(["b", None])], schema=pa.schema([pa.field("a", pa.string(), nullable=False)])
    ),
    "a dictionary that changes": lambda: pa.concat_tables(
        [pa.table({"a": pa.array([text]).dictionary_encode()}) for text in "ab"]
    ),
    "metadata that pyarrow reads itself": lambda: pa.table({"a": [1]}).replace_schema_metadata(
        {"ARROW:schema": "x"}
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back(name):
    table = TABLES[name]()
    again = round_trip(table)
    assert again.schema.equals(table.schema, check_metadata=True)
    assert again.to_pylist() == table.to_pylist()


class Unknown(pa.ExtensionType):
    """A type that the process which pulls does not know."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "unknown")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""


@dataclasses.dataclass
class Unset:
    a: int
    b: int = dataclasses.field(init=False)


UNKNOWN = pa.ExtensionArray.from_storage(Unknown(), pa.array([1]))
DTYPE = {"names": ["b", "a"], "formats": ["i4", "f8"], "offsets": [8, 0]}

REFUSED: dict[str, Callable[[], Any]] = {
    "a type of Arrow that others do not know": lambda: arrow(pa.ListArray.from_arrays([0, 1], UNKNOWN)),
    "a table of it": lambda: pa.table({"a": UNKNOWN}),
    "a map with dictionaries as keys": lambda: arrow(
        pa.array([[("a", 1)]], pa.map_(pa.dictionary(pa.int8(), pa.string()), pa.int8()))
    ),
    "a dictionary of a dictionary": lambda: pa.table(
        {
            "a": pa.DictionaryArray.from_arrays(
                pa.array([0]), pa.DictionaryArray.from_arrays(pa.array([0]), ["b"])
            )
        }
    ),
    "polars' type that others do not know": lambda: polars.Series([1]).ext.to(
        polars.Extension("foo", polars.Int64, None)
    ),
    "polars' arrays of no values": lambda: polars.Series([[]], dtype=polars.Array(polars.Int8, 0)),
    "attrs that nothing holds": lambda: with_attrs(threading.Lock()),
    "fields in another order than in memory": lambda: np.zeros(1, np.dtype(DTYPE)),
    "a dtype that no array has": lambda: np.dtype(("i4", (2,))),
    "a sparse level": lambda: pd.MultiIndex.from_arrays([pd.arrays.SparseArray([True, False]), [1, 2]]),
    "a fill value that pandas changes": lambda: pd.Series(
        pd.arrays.SparseArray(np.array([1, 2], "m8[ns]"), fill_value=pd.Timedelta(1))
    ),
    "a text that is none in UTF-8": lambda: pd.DataFrame({"a": pd.array(["\ud800"], "string[python]")}),
    "a zone of pytz that was set": lambda: datetime.datetime.min.replace(
        tzinfo=pytz.timezone("Europe/Berlin")
    ),
    "a field that was not set": lambda: Unset(1),
    "an array of two dimensions": lambda: pd.Series([1, 2]).array.reshape(2, 1),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Extension type 'foo':UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_they_are_refused(name):
    with pytest.raises(UnsupportedValueError):
        codecs.encode(REFUSED[name]())
