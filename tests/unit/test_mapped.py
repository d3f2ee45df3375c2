"""rows, batches and items before they are pushed, and the bytes they are pushed as."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from include.s3_xcom import File, batches, codecs, items, rows
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.frames import FRAME
from tests.helpers.same import assert_same


def object_of(sequence) -> bytes:
    return b"".join(sequence.encode().pieces)


def test_a_row_is_a_dict_of_python_values_by_column_name():
    first, second, third = rows(FRAME)
    rome = FRAME["at"].iloc[0].tz
    assert_same(
        first,
        {
            "n": 1,
            "i": 1,
            "x": 1.5,
            "at": FRAME["at"].iloc[0].to_pydatetime(),
            "took": datetime.timedelta(seconds=1),
            "price": Decimal("1.10"),
            "day": datetime.date(2024, 1, 1),
            "size": "S",
            "ok": True,
            "any": {"a": (1,)},
        },
    )
    assert second == {**dict.fromkeys(FRAME), "i": 2}
    assert type(third["n"]) is type(third["i"]) is int
    assert third["price"].is_nan()
    assert third["any"] is None
    assert str(first["at"].tzinfo) == str(rome)
    utc = datetime.timezone.utc
    assert third["at"].astimezone(utc) - first["at"].astimezone(utc) == datetime.timedelta(hours=1)


def test_nanoseconds_are_not_cut_off():
    moment = pd.Timestamp("2024-01-01 00:00:00.000000001")
    row = rows(pd.DataFrame({"at": [moment], "took": [pd.Timedelta(1, "ns")]}))[0]
    assert row == {"at": moment, "took": pd.Timedelta(1, "ns")}


def test_sequences_index_slice_and_compare_as_lists_do():
    sequence = items(list("abcde"))
    assert len(sequence) == 5
    assert (sequence[0], sequence[-1]) == ("a", "e")
    assert sequence[1:4] == list("bcd")
    assert sequence[::-2] == list("eca")
    assert sequence[9:] == []
    assert "c" in sequence
    assert "z" not in sequence
    assert sequence == list("abcde") == sequence
    assert sequence != list("abcd")
    assert sequence != "abcde"
    assert repr(sequence) == "items (5)"


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_out_of_range_is_an_index_error(index):
    with pytest.raises(IndexError, match=r"items \(5\) has no element"):
        items(list("abcde"))[index]


def test_sequences_are_read_only():
    with pytest.raises(TypeError):
        items([1])[0] = 2
    with pytest.raises(TypeError):
        hash(items([1]))


def test_frames_are_compared_whole():
    pieces = batches(FRAME, 2)
    assert pieces == batches(FRAME.copy(), 2)
    assert pieces != batches(FRAME.iloc[::-1], 2)
    assert FRAME.iloc[2:] in pieces
    assert FRAME.iloc[1:] not in pieces
    assert items([np.arange(3)]) == [np.arange(3)]
    assert items([np.arange(3)]) != [[0, 1, 2]]
    assert items([FRAME]) != [1]


def test_batches_have_at_most_size_rows():
    assert [len(batch) for batch in batches(FRAME, 2)] == [2, 1]
    assert len(batches(FRAME, 10)) == 1
    assert len(batches(FRAME.iloc[:0], 10)) == 0
    assert_frame_equal(batches(FRAME, 2).to_frame(), FRAME)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: rows([1]), TypeError, "takes a pandas.DataFrame, .*, not a list"),
        (lambda: rows(pd.DataFrame({1: [1]})), TypeError, "none: 1"),
        (lambda: rows(pd.DataFrame([[1, 2]], columns=["a", "a"])), ValueError, "twice: 'a'"),
        (lambda: batches(FRAME, 0), ValueError, "at least 1 row"),
        (lambda: batches(FRAME, -1), ValueError, "at least 1 row"),
        (lambda: batches(FRAME, 1.5), TypeError, "int for the size, not a float"),
        (lambda: batches([1], 1), TypeError, "not a list"),
        (lambda: items(FRAME), TypeError, "rows"),
        (lambda: items("text"), TypeError, "not a str"),
        (lambda: rows(pa.table({"t": pa.array([1], pa.time64("ns"))})), ValueError, "'t' have nanoseconds"),
        (lambda: items({"a": 1}), TypeError, "not a dict"),
        (lambda: batches(FRAME), TypeError, "needs the number of rows"),
        (lambda: batches({"a": FRAME}), TypeError, "not a dict"),
        (lambda: batches(5), TypeError, "not a int"),
    ],
)
def test_bad_input_is_explained(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("value", [[rows(FRAME)], {"a": items([1])}, (batches(FRAME, 1),)])
def test_a_sequence_within_another_value_is_refused_by_name(value):
    with pytest.raises(UnsupportedValueError, match="Return it by itself"):
        codecs.encode(value)


def test_a_value_that_cannot_be_pushed_is_found():
    frame = pd.DataFrame({"a": range(2000), "b": [*[None] * 1500, object(), *[None] * 499]})
    for sequence, path in (
        (rows(frame), "['b'][1500]"),
        (items([*[1] * 1700, {"k": object()}]), "[1700]['k']"),
    ):
        with pytest.raises(UnsupportedValueError) as raised:
            object_of(sequence)
        assert path in str(raised.value)


def test_files_are_expanded_over_as_a_plain_list(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(UnsupportedValueError, match="plain list"):
        object_of(items([1, File(tmp_path / "a.csv")]))


# The objects, as other tools see them.


def test_rows_and_batches_are_parquet_files_of_the_frame(tmp_path):
    import duckdb

    frame = FRAME.drop(columns=["took", "any", "price"]).reset_index()
    for number, sequence in enumerate((rows(frame), batches(frame, 2), batches(frame, 100))):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(object_of(sequence))
        read = pd.read_parquet(path)
        assert_frame_equal(read[["n", "i", "x", "at"]], frame[["n", "i", "x", "at"]])
        assert duckdb.sql(f"SELECT count(*), sum(i) FROM '{path}'").fetchall() == [(3, 6)]


def test_empty_frames_keep_their_columns():
    for sequence in (rows(FRAME.iloc[:0]), batches(FRAME.iloc[:0], 5)):
        assert list(pd.read_parquet(io.BytesIO(object_of(sequence)))) == list(FRAME)


@pytest.mark.parametrize("length", [0, 1, 5000])
def test_items_are_a_json_document(length):
    values = [{"number": i, "name": "ü" * (i % 300)} for i in range(length)]
    document = json.loads(object_of(items(values)))
    assert document["items"] == values


def test_items_of_binary_data_are_a_zip_archive():
    values = [b"\0" * 3000, FRAME, {"a": 1}, "text", None]
    with zipfile.ZipFile(io.BytesIO(object_of(items(values)))) as archive:
        assert archive.testzip() is None
        names = ["0.bytes.bin", "1.parquet", "2.json", "3.text.txt", "4.tagged.json", "index"]
        assert archive.namelist() == names
        assert archive.read("0.bytes.bin") == values[0]
        assert list(pd.read_parquet(io.BytesIO(archive.read("1.parquet")))) == list(FRAME)


@pytest.mark.parametrize("columns", [1, 40])
def test_merged_parquet_footers_are_those_of_one_file(columns):
    import pyarrow.parquet as pq

    frame = pd.DataFrame({f"c{i}": np.arange(1000) * i for i in range(columns)})
    merged = pq.ParquetFile(io.BytesIO(object_of(batches(frame, 7))))
    assert merged.metadata.num_row_groups == 143
    assert merged.metadata.num_rows == 1000
    for number in (0, 71, 142):
        group = merged.read_row_group(number).to_pandas()
        assert_frame_equal(group.reset_index(drop=True), frame.iloc[number * 7 :][:7].reset_index(drop=True))


def test_zones_of_the_standard_library_stay_theirs():
    moment = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Rome"), fold=1)
    row = rows(pd.DataFrame({"at": [moment]}, dtype=object))[0]
    assert_same(row, {"at": moment})
