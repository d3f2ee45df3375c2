"""S3 servers that ignore conditions, refuse right ones, or write ETags otherwise: no wrong value is pulled.

LocalStack behind a proxy that takes the conditions out of the requests, or changes the answers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pandas as pd
import pytest

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.errors import IntegrityError
from include.s3_xcom.s3 import store
from tests.helpers import faults
from tests.helpers.proxy import Proxy

FRAME = pd.DataFrame({"n": range(3000), "t": ["text"] * 3000})


@pytest.fixture
def server(stack, monkeypatch) -> Iterator[Callable]:
    """Makes the server in front of the backend another one: by what it does to requests and to answers."""
    proxy = Proxy(stack.localstack.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    ask = proxy.ask

    def become(
        request: Callable = lambda data: data, answer: Callable = lambda head, body: (head, body)
    ) -> None:
        monkeypatch.setattr(proxy, "ask", lambda data: answer(*ask(request(data))))

    yield become
    proxy.close()


def without(name: bytes) -> Callable[[bytes], bytes]:
    return lambda request: re.sub(rb"(?i)\r\n%b:[^\r]*" % name, b"", request)


IGNORES_CONDITIONS = without(rb"(?:x-amz-copy-source-)?if-match")


def alter(s3, key: str) -> None:
    stored = s3.Object(key)
    body = bytearray(stored.get()["Body"].read())
    at = len(body) // 3
    body[at] ^= 1
    stored.put(Body=bytes(body))


SEQUENCES = {
    "rows": lambda path: rows(FRAME),
    "batches": lambda path: batches(FRAME, 100),
    "items": lambda path: items([{"n": n} for n in range(3000)]),
    "items of bytes": lambda path: items([os.urandom(100)] * 300),
    "file": lambda path: csv(path),
    "files in a dict": lambda path: {"a": csv(path)},
}


def csv(directory) -> File:
    path = directory / "a.csv"
    path.write_bytes(b"1,Hualian\n" * 1000)
    return File(path)


@pytest.mark.parametrize("kind", SEQUENCES)
def test_what_was_altered_is_not_pushed_again_where_the_server_ignores_conditions(
    new_task, s3, server, tmp_path, kind
):
    server(IGNORES_CONDITIONS)
    first, second = new_task(), new_task()
    first.push(SEQUENCES[kind](tmp_path))
    pulled = first.pull()
    key = first.object_key() if kind != "files in a dict" else re.sub(r"json$", "0.csv", first.object_key())
    alter(s3, key)
    with pytest.raises(IntegrityError, match="not the one that was pushed") as raised:
        second.push(pulled)
    assert second.ids["run_id"] in str(raised.value)
    run = second.ids["run_id"].replace("+", "%2B").replace(":", "%3A")
    assert [item.key for item in s3.objects.all() if f"run_id={run}/" in item.key] == []


@pytest.mark.parametrize("kind", SEQUENCES)
def test_what_was_not_altered_is_pushed_again_on_any_server(
    new_task, s3, server, tmp_path, kind, monkeypatch
):
    for request in (IGNORES_CONDITIONS, lambda data: data):
        server(request)
        first, second = new_task(), new_task()
        first.push(SEQUENCES[kind](tmp_path))
        second.push(first.pull())
        assert same(second.pull(), first.pull())


def same(one, other) -> bool:
    if isinstance(one, dict):
        return same(one["a"], other["a"])
    if isinstance(one, File):
        return one.path.read_bytes() == other.path.read_bytes()
    return len(one) == len(other) and one[0:2] == other[0:2] if not hasattr(one, "to_frame") else one == other


@pytest.mark.parametrize("kind", ["rows", "batches", "items", "items of bytes", "file"])
def test_an_altered_object_is_not_read_where_the_server_ignores_conditions(task, s3, server, tmp_path, kind):
    server(IGNORES_CONDITIONS)
    task.push(SEQUENCES[kind](tmp_path))
    pulled = task.pull()
    alter(s3, task.object_key())
    reads = (
        [lambda: pulled.path, lambda: pulled.read_csv()]
        if kind == "file"
        else [lambda: pulled[1], lambda: list(pulled), lambda: pulled[-1]]
    )
    for read in reads:
        with pytest.raises(IntegrityError, match="not the one that was pushed"):
            read()


def test_an_object_that_is_altered_while_it_is_read_is_not_read_on(task, s3, server, monkeypatch):
    """A body that breaks off is resumed with a range of the same object only."""
    server(IGNORES_CONDITIONS)
    value = os.urandom(3_000_000)
    task.push(value)
    from include.s3_xcom.s3.store import Store

    reference = task_reference(task)
    with Store.configured().open(reference) as stream:
        stream.read(10)
        alter(s3, task.object_key())
        stream.raw._response.close()
        with pytest.raises(IntegrityError):
            stream.read()


def task_reference(task):
    from include.s3_xcom.row import reference_in

    return reference_in(bytes(task.row()))


@pytest.mark.parametrize(
    "change", [lambda etag: etag.strip(b'"'), lambda etag: b"W/" + etag], ids=["bare", "weak"]
)
def test_etags_may_be_written_otherwise_in_answers(new_task, server, tmp_path, change):
    def answer(head: bytes, body: bytes) -> tuple[bytes, bytes]:
        head = re.sub(rb'(?i)(\r\netag: *)("[^"]*")', lambda m: m[1] + change(m[2]), head)
        return head, body

    task, second = new_task(), new_task()
    value = rows(FRAME)
    task.push(value)
    server(answer=answer)
    assert task.pull()[5] == value[5]
    second.push(task.pull())
    assert second.pull()[5] == value[5]


def chunked(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """As a proxy may send an answer on."""
    if head.startswith(b"HTTP/1.1 204") or not body:
        return head, body
    head = re.sub(rb"(?i)\r\ncontent-length:[^\r]*", b"\r\nTransfer-Encoding: chunked", head)
    return head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_answers_may_come_in_chunks(new_task, s3, server):
    task, second = new_task(), new_task()
    values = {"list": [1, 2], "rows": rows(FRAME)}
    for key, value in values.items():
        task.push(value, key=key)
    server(answer=chunked)
    assert task.pull("list") == [1, 2]
    assert task.pull("rows")[7] == values["rows"][7]
    assert task.pull("rows") == values["rows"]
    second.push(task.pull("rows"))
    restore_with_another_etag(s3, task.object_key("list"))
    assert task.pull("list") == [1, 2]


def test_without_a_date_nothing_is_swept(task, server, s3):
    from include.s3_xcom.admin.sweep import sweep
    from include.s3_xcom.errors import StorageError
    from include.s3_xcom.s3.store import Store

    task.push([1])
    server(answer=lambda head, body: (re.sub(rb"(?i)\r\ndate:[^\r]*", b"", head), body))
    with pytest.raises(StorageError, match="the answer has no Date"):
        sweep(Store.configured(), grace=0, delete=True)


def test_a_server_that_refuses_the_right_etag_of_a_copy_is_not_believed(new_task, server, monkeypatch):
    """Swift does, for objects that were uploaded in parts."""
    wrong = b'\r\nx-amz-copy-source-if-match: "0"'
    task, second = new_task(), new_task()
    task.push(items([1, 2, 3]))
    server(lambda request: re.sub(rb"(?i)\r\nx-amz-copy-source-if-match:[^\r]*", wrong, request))
    second.push(task.pull())
    assert second.pull() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["rows", "batches", "items", "file", "files in a dict"])
def test_a_restored_value_that_was_not_read_can_be_pushed_on(new_task, s3, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(store, "_restored", {})
    first, second = new_task(), new_task()
    value = SEQUENCES[kind](tmp_path)
    first.push(value)
    key = first.object_key() if kind != "files in a dict" else re.sub(r"json$", "0.csv", first.object_key())
    restore_with_another_etag(s3, key)
    second.push(first.pull())
    monkeypatch.setattr(store, "_restored", {})
    assert same(second.pull(), first.pull())


def restore_with_another_etag(s3, key: str) -> None:
    """As a copy in parts has one."""
    body = s3.Object(key).get()["Body"].read()
    upload = s3.Object(key).initiate_multipart_upload()
    part = upload.Part(1).upload(Body=body)
    upload.complete(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def test_a_copy_that_fails_names_its_own_xcom_and_the_source(new_task, s3):
    first, second = new_task(), new_task()
    first.push(items([1]))
    pulled, source = first.pull(), first.object_key()
    s3.Object(source).delete()
    from include.s3_xcom.errors import ObjectMissingError

    with pytest.raises(ObjectMissingError) as raised:
        second.push(pulled)
    message = str(raised.value)
    start = f"Cannot push XCom 'return_value' of a dag.task, run {second.ids['run_id']!r}, s3://"
    assert message.startswith(start)
    assert f"(a copy of s3://xcom/{source}): the object is no longer in the bucket" in message
