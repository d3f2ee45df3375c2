"""rows, batches and items pushed and pulled: what moves, and what comes back."""

from __future__ import annotations

import io
import json
import os
import random

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from include.s3_xcom import batches, items, rows
from include.s3_xcom.errors import IntegrityError, ObjectMissingError, UnsupportedValueError
from include.s3_xcom.s3 import copies, parts, uploads
from tests.helpers.frames import FRAME
from tests.helpers.same import assert_same

LARGE = pd.concat([FRAME] * 1000)


def size_of(task) -> int:
    return json.loads(task.row())["size"]


@pytest.mark.parametrize(
    "sequence",
    [
        rows(FRAME),
        rows(LARGE),
        batches(FRAME, 2),
        batches(LARGE, 700),
        items([{"a": 1}, (1, 2), None, float("nan"), "text"]),
        items([os.urandom(3000), FRAME, {"frame": FRAME}, "text", b""]),
        rows(FRAME.iloc[:0]),
        batches(FRAME.iloc[:0], 2),
        items([]),
    ],
    ids=repr,
)
def test_what_is_pulled_is_what_was_pushed(task, sequence):
    task.push(sequence)
    pulled = task.pull()
    assert len(pulled) == len(sequence)
    for got, expected in zip(pulled, sequence):
        assert_same(got, expected)
    for index in {0, len(sequence) // 2, len(sequence) - 1} if len(sequence) else ():
        assert_same(pulled[index], sequence[index])
    assert_same(pulled[1:-1:2], sequence[1:-1:2])
    assert len(task.row()) < 2048


@pytest.mark.parametrize(
    "sequence",
    [rows(LARGE), batches(LARGE, 700), rows(FRAME.iloc[:0]), batches(FRAME.iloc[:0], 2)],
    ids=repr,
)
def test_the_frame_comes_back_whole(task, sequence):
    task.push(sequence)
    assert_frame_equal(task.pull().to_frame(), sequence.to_frame(), check_exact=True)


def test_pulling_moves_no_data(task, moved):
    task.push(rows(LARGE))
    moved.clear()
    pulled = task.pull()
    assert (len(pulled), repr(pulled)) == (3000, f"rows (3,000 x 10) at s3://xcom/{task.object_key()}")
    assert pulled == task.pull()
    assert moved == []


def test_it_equals_what_was_pushed(task):
    sequence = rows(FRAME[["n", "size"]])
    task.push(sequence)
    assert task.pull() == sequence == task.pull()
    assert {"n": 3, "size": "L"} in task.pull()


@pytest.mark.parametrize("sequence", [rows(LARGE), batches(LARGE, 300)], ids=repr)
def test_one_element_is_one_request_for_its_block(task, moved, sequence):
    task.push(sequence)
    pulled = task.pull()
    moved.clear()
    pulled[len(sequence) // 2]
    ((operation, size),) = moved
    assert operation == "GetObject"
    assert size < 70_000 < size_of(task)


def of_all_sizes(make) -> list:
    sizes = random.Random(1)
    return [make(int(sizes.lognormvariate(7, 2))) for _ in range(400)]


def test_elements_of_all_sizes_are_two_requests_at_most(task, moved):
    values = of_all_sizes(lambda size: os.urandom(size).hex())
    task.push(items(values))
    pulled = task.pull()
    for number in (0, 57, 399):
        moved.clear()
        assert pulled[number] == values[number]
        assert len(moved) <= 2
        assert sum(size for _, size in moved) < max(len(values[number]), 64 * 1024) * 1.1


@pytest.mark.parametrize(
    "sequence",
    [
        items(of_all_sizes(lambda size: os.urandom(size).hex())),
        items(of_all_sizes(os.urandom)),
        rows(pd.DataFrame({"text": of_all_sizes(lambda size: os.urandom(size).hex())})),
    ],
    ids=["items of text", "items of bytes", "rows"],
)
def test_elements_that_only_an_index_finds_come_one_after_the_other(task, moved, sequence):
    task.push(sequence)
    pulled = task.pull()
    indexed_from = pulled._source.layout.indexed_from
    assert 0 < indexed_from < len(sequence) - 50
    moved.clear()
    assert list(pulled) == list(sequence)
    assert len(moved) == 3  # where the last block is, the blocks, where they are
    for part in (slice(indexed_from - 5, indexed_from + 20), slice(-30, -7, 3), slice(None, None, -1)):
        assert list(pulled[part]) == list(sequence[part])


def test_one_index_after_the_other_fetches_each_block_once(task, moved):
    task.push(items([{"number": number} for number in range(10_000)]))
    pulled = task.pull()
    moved.clear()
    assert [pulled[number]["number"] for number in range(10_000)] == list(range(10_000))
    assert len(moved) == len({pulled._source._find(number) for number in range(10_000)}) < 10


def test_iteration_is_one_request(task, moved):
    task.push(rows(LARGE))
    pulled = task.pull()
    moved.clear()
    assert sum(1 for _ in pulled) == 3000
    assert len(moved) == 1


def test_an_element_changed_by_its_reader_is_not_changed_for_the_next(task):
    task.push(items([{"a": [1]}, {"a": [2]}]))
    pulled = task.pull()
    pulled[0]["a"].append("changed")
    assert pulled[0] == {"a": [1]}


@pytest.mark.parametrize("sequence", [rows(LARGE), batches(LARGE, 700), items([b"\0" * 10, {}])], ids=repr)
def test_pushed_again_it_is_copied_within_s3(new_task, moved, s3, sequence):
    first, second = new_task(), new_task()
    first.push(sequence)
    pulled = first.pull()
    moved.clear()
    second.push(pulled)
    assert [operation for operation, _ in moved] == ["CopyObject"]
    s3.Object(first.object_key()).delete()
    assert_same(list(second.pull()), list(sequence))
    stored = s3.Object(second.object_key())
    assert stored.metadata["run-id"].startswith(second.ids["run_id"][:9])
    assert stored.content_type in ("application/vnd.apache.parquet", "application/zip")


@pytest.mark.servers("localstack", "seaweedfs", why="Ceph 16 does not find the source")
def test_a_copy_of_a_large_object_is_made_in_parts(new_task, monkeypatch, s3):
    monkeypatch.setattr(copies, "SINGLE_COPY_BYTES", 6 * 1024 * 1024)
    monkeypatch.setattr(copies, "COPY_PART_BYTES", 5 * 1024 * 1024)
    first, second = new_task(), new_task()
    values = [os.urandom(1_000_000) for _ in range(12)]
    first.push(items(values))
    second.push(first.pull())
    assert s3.Object(second.object_key()).e_tag.endswith('-3"')
    assert second.pull() == values


def test_a_large_sequence_goes_in_parts(task, monkeypatch, s3):
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", 6 * 1024 * 1024)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 1024 * 1024)
    frame = pd.DataFrame({"x": np.random.default_rng(0).random(2_000_000)})
    task.push(batches(frame, 100_000))
    assert s3.Object(task.object_key()).e_tag.endswith('-4"')
    assert_frame_equal(task.pull()[7], frame.iloc[700_000:800_000])
    assert_frame_equal(task.pull().to_frame(), frame)


def test_a_sequence_that_turns_out_bad_half_way_leaves_nothing(task, monkeypatch, s3):
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", 6 * 1024 * 1024)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 1024 * 1024)
    with pytest.raises(UnsupportedValueError, match=r"at value\[12\], a object"):
        task.push(items([*[os.urandom(1_000_000)] * 12, object()]))
    prefix = f"xcom/dag_id=a%20dag/run_id={task.ids['run_id'].replace('+', '%2B').replace(':', '%3A')}/"
    assert list(s3.objects.filter(Prefix=prefix)) == []
    assert [upload for upload in s3.multipart_uploads.all() if upload.object_key.startswith(prefix)] == []


@pytest.mark.parametrize("read", [lambda p: p[1], list, lambda p: p[:2], lambda p: p.to_frame()])
def test_an_object_replaced_behind_our_back_is_refused(task, s3, read):
    task.push(rows(LARGE))
    pulled = task.pull()
    stored = s3.Object(task.object_key())
    body = stored.get()["Body"].read()
    stored.put(Body=body.replace(b'"i":1', b'"i":2'))
    with pytest.raises(IntegrityError, match="not the one that was pushed"):
        read(pulled)
    stored.put(Body=body[: len(body) // 2])
    with pytest.raises(IntegrityError):
        read(pulled)
    stored.delete()
    with pytest.raises(ObjectMissingError, match=r"of a dag\.task"):
        read(pulled)


@pytest.mark.parametrize("sequence", [rows(FRAME), batches(FRAME, 2), items([1]), items([b""])], ids=repr)
def test_an_object_that_no_push_writes_is_refused_where_it_is(task, s3, sequence):
    task.push(sequence)
    reference = json.loads(task.row())
    reference["etag"] = s3.Object(reference["key"]).put(Body=b"{" * reference["size"])["ETag"]
    task.set_row(json.dumps(reference).encode())
    with pytest.raises(IntegrityError, match=f"a dag.task.*s3://xcom/{reference['key'][:20]}"):
        task.pull()[0]


def test_the_object_as_a_whole_is_read_by_pandas(task, s3):
    task.push(rows(LARGE))
    body = io.BytesIO(s3.Object(task.object_key()).get()["Body"].read())
    assert_frame_equal(pd.read_parquet(body, columns=["n", "i"]), LARGE[["n", "i"]])
