"""A look at one object, whatever it is: little is read, and what is shown is right."""

from __future__ import annotations

import datetime
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.admin import preview
from include.s3_xcom.admin.look import At, LimitedFile, Shown, look
from include.s3_xcom.admin.look.limited import MAX_BYTES, MAX_REQUESTS
from include.s3_xcom.s3.store import Store

START = At()
LARGE = pd.DataFrame(
    {
        "n": range(400_000),
        "x": np.random.default_rng(0).random(400_000),
        "t": [f"text {i}" for i in range(400_000)],
        "when": pd.date_range("2026-01-01", periods=400_000, freq="s", tz="Europe/Berlin"),
    }
)


@pytest.fixture
def look_at(prefix, task, moved):
    """Push a value, and look at it. S3 must have been asked little."""

    def look_at(value: Any, at: At = START, *, pushed: bool = False) -> Shown:
        if not pushed:
            task.push(value)
        store = Store.configured()
        reference = preview.find(store, task.object_key())
        moved.clear()
        file = LimitedFile(store, reference)
        shown = look(file, at)
        assert len(moved) == file.requests <= MAX_REQUESTS
        assert sum(size for _, size in moved) == file.received <= MAX_BYTES
        return shown

    return look_at


def cells(shown: Shown) -> list[list[str | None]]:
    return [row for _, row in shown.table.rows]


def test_a_frame_is_a_table_with_types_and_what_parquet_says_of_all_rows(look_at):
    frame = pd.DataFrame(
        {
            "n": pd.array([3, 1, None], "Int64"),
            "d": [Decimal("1.50"), None, Decimal("0.25")],
            "day": [datetime.date(2026, 1, 2), datetime.date(2026, 1, 1), None],
            "t": ["b", "b", "a"],
        },
        index=pd.Index(["x", "y", "z"], name="id"),
    )
    table = look_at(frame).table
    assert table.index == ["id"]
    assert table.rows == [
        (["x"], ["3", "1.50", "2026-01-02", "b"]),
        (["y"], ["1", None, "2026-01-01", "b"]),
        (["z"], [None, "0.25", None, "a"]),
    ]
    assert [column.label for column in table.columns] == ["n", "d", "day", "t"]
    assert [column.nulls for column in table.columns] == [1, 1, 1, 0]
    assert [column.least for column in table.columns] == ["1", "0.25", "2026-01-01", "a"]
    assert [column.most for column in table.columns] == ["3", "1.50", "2026-01-02", "b"]
    assert table.columns[0].kind == "Int64"
    assert table.columns[3].chart.bars == [("b", 2), ("a", 1)]
    assert (table.of_rows, table.of_columns) == (3, 4)


@pytest.mark.parametrize("wrap", [lambda frame: frame, rows, lambda frame: batches(frame, 1000)])
def test_of_a_large_frame_some_rows_are_shown(look_at, wrap):
    for number, row in enumerate([0, 50, 1000, 399_990]):
        shown = look_at(wrap(LARGE), At(row), pushed=number > 0)
        table, first = shown.table, LARGE.iloc[row]
        expected = [str(first["n"]), str(first["x"]), first["t"], str(first["when"])]
        [*_, cells_of_first] = [table.rows[0][1]]
        assert cells_of_first == expected[: len(cells_of_first)]
        assert len(cells_of_first) == 4 or "small enough here" in shown.notes[0]
        assert (table.first, table.of_rows, len(table.rows)) == (row, 400_000, 10 if row > 399_000 else 50)
        assert (table.columns[0].least, table.columns[0].most) == ("0", "399999")
        assert [column.label for column in table.columns] == list(LARGE.columns)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.Series([1.5, None], name="s"), [["1.5"], [None]]),
        (pd.DataFrame({"a": [{"b": [1]}, None]}), [["{'b': [1]}"], [None]]),
        (pd.DataFrame({("a", 1): ["x"], ("a", 2): ["y"]}), [["x", "y"]]),
        (pd.DataFrame({"a": pd.Categorical(["x", "y", "x"])}), [["x"], ["y"], ["x"]]),
        (pd.DataFrame({"a": [Decimal("1.5"), "text", (1, 2)]}), [["1.5"], ["text"], ["(1, 2)"]]),
        (pd.DataFrame({"a": []}), []),
        (pd.DataFrame(index=[1, 2]), [[], []]),
        (pd.DataFrame({"t": pd.Series([], dtype=object), "n": pd.Series([], dtype=int)}), []),
        (pd.DataFrame({"t": pd.Series([], dtype="string"), "c": pd.Categorical([])}), []),
        (pd.DataFrame({"t": []}, index=pd.Index([], dtype=object, name="i")), []),
        (pd.DataFrame(), []),
        (pd.DataFrame(index=pd.Index([], dtype=object)), []),
        (pd.Series([], dtype=object), []),
        (pa.table({"t": pa.array([], pa.string())}), []),
        (pa.table({}), []),
        (rows(pd.DataFrame({"t": pd.Series([], dtype=object)})), []),
        (batches(pd.DataFrame({"t": pd.Series([], dtype=object)}), 5), []),
        (batches(pd.DataFrame(), 5), []),
        (pd.Index(["a", "b"]), [[], []]),
        (pd.array([1, None], "Int64"), [["1"], [None]]),
        (rows(pd.DataFrame({"a": [Decimal("1.50"), None], "b": ["x", "y"]})), [["1.50", "x"], [None, "y"]]),
        (rows(pd.DataFrame({"a": []})), []),
        (batches(pd.DataFrame({"a": [1, 2, 3]}), 2), [["1"], ["2"], ["3"]]),
        (batches(pd.DataFrame({"a": range(n, n + 2)}) for n in range(2)), [["0"], ["1"], ["1"], ["2"]]),
        (batches(pd.DataFrame([range(100)] * 4), 2), None),
        (pa.table({"a": [1, None]}), [["1"], [None]]),
        (pa.table({"a": pa.array([[1], None])}), [["[1]"], [None]]),
        (np.arange(6).reshape(2, 3), [["0", "1", "2"], ["3", "4", "5"]]),
        (np.arange(6).reshape(2, 3, order="F"), [["0", "2", "4"], ["1", "3", "5"]]),
        (np.array(["a", "b"]), [["a"], ["b"]]),
        (np.zeros((0, 3)), []),
        (np.array(5), [["5"]]),
    ],
)
def test_what_has_rows_is_shown_as_a_table(look_at, value, expected):
    shown = look_at(value)
    if expected is not None:
        assert cells(shown) == expected, shown
    assert len(shown.table.columns) >= len(expected[0] if expected else [])


@pytest.mark.parametrize("column", [0, 30, 60, 90])
def test_columns_are_shown_some_at_a_time(look_at, column):
    table = look_at(pd.DataFrame([range(100)] * 3), At(1, column)).table
    assert [each.label for each in table.columns] == [str(n) for n in range(column, min(100, column + 30))]
    assert table.rows[0][1] == [each.label for each in table.columns]


def outline(node: Any) -> Any:
    return (node.label, node.text, *map(outline, node.children)) if node.children else (node.label, node.text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"a": [1, None], "b": "x"},
            ("", "dict of 2", ("a", "list of 2", ("0", "1"), ("1", "None")), ("b", "'x'")),
        ),
        ({1: (Decimal("2.0"),)}, ("", "dict of 1", ("1", "tuple of 1", ("0", "2.0")))),
        ([], ("", "list of 0")),
        ({"deep": [[[["x"]]]]}, None),
    ],
)
def test_dicts_and_lists_are_trees(look_at, value, expected):
    shown = look_at(value)
    assert expected is None or outline(shown.tree) == expected


def test_items_are_shown_element_by_element(look_at):
    values = [{"n": n, "text": "x" * 100} for n in range(5000)]
    for number, at in enumerate([0, 2, 4999]):
        shown = look_at(items(values), At(element=at), pushed=number > 0)
        first = shown.tree.children[0]
        assert outline(first) == (str(at), "dict of 2", ("n", str(at)), ("text", repr("x" * 100)))
        assert (shown.elements[0], shown.of_elements) == (at, 5000)


@pytest.mark.parametrize(
    "value", [b"a" * 100_000, np.arange(10), pd.DataFrame({"a": [1]}), pa.table({"a": [1]})]
)
def test_members_of_an_archive_are_shown_one_by_one(look_at, value):
    shown = look_at(items([b"first", value] * 20), At(element=1))
    assert (shown.elements, shown.of_elements) == ((1, 2), 40)
    assert shown.table or shown.text


def test_a_value_with_frames_in_it_is_a_tree(look_at):
    shown = look_at({"frame": pd.DataFrame({"a": [1]}), "n": 1})
    assert [node.label for node in shown.tree.children] == ["frame", "n"]
    large = look_at({"frame": LARGE, "n": 1})
    assert "value.json" in [node.label for node in large.tree.children]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("size", [100, 5_000_000])
def test_texts_are_shown_from_their_start(look_at, monkeypatch, compression, size):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__COMPRESSION", compression)
    text = "".join(map(str, np.random.default_rng(0).integers(0, 10, 2000))) * (size // 2000 + 1)
    assert text.startswith(look_at(text).text)
    assert look_at([text]).text or size == 100 or compression != "none"
    shown = look_at(np.arange(size))
    assert cells(shown)[:3] == [["0"], ["1"], ["2"]]
    assert shown.plot.rows[0][:2] == [0.0, shown.plot.rows[0][1]]


def files() -> dict[str, tuple[bytes, Any]]:
    parquet = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), parquet)
    png = bytes.fromhex("89504e470d0a1a0a") + b"0" * 100
    return {
        "a.csv": (b"a,b\n1,2\n3,\n", [["1", "2"], ["3", None]]),
        "a.parquet": (parquet.getvalue(), [["1"], ["2"]]),
        "a.json": (b'{"a": [1]}', "dict of 1"),
        "a.txt": ("ä text".encode(), "ä text"),
        "a.bin": (bytes(range(256)), "00 01 02"),
        "a.png": (png, png),
        "wrong.png": (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        "a.svg": (b"<svg onload='alert(1)'/>", "<svg onload='alert(1)'/>"),
        "a.html": (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        "empty.csv": (b"", ""),
    }


@pytest.mark.parametrize("name", files())
def test_files_are_shown_by_what_they_hold(look_at, tmp_path, name):
    content, expected = files()[name]
    (tmp_path / name).write_bytes(content)
    shown = look_at(File(tmp_path / name))
    if shown.table:
        assert cells(shown) == expected
    elif shown.picture:
        assert (shown.picture.data, shown.picture.media_type) == (expected, "image/png")
    elif shown.tree:
        assert shown.tree.text == expected
    else:
        assert expected in shown.text


def test_no_class_is_loaded_to_be_looked_at(look_at, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", "tests.*")
    from tests.helpers.kinds import Point

    for value in ([Point(1, 2)], pd.DataFrame({"p": [Point(1, 2)]}), items([Point(1, 2)])):
        shown = look_at(value)
        text = str(shown)
        assert "Point" in text
        assert "Point(" not in text


def test_a_pickle_is_not_loaded(look_at, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ENABLE_XCOM_PICKLING", "true")
    assert "never loaded just to be looked at" in look_at(object).notes[0]


def test_one_large_element_hides_no_other(look_at):
    large = "x" * 3 * 2**20
    for number, value in enumerate([items([large, "small"]), items([large.encode(), b"small"])]):
        shown = look_at(value)
        assert "more than 4 requests or 2.0 MiB" in shown.notes[0]
        assert (shown.elements, shown.of_elements) == ((0, 1), 2)
        other = look_at(None, At(element=1), pushed=True)
        assert "small" in str(other), number
    shown = look_at(rows(pd.DataFrame({"t": [large, "small"]})))
    assert (shown.table.rows, shown.table.of_rows) == ([], 2)
    assert cells(look_at(None, At(1), pushed=True)) == [["small"]]


def test_a_table_within_a_sequence_is_walked_through_on_its_own(look_at):
    frame = pd.DataFrame([range(80)] * 60)
    shown = look_at(items([b"first", frame]), At(50, 30, element=1))
    assert (shown.table.first, len(shown.table.rows), shown.table.first_column) == (50, 10, 30)
    assert shown.table.rows[0][1][0] == "30"
    assert shown.elements == (1, 2)


def test_wide_batches_are_shown_one_by_one(look_at):
    frame = pd.DataFrame([[r * 1000 + c for c in range(400)] for r in range(40)])
    for number in (0, 3, 7):
        shown = look_at(batches(frame, 5), At(1, 60, element=number))
        assert shown.table.rows[0] == (
            [str(5 * number + 1)],
            [str((5 * number + 1) * 1000 + c) for c in range(60, 90)],
        )
        assert (shown.elements, shown.of_elements) == ((number, number + 1), 8)


def test_a_text_of_another_encoding_is_no_text(look_at, tmp_path):
    for name in ("a.txt", "a.csv"):
        for count in (10, 100_000):
            (tmp_path / name).write_bytes("Zürich,schön\n".encode("latin-1") * count)
            assert "It is no text in UTF-8." in look_at(File(tmp_path / name)).notes
    (tmp_path / "long.txt").write_bytes(b"x" + "ü".encode() * 2**20)
    assert look_at(File(tmp_path / "long.txt")).text.startswith("xü")


def test_a_csv_file_is_walked_through(look_at, tmp_path):
    lines = [",".join(f"{r}.{c}" for c in range(80)) for r in range(200)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(map(str, range(70))), *lines]))
    shown = look_at(File(tmp_path / "a.csv"), At(150, 60))
    assert (shown.table.first, shown.table.of_rows, shown.table.of_columns) == (150, 200, 80)
    assert shown.table.rows[0][1] == [f"150.{c}" for c in range(60, 80)]


def test_limits_are_those_of_the_column_and_of_values(look_at):
    frame = pd.DataFrame(
        {
            "a.b": [5, 6],
            "a": [{"b": 100}, {"b": 200}],
            "period": pd.period_range("2026-01", periods=2, freq="M"),
            "delta": pd.to_timedelta([1, 2], "s"),
            "mixed": ["x", 1],
        }
    )
    found = {column.label: (column.least, column.most) for column in look_at(frame).table.columns}
    assert found == {"a.b": ("5", "6"), **dict.fromkeys(("a", "period", "delta", "mixed"), (None, None))}


def described(shown: Shown) -> dict[str, tuple[int | None, str | None, str | None]]:
    return {column.label: (column.nulls, column.least, column.most) for column in shown.table.columns}


def parquet_file(folder: Path, *tables: pa.Table) -> Path:
    """A file with a row group for each table."""
    path = folder / "a.parquet"
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return path


def test_limits_are_those_of_all_row_groups_or_not_shown(look_at, tmp_path):
    tables = [
        pa.table({"t": [text], "n": [number]}) for text, number in (("m", 1), ("z" * 5000, 2), ("n", 3))
    ]
    assert described(look_at(File(parquet_file(tmp_path, *tables)))) == {
        "t": (0, None, None),
        "n": (0, "1", "3"),
    }
    nothing = pa.table({"t": pa.array([None], pa.string()), "n": pa.array([None], pa.int64())})
    found = described(look_at(File(parquet_file(tmp_path, tables[0], nothing, tables[0].slice(0, 0)))))
    assert found == {"t": (1, "m", "m"), "n": (1, "1", "1")}
    assert described(look_at(pd.DataFrame({"t": ["a", "z" * 5000], "u": ["a" * 5000, "z"]}))) == {
        "t": (0, None, None),
        "u": (0, None, None),
    }


def test_limits_that_other_writers_may_have_cut_are_not_shown(look_at, tmp_path):
    path = parquet_file(tmp_path, pa.table({"t": ["a", "b"], "n": [1, 2]}))
    assert described(look_at(File(path))) == {"t": (0, "a", "b"), "n": (0, "1", "2")}
    path.write_bytes(path.read_bytes().replace(b"parquet-cpp-arrow", b"parquet-rs       "))
    assert described(look_at(File(path))) == {"t": (0, None, None), "n": (0, "1", "2")}


def test_limits_and_missing_values_are_those_of_the_cells(look_at, tmp_path):
    moment = pd.Timestamp("2026-01-01", tz="Europe/Berlin")
    frame = pd.DataFrame(
        {
            "x": [float("nan"), 0.0, 1.5],
            "when": [moment, None, moment],
            "f": pd.array([0.5, None, 0.5], "Float64"),
            "l": [[1, None], None, [2]],
            "d": [{"a": None}, {"a": 1}, None],
            "u": pd.array([2**64 - 1, None, 1], "UInt64"),
        }
    )
    assert described(look_at(frame)) == {
        "x": (1, "0.0", "1.5"),
        "when": (1, str(moment), str(moment)),
        "f": (None, "0.5", "0.5"),  # there could be NaN among the numbers
        "l": (None, None, None),
        "d": (None, None, None),
        "u": (1, "1", str(2**64 - 1)),
    }
    lists = pa.array([[None], None, []], pa.list_(pa.int64()))
    table = pa.table({"x": [float("nan"), 1.0, None], "l": lists})
    assert described(look_at(File(parquet_file(tmp_path, table)))) == {
        "x": (None, "1.0", "1.0"),
        "l": (None, None, None),
    }


def test_limits_are_not_those_of_texts_that_stand_for_other_values(look_at):
    chunks = [
        {"t": ["b", "c"], "u": ["b", None], "n": [1, 2]},
        {"t": [1, "a"], "u": [None, None], "n": [3, 4]},
        {"t": ["a", None], "u": ["a", "c"], "n": [5, 6]},
    ]
    frames = [pd.DataFrame(chunk).astype({"t": object, "u": object}) for chunk in chunks]
    assert described(look_at(batches(frames))) == {
        "t": (None, None, None),
        "u": (3, "a", "c"),
        "n": (0, "1", "6"),
    }


def test_row_groups_without_rows_are_shown_as_nothing(look_at, tmp_path):
    table = pa.table({"t": ["x"]})
    empty = table.slice(0, 0)
    for tables in ([empty], [empty, empty], [empty, table, empty, table], [table, empty]):
        shown = look_at(File(parquet_file(tmp_path, *tables)))
        assert cells(shown) == [["x"]] * sum(each.num_rows for each in tables)
        assert shown.table.of_rows == len(shown.table.rows)


def test_a_table_that_was_read_from_a_frame_and_changed_is_shown_as_it_is(look_at, task, s3):
    task.push(pd.DataFrame({"a": [1], "b": [2]}, index=["x"]))
    table = pq.read_table(io.BytesIO(s3.Object(task.object_key()).get()["Body"].read()))
    shown = look_at(table.append_column("new", pa.array([9])))
    assert [column.label for column in shown.table.columns] == [*table.column_names, "new"]
    assert cells(look_at(table.select(["b"]))) == [["2"]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[-1.7e308, 1.7e308], [0.0, 1.0]]), "1.7e+308"),
        (np.array(["2026-01-01", "NaT"], "datetime64[ns]"), "2026-01-01"),
        ([10**5000], "too long to be shown"),
        (pa.table({"t": pa.array([2**62], pa.timestamp("us"))}), "label='t'"),
        (pa.table({"t": pa.array([0], pa.timestamp("us", "Foo/Bar"))}), "t"),
        (pd.DataFrame(index=pd.RangeIndex(5)), "'4'"),
        (
            pd.DataFrame(
                {"t": [datetime.datetime(2026, 1, d) for d in range(1, 13)]
                 + [datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)]}
            ),
            "2026-01-12",
        ),
    ],
)  # fmt: skip
def test_odd_values_are_shown(look_at, value, expected):
    assert expected in str(look_at(value))
