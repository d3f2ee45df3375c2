"""Columns of Python objects: which go Arrow's own way, and that each comes back as it was."""

from __future__ import annotations

import datetime
import decimal
import itertools
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.s3_xcom import codecs
from include.s3_xcom.codecs.parquet import nested_columns, object_columns
from include.s3_xcom.codecs.parquet.nested_columns import NotExactError
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from tests.helpers.same import assert_same

UTC = datetime.timezone.utc
WINTER, SUMMER = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2))
BERLIN = ZoneInfo("Europe/Berlin")


def moment(*fields: int, zone: datetime.tzinfo | None = UTC, fold: int = 0) -> datetime.datetime:
    return datetime.datetime(*fields, tzinfo=zone, fold=fold)


EXACT = {
    "bool": [True, None, False],
    "int": [1, None, -(2**63), 2**63 - 1],
    "float": [1.5, float("nan"), None, -0.0],
    "str": ["", "ü", None],
    "bytes": [b"", None, b"\0"],
    "date": [datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)],
    "time": [datetime.time(0), None, datetime.time(23, 59, 59, 999_999)],
    "datetime: naive": [
        moment(1, 1, 1, zone=None),
        None,
        moment(9999, 12, 31, 23, 59, 59, 999_999, zone=None),
    ],
    "datetime: UTC": [moment(1, 1, 1), None, moment(9999, 12, 31)],
    "datetime: two offsets": [
        moment(2024, 1, 1, zone=WINTER),
        None,
        moment(2024, 7, 1, 0, 0, 0, 1, zone=SUMMER),
    ],
    "datetime: an offset alone": [moment(2024, 1, 1, zone=WINTER)] * 3,
    "datetime: an offset and UTC": [moment(2024, 1, 1, zone=WINTER), moment(2024, 1, 1)],
    "datetime: zone with summer time": [
        moment(2024, 1, 1, zone=BERLIN),
        moment(2024, 10, 27, 2, 30, zone=BERLIN),
        moment(2024, 10, 27, 2, 30, zone=BERLIN, fold=1),
        None,
    ],
    "datetime: a zone and an offset": [moment(2024, 1, 1, zone=BERLIN), moment(2024, 1, 1, zone=WINTER)],
    "Decimal: one exponent": [Decimal("1.50"), None, Decimal("-0.01"), Decimal("0.00")],
    "Decimal: several exponents": [
        Decimal("1.5"),
        None,
        Decimal("1.50"),
        Decimal("2"),
        Decimal("-0.001"),
        Decimal(0),
    ],
    "Decimal: 38 digits": [Decimal("1" * 38), Decimal("-" + "9" * 38)],
    "Decimal: 38 places": [Decimal("0." + "0" * 37 + "1")],
    "UUID": [uuid.UUID(int=0), None, uuid.UUID(int=2**128 - 1)],
    "dict": [{"a": 1, "b": None}, None, {"a": 2, "b": "text"}],
    "dict: nothing but None": [{"a": None}] * 2,
    "dict: of anything": [{"a": {"b": [Decimal("1.5"), None]}, "c": (moment(2024, 1, 1), 1)}] * 2,
    "dict: fields of several types": [{"a": 1}, {"a": "1"}, {"a": None}],
    "dict: missing, with fields of several types": [{"a": 1}, {"a": "1"}, None, {"a": {"b": [1, "1"]}}],
    "dict: odd names": [{"a.b": 1, "list": 2, "ü": 3, " ": 4}],
    "list": [[1, 2], None, [], [3, None]],
    "list: of nothing": [[], []],
    "list: of None": [[None], [None, None]],
    "list: one length": [[1, 2], [3, 4], [5, 6]],
    "list: of lists": [[[1], []], [], [[2, 3]]],
    "list: of dicts": [[{"a": 1}], [{"a": 2}, {"a": 3}]],
    "tuple": [(1, "a"), None, (2, "b")],
    "tuple: empty": [(), ()],
}
"""By the name of their type, with Arrow's own types."""

AS_JSON = {
    "two types": [1, "1", None],
    "two types, with line breaks": ["a\nb", 1, '"\n"', "\u2028\x85", ""],
    "two types, an integer beyond 64 bits": ["1", 2**63],
    "two types, an integer of very many digits": ["1", 10**2000, -(10**1300)],
    "two types, a long text": ["x" * 5000, 1, "ü" * 5000],
    "two types, a lone surrogate": ["\ud800", 1],
    "bool and int": [True, 1, 0, False, None],
    "int and float": [1, 1.0, float("nan"), -0.0, float("inf"), None],
    "float and str": [0.1, "0.1", 1e300, 5e-324],
    "date and datetime": [datetime.date(2024, 1, 1), moment(2024, 1, 1), moment(2024, 1, 1, zone=WINTER)],
    "Decimal and int": [Decimal("1.50"), 1, Decimal("1.5"), None],
    "bytes and str": [b"a", "a", b"", ""],
    "scalars and dicts": [1, {"a": 1}, "x"],
    "two kinds of missing values": [1, None, pd.NaT],
    "an integer beyond 64 bits": [2**63],
    "a second of two equal times": [moment(2024, 1, 1, zone=None, fold=1)],
    "a time that the zone does not have": [moment(2024, 3, 31, 2, 30, zone=BERLIN)],
    "a time with a zone": [datetime.time(1, tzinfo=UTC)],
    "a Decimal that is negative and zero": [Decimal("-0.00")],
    "a Decimal that is no number": [Decimal("NaN"), Decimal("1")],
    "a Decimal with a positive exponent": [Decimal("1E+5")],
    "a Decimal of 39 digits": [Decimal("1" * 39)],
    "a Decimal whose exponents span too many digits": [Decimal("1" * 30), Decimal("0." + "0" * 20 + "1")],
    "dicts with other keys": [{"a": 1}, {"b": 1}],
    "dicts in another order": [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
    "dicts without keys": [{}, {}],
    "dicts with keys that are no strings": [{1: 2}],
    "dicts with a key without a name": [{"": 1}],
    "dicts with a lone surrogate": [{"\ud800": 1}],
    "lists and tuples": [[1], (1,)],
}
"""No type of Arrow tells all of them."""


def column(items: list) -> pd.DataFrame:
    series = pd.Series([None] * len(items), dtype=object)
    for position, item in enumerate(items):
        series.iat[position] = item
    return pd.DataFrame({"value": series})


@pytest.mark.parametrize("name", EXACT)
def test_a_column_of_one_type_has_arrows_own_type_and_comes_back(name):
    items = EXACT[name]
    _, spec = object_columns.encode_list(items)
    assert spec["content"] == name.partition(":")[0]
    check(items)


@pytest.mark.parametrize("name", AS_JSON)
def test_what_arrow_would_change_is_json_and_comes_back(name):
    items = AS_JSON[name]
    _, spec = object_columns.encode_list(items)
    assert spec["content"] == "json"
    check(items)


def check(items: list) -> None:
    for frame in (column(items), column(items * 3), column([*items, *items]).iloc[1:-1]):
        encoded = codecs.encode(frame)
        again = codecs.decode(encoded.codec, bytes(encoded.body))
        assert_same(again, frame)
        zones = [getattr(item, "tzinfo", None) for item in frame["value"]]
        assert [type(getattr(item, "tzinfo", None)) for item in again["value"]] == list(map(type, zones))


NAN = float("nan")


@pytest.mark.parametrize("missing", [None, NAN, pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize("name", [name for name in EXACT if not name.startswith(("float", "dict: nothing"))])
def test_each_kind_of_missing_value_is_kept(name, missing):
    items = [item for item in EXACT[name] if item is not None]
    check([items[0], missing, *items[1:], missing])
    check([{"a": item} for item in items] + [None, {"a": missing}, {"a": items[0]}])
    check([[item, missing] for item in items] + [None, []])


@pytest.mark.parametrize(
    "zone", [datetime.timedelta(hours=1, microseconds=5), datetime.timedelta(seconds=-3601)], ids=str
)
def test_offsets_of_any_length_are_kept(zone):
    zone = datetime.timezone(zone)
    moments = [moment(2024, 1, 1, zone=zone), moment(9999, 12, 31, zone=zone), moment(1, 1, 2, zone=zone)]
    check(moments)
    again = codecs.encode(moments * 16)
    assert_same(codecs.decode(again.codec, bytes(again.body)), moments * 16)


def test_decimals_do_not_depend_on_the_context():
    with decimal.localcontext() as context:
        context.capitals, context.prec = 0, 5
        context.traps = dict.fromkeys(context.traps, True)
        for name in (name for name in {**EXACT, **AS_JSON} if "Decimal" in name):
            check({**EXACT, **AS_JSON}[name])


def test_containers_that_lie_in_themselves_are_refused_at_once():
    endless: list = []
    endless.extend([endless] * 16)
    parent: dict = {"parent": None, "children": []}
    parent["children"] += [{"parent": parent, "children": []} for _ in range(20)]
    twins: dict = {}
    twins["a"] = twins["b"] = twins
    for value in (endless, parent, twins):
        for whole in (value, [value] * 16, column([value]), column([value] * 16)):
            with pytest.raises(UnsupportedValueError, match=r"holds itself|nests"):
                codecs.encode(whole)


def test_dicts_of_many_keys_are_no_structs():
    many = {f"k{number}": number for number in range(20_000)}
    encoded = codecs.encode(column([many]))
    assert encoded.size < 500_000
    assert_same(codecs.decode(encoded.codec, bytes(encoded.body)), column([many]))


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("key", [np.str_("a"), Text("a")], ids=["numpy", "subclass"])
def test_a_key_that_only_equals_a_string_is_not_taken_for_one(key):
    values = [{"a": 1}] * 16 + [{key: 1}]
    for whole in (values, column(values), {"a": values}):
        try:
            encoded = codecs.encode(whole)
        except UnsupportedValueError:
            continue
        again = codecs.decode(encoded.codec, bytes(encoded.body))
        again = again["value"].tolist() if isinstance(again, pd.DataFrame) else again
        again = again["a"] if isinstance(again, dict) else again
        assert type(next(iter(again[16]))) is type(key)


@pytest.mark.parametrize(
    "values",
    [
        [np.timedelta64(1, "s"), np.timedelta64(1, "ms")] * 8,
        [np.float16(1), *[np.float16("nan")] * 15],
        [np.bool_(True)] * 16,
        [np.complex64(1 + 2j)] * 16,
        [np.longdouble(1)] * 16,
        [np.int8(1), np.int16(1)] * 8,
        [np.datetime64("2024-01-01"), np.datetime64("2024-01-01T00:00:01")] * 8,
        [np.str_("a")] * 16,
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_many_scalars_of_numpy_are_what_they_were(values):
    encoded = codecs.encode(values)
    again = codecs.decode(encoded.codec, bytes(encoded.body))
    assert [(type(item), item.dtype, repr(item)) for item in again] == [
        (type(item), item.dtype, repr(item)) for item in values
    ]


RANGE = '{"__s3_xcom__":"range","value":[0,1000000000000,1]}'


@pytest.mark.parametrize(
    "text",
    [
        f'{{"__s3_xcom__":"table","of":"tuple","value":[{RANGE}]}}',
        '{"__s3_xcom__":"table","of":"tuple","value":["abc"]}',
        '{"__s3_xcom__":"table","of":"dict","value":[[1]],"keys":[]}',
        '{"__s3_xcom__":"table","of":"set","value":[[1]]}',
        '{"__s3_xcom__":"table","of":"list","value":[[1],[1,2]]}',
        f'{{"__s3_xcom__":"run","of":"numpy","value":{RANGE}}}',
        '{"__s3_xcom__":"run","of":"numpy","value":"abc"}',
        '{"__s3_xcom__":"run","of":"Decimal","value":[1]}',
        '{"__s3_xcom__":"run","of":"os","value":["a"]}',
        '{"__s3_xcom__":"run","value":["a"]}',
        '{"__s3_xcom__":"run","of":"os","fields":{},"value":["a"]}',
        '{"__s3_xcom__":"run","of":"run","fields":{"of":"Decimal"},"value":[["1"]]}',
        '{"__s3_xcom__":"run","of":"date","fields":{"tz":{}},"value":["2020-01-01"]}',
        '{"__s3_xcom__":"run","of":"date","fields":7,"value":["2020-01-01"]}',
        '{"__s3_xcom__":"run","of":"datetime","fields":{"tz":7},"value":["2020-01-01"]}',
        '{"__s3_xcom__":"run","of":"float","value":["1.5"]}',
        '{"__s3_xcom__":"run","of":"float","value":[1]}',
        '{"__s3_xcom__":"run","of":"timedelta","value":[["a"]]}',
        '{"__s3_xcom__":"run","of":"bytes","value":["YQ=="," YQ=="]}',
        '{"__s3_xcom__":"run","of":"bytes","value":["YR=="]}',
        '{"__s3_xcom__":"Counter","value":null,"keys":[1],"values":[]}',
        '{"__s3_xcom__":"dict","value":null,"keys":[1],"values":[]}',
        '{"__s3_xcom__":"dict","value":null}',
    ],
)
def test_malformed_runs_are_refused(text):
    with pytest.raises(FormatError):
        codecs.decode("tagged", text.encode())


def test_containers_deeper_than_arrow_is_used_for_come_back():
    value: object = 1
    for _ in range(30):
        value = [value]
    check([value, value])


@pytest.mark.parametrize("more", [-1, 1])
def test_dicts_with_other_fields_than_their_specification_has_are_refused(more):
    array, spec = object_columns.encode_list([{"a": 1, "b": 2}] * 2)
    spec["fields"] = (spec["fields"] * 2)[: 2 + more]
    with pytest.raises(FormatError, match="other fields"):
        object_columns.decode(pa.chunked_array([array]), spec)


def test_texts_of_more_than_arrow_takes_in_one_array_are_not_put_into_another():
    with pytest.raises(NotExactError):
        nested_columns._typed(pa.chunked_array([["a"], ["b"]]))


def test_what_cannot_be_pushed_is_found_in_its_place():
    with pytest.raises(UnsupportedValueError, match=r"at value\['value'\]\[1\]\['a'\]\[1\], a object"):
        codecs.encode(column([{"a": [1, 2]}, {"a": [1, object()]}]))


def test_standard_tools_read_documents_and_times(tmp_path):
    frame = pd.DataFrame(
        {
            "document": column([{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}])["value"],
            "moment": column(EXACT["datetime: two offsets"][::2])["value"],
            "price": column([Decimal("1.5"), Decimal("1.25")])["value"],
            "uuid": column([uuid.UUID(int=1), uuid.UUID(int=2)])["value"],
        }
    )
    path = tmp_path / "frame.parquet"
    path.write_bytes(codecs.encode(frame).body)
    found = duckdb.sql(
        f"SELECT document.id, document.tags[2], epoch(moment.utc), price.value FROM '{path}' ORDER BY 1"
    ).fetchall()
    assert found == [
        (1, "b", 1704063600.0, Decimal("1.50")),
        (2, None, pytest.approx(1719784800.000001), Decimal("1.25")),
    ]


LOOKALIKES = [
    *(True, False, None, 1, 0, 1.0, 84, 70, 78, "T", "F", "N", b"T", b"N", b"", "", (), [], 3j, ...),
    *(np.bool_(True), np.bool_(False), frozenset(), object(), StopIteration, bool),
]


def test_the_types_of_booleans_are_told_from_whatever_looks_like_one():
    for length in range(4):
        for items in map(list, itertools.product(LOOKALIKES, repeat=length)):
            assert object_columns._types(items) == set(map(type, items)), items
    for odd in LOOKALIKES:
        items = [True, None] * 200 + [odd, False]
        assert object_columns._types(items) == set(map(type, items)), odd
