"""batches() of frames with many columns: what belongs to all batches is stored once."""

from __future__ import annotations

import io
import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from include.s3_xcom import batches
from include.s3_xcom.admin.command_line import main
from include.s3_xcom.errors import FormatError, IntegrityError
from tests.helpers.frames import FRAME
from tests.helpers.requests import calling

INDEXES = {
    "range": pd.RangeIndex(3, 27, 2),
    "dates": pd.date_range("2026-01-01", periods=12, tz="Europe/Berlin", name="when"),
    "two levels": pd.MultiIndex.from_product([list("abc"), range(4)], names=["x", None]),
    "strings": pd.Index([f"row {n}" for n in range(12)]),
}


def wide(rows: int = 12, seed: int = 0) -> pd.DataFrame:
    """200 columns of all the dtypes that the other tests of sequences have, and texts of all lengths."""
    parts = [pd.concat([FRAME] * (rows // len(FRAME) + 1), ignore_index=True)[:rows] for _ in range(20)]
    frame = pd.concat(parts, axis=1)
    frame.columns = [f"{name} {number}" for number, name in enumerate(frame.columns)]
    chance = random.Random(seed)
    frame["text"] = ["x" * int(chance.lognormvariate(4, 2)) for _ in range(rows)]
    return frame


@pytest.fixture
def moved(stack) -> list[str]:
    """The requests to S3."""
    seen: list[str] = []
    with calling(lambda model, **_: seen.append(model.name), "before-call.s3"):
        yield seen


@pytest.mark.parametrize("index", INDEXES.values(), ids=list(INDEXES))
@pytest.mark.parametrize("size", [1, 5, 12])
def test_each_batch_and_the_frame_come_back(task, index, size):
    frame = wide().set_axis(index)
    frame.attrs = {"source": "test"}
    task.push(batches(frame, size))
    pulled = task.pull()
    assert json.loads(task.row())["codec"] == "batches.arrow"
    assert len(task.row()) < 2048
    parts = [frame.iloc[start : start + size] for start in range(0, 12, size)]
    assert len(pulled) == len(parts)
    for number in {0, 1 % len(parts), len(parts) - 1}:
        got = task.pull()[number]
        assert_frame_equal(got, parts[number], check_exact=True)
        assert got.attrs == {"source": "test"}
    for got, part in zip(pulled, parts):
        assert_frame_equal(got, part, check_exact=True)
    for got, part in zip(pulled[2:-1:2], parts[2:-1:2]):
        assert_frame_equal(got, part, check_exact=True)
    assert_frame_equal(pulled.to_frame(), frame, check_exact=True)


def test_a_batch_is_two_requests_at_most(task, moved):
    frame = wide(60)
    task.push(batches(frame, 1))
    layout = json.loads(task.row())["layout"]
    assert sum(run[0] for run in layout["runs"]) < 60, "there should be batches that only the index finds"
    for number in (0, 1, 30, 59):
        pulled = task.pull()
        moved.clear()
        assert pulled[number].iloc[0]["text"] == frame.iloc[number]["text"]
        assert moved in (["GetObject"] * 2, ["GetObject"])
    pulled = task.pull()
    moved.clear()
    assert sum(len(part) for part in pulled) == 60
    assert len(moved) <= 4


def test_the_cost_of_a_batch_follows_its_data(task):
    """At 8 bytes a cell, the description of a cell takes some 100 more, and not hundreds."""
    frame = pd.DataFrame(np.random.default_rng(0).random((50, 1000)), columns=[f"c{n}" for n in range(1000)])
    task.push(batches(frame, 1))
    assert json.loads(task.row())["size"] < 50 * 1000 * (8 + 110)
    in_batches = json.loads(task.row())["size"]
    task.push(frame)
    assert in_batches < 5.5 * json.loads(task.row())["size"]


def test_standard_tools_read_the_object_as_a_whole(task, s3):
    frame = wide(10)
    task.push(batches(frame, 3))
    stored = s3.Object(task.object_key())
    assert stored.content_type == "application/vnd.apache.arrow.file"
    assert task.object_key().endswith(".arrow")
    table = pa.ipc.open_file(io.BytesIO(stored.get()["Body"].read())).read_all()
    assert table.num_rows == 10
    assert table.column("text").to_pylist() == frame["text"].tolist()


def test_columns_in_chunks_are_no_reason_for_more(task):
    chunks = pa.chunked_array([[1, 2, 3], [4, 5]])
    columns = {f"c{n}": pd.arrays.ArrowExtensionArray(chunks) for n in range(200)}
    frame = pd.DataFrame(columns)
    task.push(batches(frame, 2))
    assert json.loads(task.row())["codec"] == "batches.arrow"
    assert_frame_equal(task.pull()[1], frame.iloc[2:4])
    assert_frame_equal(task.pull().to_frame(), frame)


def test_narrow_frames_stay_parquet(task):
    task.push(batches(wide().iloc[:, :10], 1))
    assert task.object_key().endswith(".parquet")


def test_it_is_pushed_again_shown_and_saved(new_task, capsys, tmp_path, s3):
    first, second = new_task(), new_task()
    first.push(batches(wide(), 4))
    second.push(first.pull())
    assert_frame_equal(second.pull()[2], wide().iloc[8:12], check_exact=True)
    capsys.readouterr()
    assert main(["show", f"s3://{s3.name}/{second.object_key()}"]) == 0
    assert "text" in capsys.readouterr().out


def test_an_altered_or_damaged_object_is_refused(task, s3):
    task.push(batches(wide(), 1))
    stored = s3.Object(task.object_key())
    body = stored.get()["Body"].read()
    pulled = task.pull()
    stored.put(Body=body[:-1] + b"x")
    with pytest.raises(IntegrityError):
        pulled[3]
    half = len(body) // 2
    for damage in (bytes(len(body)), b"\xff" * len(body), body[:half] + bytes(len(body) - half)):
        reference = json.loads(task.row())
        reference["etag"] = stored.put(Body=damage)["ETag"]
        task.set_row(json.dumps(reference).encode())
        with pytest.raises((FormatError, IntegrityError), match=r"a dag\.task.*s3://"):
            list(task.pull())
