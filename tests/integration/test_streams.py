"""Tables that come in pieces, such as results larger than memory; and columns of what was stored."""

from __future__ import annotations

import datetime
import json
import uuid
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pandas.testing import assert_frame_equal

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.errors import ObjectMissingError, UnsupportedValueError
from include.s3_xcom.s3 import parts, ranges, uploads
from tests.helpers.same import assert_same

UTC = datetime.timezone.utc
WINTER, SUMMER = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2))


def chunk(start: int, rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {"n": range(start, start + rows), "x": np.arange(rows) / 7, "s": ["a", "b", "c"][:rows]}
    )


def objects(name: str, *values: object) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(list(values), dtype=object)})


def uploads_left(bucket) -> list:
    return bucket.meta.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])


def test_chunks_come_back_as_they_were(task):
    chunks = [chunk(0), chunk(3), chunk(6, 1)]
    task.push(batches(iter(chunks)))
    pulled = task.pull()
    assert len(pulled) == 3
    for got, expected in zip(pulled, chunks):
        assert_same(got, expected)
    assert_same(pulled[1], chunks[1])
    assert_same(list(pulled.frames()), chunks)
    assert_frame_equal(pulled.to_frame(), pd.concat(chunks, ignore_index=True), check_exact=True)
    assert json.loads(task.row())["shape"] == [7, 3]


@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_chunks_are_cut_anew(task, size):
    chunks = [chunk(0), chunk(3), chunk(6, 1)]
    task.push(batches(iter(chunks), size))
    whole = pd.concat(chunks, ignore_index=True)
    pulled = task.pull()
    assert len(pulled) == len(batches(whole, size))
    for got, expected in zip(pulled, batches(whole, size)):
        assert_frame_equal(got, expected, check_exact=True)
        assert type(got.index) is pd.RangeIndex
    assert_frame_equal(pulled.to_frame(), whole, check_exact=True)


COLUMNS = {
    "nothing first": [[None, None], ["a", None]],
    "nothing later": [[1, None], [None, None]],
    "nothing at all": [[None], [None]],
    "another kind of nothing": [["a", None], ["b", float("nan")]],
    "nothing, then numbers": [[None], [7]],
    "text, then anything": [["a"], [(1, {"k": Decimal("1.5")})]],
    "several types, then others": [[1, "a"], [2], [None], ["b", Decimal("1.5"), (1,)]],
    "text, then several types": [["a"], ["b", 1, None]],
    "JSON of any form": [[{"a": 1}], [{"b": [1]}], [None], [[1, "x"]]],
    "Decimals that get longer": [[Decimal("1.50")], [Decimal("12345678901234.99"), None]],
    "Decimals of several exponents": [
        [Decimal("1.5"), Decimal("1.25")],
        [Decimal("2")],
        [Decimal("0.123456")],
    ],
    "offsets, one after the other": [
        [datetime.datetime(2024, 1, 1, tzinfo=WINTER)],
        [datetime.datetime(2024, 7, 1, tzinfo=SUMMER), None],
        [datetime.datetime(2024, 7, 1, tzinfo=SUMMER), datetime.datetime(2024, 1, 1, tzinfo=WINTER)],
    ],
    "UTC": [[datetime.datetime(2024, 1, 1, tzinfo=UTC)], [None, datetime.datetime(2024, 7, 1, tzinfo=UTC)]],
    "UUIDs": [[uuid.UUID(int=1)], [None, uuid.UUID(int=2)]],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_objects_may_differ_from_chunk_to_chunk(task, name):
    chunks = [objects("value", *values) for values in COLUMNS[name]]
    task.push(batches(iter(chunks)))
    pulled = task.pull()
    assert_same(list(pulled), chunks)
    assert_same(pulled.to_frame()["value"].tolist(), [item for values in COLUMNS[name] for item in values])
    assert_same(pulled.to_frame(columns=["value"]), pulled.to_frame())


@pytest.mark.parametrize(
    ("later", "says"),
    [
        (
            chunk(0).astype({"n": "float64"}),
            r"at value\[1\]\['n'\], its dtype is float64, and int64 in the first",
        ),
        (chunk(0)[["x", "n", "s"]], r"at value\[1\], its columns are not those of the first"),
        (chunk(0).assign(more=1), "columns are not those"),
        (chunk(0).set_index("n"), "columns are not those"),
        (chunk(0).set_axis([2, 3, 4], axis=0), "index is of another kind"),
        ([1], r"at value\[1\], a list is no chunk"),
    ],
)
def test_what_is_not_like_the_first_is_refused_by_its_number(task, s3, later, says):
    before = set(s3.objects.all())
    with pytest.raises(UnsupportedValueError, match=says):
        task.push(batches(iter([chunk(0), later])))
    assert set(s3.objects.all()) == before
    assert task.row() is None


def test_categories_of_another_order_are_refused_since_their_codes_would_mean_others(task):
    frames = [pd.DataFrame({"c": pd.Categorical([10, 20], order)}) for order in ([10, 20], [20, 10])]
    with pytest.raises(UnsupportedValueError, match=r"at value\[1\]\['c'\]"):
        task.push(batches(iter(frames)))


@pytest.mark.parametrize("missing", [pd.NaT, pd.NA, None, float("nan")], ids=repr)
def test_what_is_missing_stays_of_its_kind(task, missing):
    chunks = [objects("v", "a", "b"), objects("v", missing, missing)]
    expected = ["a", "b", missing, missing]
    task.push(batches(iter(chunks)))
    assert_same(task.pull().to_frame()["v"].tolist(), expected)
    task.push(batches(iter(chunks), 4), "cut anew")
    assert_same(task.pull("cut anew")[0]["v"].tolist(), expected)


@pytest.mark.parametrize("size", [None, 2])
def test_the_name_of_a_range_and_attrs_stay(task, size):
    chunks = [pd.DataFrame({"x": [1, 2, 3]}, index=pd.RangeIndex(3, name="id")) for _ in range(3)]
    for frame in chunks:
        frame.attrs["source"] = "here"
    task.push(batches(iter(chunks), size))
    whole = task.pull().to_frame()
    assert_frame_equal(whole, pd.DataFrame({"x": [1, 2, 3] * 3}, index=pd.RangeIndex(9, name="id")))
    assert whole.attrs == {"source": "here"}


INDEXES = {
    "objects": [pd.Index(values, dtype=object) for values in ([0, 10], [None, 5], [7, 8])],
    "big-endian": [pd.Index(np.array(values, ">f8")) for values in ([0, 1], [2, 3], [4, 5])],
    "levels": [pd.MultiIndex.from_product([pd.Index([n], dtype=object), ["a", "b"]]) for n in range(3)],
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("size", [None, 3])
def test_indexes_and_columns_keep_their_dtypes(task, name, size):
    chunks = [pd.DataFrame({"x": np.arange(2, dtype=">f8")}, index=index) for index in INDEXES[name]]
    task.push(batches(iter(chunks), size))
    whole = task.pull().to_frame()
    assert_same(whole.index.tolist(), [label for index in INDEXES[name] for label in index.tolist()])
    assert whole.dtypes["x"] == ">f8"
    for level in range(whole.index.nlevels):
        dtype = INDEXES[name][0].get_level_values(level).dtype
        assert whole.index.get_level_values(level).dtype == dtype


def test_a_generator_that_fails_when_closed_hides_nothing(task, caplog):
    def chunks():
        try:
            yield chunk(0)
            yield 5
        finally:
            raise RuntimeError("cannot close")

    with pytest.raises(UnsupportedValueError, match="a int is no chunk"):
        task.push(batches(chunks()))
    assert "failed when closed (RuntimeError)" in caplog.text


def test_a_file_whose_lines_are_items_stays_open(task, tmp_path):
    (tmp_path / "lines").write_text("a\nb\n")
    with (tmp_path / "lines").open() as lines:
        task.push(items(lines))
        assert not lines.closed
    assert list(task.pull()) == ["a\n", "b\n"]


@pytest.mark.parametrize("size", [None, 3])
def test_a_generator_may_fill_the_same_buffer_again(task, size):
    def chunks():
        buffer = np.zeros((4, 1))
        for number in range(6):
            buffer[:] = number
            yield pd.DataFrame(buffer, columns=["x"])

    task.push(batches(chunks(), size))
    assert task.pull().to_frame()["x"].tolist() == [float(n) for n in range(6) for _ in range(4)]

    def elements():
        element = {}
        for number in range(2500):
            element["n"] = number
            yield element

    task.push(items(elements()), "items")
    assert [element["n"] for element in task.pull("items")] == list(range(2500))


def test_a_generator_is_closed_after_a_push_that_failed(task):
    closed = []

    def chunks():
        try:
            yield chunk(0)
            yield [1]
            yield chunk(0)
        finally:
            closed.append(True)

    with pytest.raises(UnsupportedValueError) as raised:
        task.push(batches(chunks()))
    assert closed == [True]
    assert raised.value.__traceback__ is not None


def test_objects_that_do_not_fit_the_first_chunk_are_refused(task):
    frames = [objects("price", Decimal("1.50")), objects("price", Decimal("1.505"))]
    with pytest.raises(UnsupportedValueError, match=r"at value\[1\]\['price'\], its objects are stored as"):
        task.push(batches(iter(frames)))


def test_a_query_that_dies_leaves_nothing(task, s3, monkeypatch):
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", 6 * 2**20)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 2**20)
    before = set(s3.objects.all())

    def query():
        for _ in range(7):
            yield pd.DataFrame({"x": np.random.default_rng(0).random(250_000)})
        raise ConnectionError("server closed the connection unexpectedly")

    with pytest.raises(ConnectionError, match="server closed"):
        task.push(batches(query()))
    assert set(s3.objects.all()) == before
    assert uploads_left(s3) == []
    assert task.row() is None


@pytest.mark.parametrize(
    "chunks", [[], [chunk(0, 0)], [chunk(0, 0), chunk(0, 0)]], ids=["none", "one", "two"]
)
@pytest.mark.parametrize("size", [None, 5])
def test_without_rows_it_is_like_an_empty_frame(task, chunks, size):
    task.push(batches(iter(chunks), size))
    pulled = task.pull()
    assert len(pulled) == 0
    assert list(pulled) == []
    assert_frame_equal(pulled.to_frame(), chunks[0] if chunks else pd.DataFrame(), check_exact=True)


def test_chunks_without_rows_are_left_out(task):
    task.push(batches(iter([chunk(0, 0), chunk(0), chunk(0, 0), chunk(3)])))
    assert_same(list(task.pull()), [chunk(0), chunk(3)])


def test_it_is_read_once_and_says_so(task, monkeypatch):
    sequence = batches(iter([chunk(0)]))
    for use in (iter, lambda s: s.to_frame(), lambda s: s.dataset()):
        with pytest.raises(TypeError, match="Return it from the task"):
            use(sequence)
    task.push(sequence)
    # It is that of the stored object now, so Airflow can ask for its length.
    assert len(sequence) == 1
    assert_same(sequence[0], chunk(0))
    task.push(sequence, "again")
    assert_same(list(task.pull("again")), [chunk(0)])
    failed = batches(iter([chunk(0), [1]]))
    for says in ("no chunk", "were taken by a push before"):
        with pytest.raises(UnsupportedValueError, match=says):
            task.push(failed)


def test_its_length_can_be_asked_for_before_the_push(task):
    """As Airflow 3 does. The elements are on this machine's disk then."""
    made = batches(iter([chunk(0), chunk(3)])), items(iter([1, "two", 3])), items(iter([b"1", chunk(0)]))
    for sequence, expected in zip(made, ([chunk(0), chunk(3)], [1, "two", 3], [b"1", chunk(0)])):
        assert len(sequence) == len(sequence) == len(expected)
        with pytest.raises(TypeError, match="Return it from the task"):
            sequence[0]
        task.push(sequence)
        assert_same(list(task.pull()), expected)
        assert_same(list(sequence), expected)
        task.push(sequence)
        assert_same(list(task.pull()), expected)


def test_a_record_batch_reader_is_streamed(task):
    table = pa.table(
        {"n": pa.array([1, None, 3], pa.int32()), "s": pa.array(["a", "b", None], pa.large_string())}
    )
    task.push(batches(pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))))
    pulled = task.pull()
    assert len(pulled) == 2
    assert pulled.to_arrow().equals(table)
    assert pulled.to_arrow(columns=["s"]).equals(table.select(["s"]))
    assert [str(dtype) for dtype in pulled[0].dtypes] == ["int32[pyarrow]", "large_string[pyarrow]"]
    assert pulled[0]["n"].tolist() == [1, pd.NA]


FOREIGN = {"n": [1, None], "s": ["a", None], "day": [datetime.date(2024, 1, 1), None], "l": [[1], None]}


@pytest.mark.parametrize("make", [pa.table, polars.DataFrame], ids=["pyarrow", "polars"])
def test_rows_and_batches_take_frames_of_pyarrow_and_polars(task, make):
    frame = make(FOREIGN)
    task.push(rows(frame))
    assert_same(list(task.pull()), [dict(zip(FOREIGN, cells)) for cells in zip(*FOREIGN.values())])
    arrow = frame if make is pa.table else frame.to_arrow()
    assert task.pull().to_arrow().equals(arrow)
    task.push(batches(frame, 1), "batches")
    assert len(task.pull("batches")) == 2
    assert task.pull("batches").to_arrow().equals(arrow)


WIDE = pd.DataFrame({f"c{i}": np.random.default_rng(i).random(20_000) for i in range(20)}).assign(
    price=[Decimal(i) / 100 for i in range(20_000)]
)


@pytest.mark.parametrize("make", [rows, lambda frame: batches(frame, 5000)], ids=["rows", "batches"])
def test_columns_are_read_without_the_others(task, make, moved):
    frame = WIDE.set_index(WIDE["c19"].rename("key"))
    task.push(make(frame))
    pulled = task.pull()
    moved.clear()
    assert_frame_equal(pulled.to_frame(columns=["price", "c3"]), frame[["price", "c3"]], check_exact=True)
    assert sum(size for _, size in moved) < json.loads(task.row())["size"] / 3
    assert pulled.to_arrow(columns=["c3"]).column_names == ["c3"]
    with pytest.raises(KeyError, match="There is no column 'c99'"):
        pulled.to_frame(columns=["c99"])


def test_columns_of_several_ranges_are_read(task, monkeypatch):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 100_000)
    frame = pd.DataFrame({"x": np.random.default_rng(0).random(100_000), "y": 1})
    for name, sequence in (("batches", batches(frame, 100_000)), ("chunks", batches(iter([frame])))):
        task.push(sequence, name)
        assert_frame_equal(task.pull(name).to_frame(columns=["x"]), frame[["x"]], check_exact=True)
        assert task.pull(name).to_arrow(columns=["x"])["x"].to_pylist() == frame["x"].tolist()


def test_columns_are_found_by_any_labels(task):
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=pd.Index(["x", 0, float("nan"), "x"], dtype=object))
    task.push(batches(frame, 1))
    pulled = task.pull()
    for labels in (["x"], [0], np.array([0]), (label for label in ["x"]), [float("nan")]):
        wanted = list(labels)
        assert_same(pulled.to_frame(columns=iter(wanted)), frame.iloc[:, _positions(wanted[0])])
    assert pulled.to_arrow().to_pydict() == {"x": [1], "0": [2], "nan": [3], "x.1": [4]}
    assert pulled.to_arrow(columns=["x"]).to_pydict() == {"x": [1], "x.1": [4]}


def _positions(label: object) -> list[int]:
    return [0, 3] if label == "x" else [1] if label == 0 else [2]


def test_after_an_error_a_stream_does_not_look_like_its_end(task, tmp_path, monkeypatch, s3):
    (tmp_path / "file").write_bytes(bytes(10_000_000))
    monkeypatch.setattr(ranges, "RANGE_BYTES", 1_000_000)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 2_000_000)
    task.push(File(tmp_path / "file"))
    with task.pull().open() as stream:
        stream.read(10)
        s3.Object(task.object_key()).delete()
        for _ in range(2):
            with pytest.raises(ObjectMissingError):
                stream.read()


def test_one_label_is_no_list_of_columns(task):
    task.push(batches(chunk(0), 2))
    for sequence in (task.pull(), batches(chunk(0), 2)):
        with pytest.raises(TypeError, match="a list of labels"):
            sequence.to_frame(columns="nx")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")], ids=repr)
def test_what_fails_on_the_way_does_not_look_like_the_end_of_an_iteration(task, monkeypatch, error):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 100_000)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 200_000)
    task.push(pd.DataFrame({"x": np.random.default_rng(0).random(200_000)}))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ranges, "read", fail)
    with pytest.raises(type(error)):
        list(map(task.pull, ["return_value"] * 3))


def test_a_large_frame_without_columns_comes_back(task, monkeypatch):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 1000)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 2000)
    frame = pd.DataFrame(index=range(3))
    frame.attrs["note"] = np.random.default_rng(0).bytes(5000).hex()
    task.push(frame)
    assert_same(task.pull(), frame)


def test_other_engines_scan_the_object_in_place(task, moved):
    task.push(batches(iter([WIDE.iloc[:15_000], WIDE.iloc[15_000:].reset_index(drop=True)])))
    dataset = task.pull().dataset()
    moved.clear()
    expected = WIDE.loc[WIDE["c0"] > 0.5, "c1"].sum()
    filtered = dataset.to_table(columns=["c1"], filter=pc.field("c0") > 0.5)
    assert pc.sum(filtered["c1"]).as_py() == pytest.approx(expected)
    assert sum(size for _, size in moved) < json.loads(task.row())["size"] / 3
    ((found,),) = duckdb.sql("SELECT sum(c1) FROM dataset WHERE c0 > 0.5").fetchall()
    assert found == pytest.approx(expected)
    lazy = polars.scan_pyarrow_dataset(dataset).filter(polars.col("c0") > 0.5).select(polars.col("c1").sum())
    assert lazy.collect().item() == pytest.approx(expected)


def test_a_lost_object_is_named_by_all_ways_to_read_it(task, s3):
    task.push(batches(iter([chunk(0)])))
    pulled = task.pull()
    s3.Object(task.object_key()).delete()
    for read in (
        lambda: pulled.to_frame(),
        lambda: pulled.to_frame(columns=["n"]),
        lambda: pulled.to_arrow(),
        lambda: pulled.dataset(),
    ):
        with pytest.raises(ObjectMissingError, match=task.object_key()):
            read()


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, "two", None],
        [{"n": i, "at": Decimal(i)} for i in range(2500)],
        [b"x" * 3000, chunk(0), "text"],
    ],
    ids=["none", "few", "many", "binary"],
)
def test_items_come_one_after_the_other(task, values):
    sequence = items(value for value in values)
    task.push(sequence)
    assert len(sequence) == len(values)
    assert_same(list(task.pull()), values)
    assert json.loads(task.row())["shape"] == [len(values)]


def test_an_item_that_cannot_be_pushed_is_found(task):
    with pytest.raises(UnsupportedValueError, match=r"at value\[1700\]\['k'\]"):
        task.push(items(iter([*[1] * 1700, {"k": object()}])))


def test_a_generator_is_refused_with_what_takes_it(task):
    with pytest.raises(UnsupportedValueError, match=r"items\(.*batches\("):
        task.push(chunk(i) for i in range(3))
