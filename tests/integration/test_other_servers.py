"""S3 servers that ignore conditions, refuse right ones, or write ETags otherwise: no wrong value is pulled.

LocalStack behind a proxy that takes the conditions out of the requests, or changes the answers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest

from include.s3_xcom import File, items, rows
from include.s3_xcom.errors import IntegrityError, SettingError
from include.s3_xcom.s3 import copies, parts, pinned, uploads
from tests.helpers import faults
from tests.helpers.altering import FRAME, KINDS, alter, csv, key_of, stored_of
from tests.helpers.proxy import Proxy
from tests.helpers.release import settle

changes_requests = pytest.mark.servers("localstack", why="it checks no signature of a changed request")


@pytest.fixture
def server(stack, monkeypatch) -> Iterator[Callable]:
    """Makes the server in front of the backend another one: by what it does to requests and to answers."""
    proxy = Proxy(stack.s3.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    ask = proxy.ask

    def become(
        request: Callable = lambda data: data,
        answer: Callable = lambda head, body: (head, body),
        refuses: bytes | None = None,
        error: tuple[int, str] = (501, "NotImplemented"),
        instead: Callable[[bytes], tuple[bytes, bytes] | None] = lambda data: None,
    ) -> None:
        def exchange(data: bytes) -> tuple[bytes, bytes]:
            asked.append(data.partition(b"\r\n\r\n")[0])
            if refuses is not None and re.search(refuses, asked[-1]):
                return refusal(*error)
            if (other := instead(data)) is not None:
                return other
            return answer(*ask(request(data)))

        monkeypatch.setattr(proxy, "ask", exchange)
        become.asked = asked

    asked: list[bytes] = []

    yield become
    proxy.close()


def refusal(status: int, code: str) -> tuple[bytes, bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode(), body


def without(name: bytes) -> Callable[[bytes], bytes]:
    return lambda request: re.sub(rb"(?i)\r\n%b:[^\r]*" % name, b"", request)


IGNORES_CONDITIONS = without(rb"(?:x-amz-copy-source-)?if-match")


SEQUENCES = {kind: KINDS[kind] for kind in KINDS if kind not in ("frame", "dict", "text", "bytes")}


@changes_requests
@pytest.mark.parametrize("kind", SEQUENCES)
def test_what_was_altered_is_not_pushed_again_where_the_server_ignores_conditions(
    new_task, s3, server, tmp_path, kind
):
    server(IGNORES_CONDITIONS)
    first, second = new_task(), new_task()
    first.push(SEQUENCES[kind](tmp_path))
    pulled = first.pull()
    key = key_of(first, kind)
    alter(s3, key)
    with pytest.raises(IntegrityError, match="not the one that was pushed") as raised:
        second.push(pulled)
    assert second.ids["run_id"] in str(raised.value)
    assert stored_of(second, s3) == []


@changes_requests
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


@changes_requests
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


@changes_requests
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
    if re.search(rb"(?i)\A\S+ 204|\r\ntransfer-encoding: *chunked", head) or not body:
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


@changes_requests
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
    monkeypatch.setattr(pinned, "_restored", {})
    first, second = new_task(), new_task()
    value = SEQUENCES[kind](tmp_path)
    first.push(value)
    key = key_of(first, kind)
    restore_with_another_etag(s3, key)
    second.push(first.pull())
    monkeypatch.setattr(pinned, "_restored", {})
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


COPIES = rb"(?i)\r\nx-amz-copy-source:"
BATCH_DELETES = rb"\APOST \S*\?delete"


@pytest.mark.parametrize("size", [2**40, 5 * 2**20], ids=["in one piece", "in parts"])
@pytest.mark.parametrize("error", [(501, "NotImplemented"), (404, "NoSuchKey"), (412, "PreconditionFailed")])
def test_where_a_server_cannot_copy_the_object_is_read_and_written(
    new_task, s3, server, tmp_path, monkeypatch, size, error
):
    """Ceph does not find the sources of copies in parts, Swift refuses right conditions."""
    for module, name in ((uploads, "SINGLE_PUT_BYTES"), (copies, "SINGLE_COPY_BYTES")):
        monkeypatch.setattr(module, name, size)
    server(refuses=COPIES, error=error)
    content = os.urandom(12_000_000)
    (tmp_path / "data.bin").write_bytes(content)
    for value, read in (
        (File(tmp_path / "data.bin"), lambda file: file.path.read_bytes()),
        (rows(FRAME), list),
    ):
        first, second = new_task(), new_task()
        first.push(value)
        second.push(first.pull())
        s3.Object(first.object_key()).delete()
        assert read(second.pull()) == (content if isinstance(value, File) else list(value))


def test_where_a_server_cannot_copy_what_was_altered_is_not_pushed_again(new_task, s3, server, tmp_path):
    server(refuses=COPIES)
    first, second = new_task(), new_task()
    first.push(csv(tmp_path))
    pulled = first.pull()
    alter(s3, first.object_key())
    with pytest.raises(IntegrityError, match="not the one that was pushed"):
        second.push(pulled)


@pytest.mark.parametrize(
    "error", [(501, "NotImplemented"), (400, "MissingContentMD5"), (405, "MethodNotAllowed")]
)
def test_where_a_server_cannot_delete_objects_together_each_is_deleted(task, s3, server, tmp_path, error):

    server(refuses=BATCH_DELETES, error=error)
    task.push({"a": csv(tmp_path), "b": csv(tmp_path)})
    assert len(stored_of(task, s3)) == 3
    task.clear()
    assert stored_of(task, s3) == []


def test_deletions_have_a_content_md5(task, server):
    """MinIO deletes nothing without it."""

    server()
    task.push([1])
    task.clear()
    settle()
    (request,) = [head for head in server.asked if re.search(BATCH_DELETES, head)]
    assert len(re.findall(rb"(?i)\r\ncontent-md5: ", request)) == 1


IN_CLEAR_TEXT = without(rb"x-amz-server-side-encryption")


@pytest.mark.servers("localstack", why="it encrypts without a key of the operator's")
@pytest.mark.parametrize("size", [2**40, 5 * 2**20], ids=["in one piece", "in parts"])
def test_where_a_server_does_not_confirm_the_encryption_nothing_is_pushed(
    new_task, s3, server, monkeypatch, tmp_path, size
):
    """Ceph takes the request for it and stores the object in clear text."""
    for module, name in ((uploads, "SINGLE_PUT_BYTES"), (copies, "SINGLE_COPY_BYTES")):
        monkeypatch.setattr(module, name, size)
    (tmp_path / "data.csv").write_bytes(b"1,a\n" * 2_000_000)
    first, second = new_task(), new_task()
    first.push(File(tmp_path / "data.csv"))
    pulled = first.pull()
    monkeypatch.setenv("AIRFLOW__S3_XCOM__SSE", "AES256")
    server(answer=lambda head, body: (IN_CLEAR_TEXT(head), body))
    for value in (File(tmp_path / "data.csv"), pulled):
        with pytest.raises(
            SettingError, match=r"does not confirm the encryption that \[s3_xcom\] sse asks for"
        ):
            second.push(value)
    assert stored_of(second, s3) == []


ETAGS = re.compile(rb"\b[0-9a-f]{32}\b")
"""Reversed, they are no MD5 any more."""


def unchecked(change: Callable[[bytes], bytes], has_md5: bool) -> Callable[[bytes], bytes]:
    """What becomes of a request with a body where a server does not check what arrives."""

    def altered(request: bytes) -> bytes:
        head, end, body = request.partition(b"\r\n\r\n")
        head = head if has_md5 else IGNORES_CONDITIONS(head)
        head = re.sub(rb"(?i)\r\n(?:x-amz-checksum-\w+|content-md5|x-amz-content-sha256):[^\r]*", b"", head)
        if head.startswith(b"PUT "):
            return head + end + change(body)
        names_parts = b"uploadId=" in head and not has_md5
        return head + end + (ETAGS.sub(lambda match: match[0][::-1], body) if names_parts else body)

    return altered


@changes_requests
@pytest.mark.parametrize("size", [2**40, 5 * 2**20], ids=["in one piece", "in parts"])
@pytest.mark.parametrize("has_md5", [True, False], ids=["by MD5", "by reading"])
def test_where_a_server_does_not_check_what_arrives_the_push_does(
    task, s3, server, monkeypatch, tmp_path, size, has_md5
):
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", size)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 2**20)

    def answer(head: bytes, body: bytes) -> tuple[bytes, bytes]:
        head = without(rb"x-amz-checksum-sha256")(head)
        return head if has_md5 else ETAGS.sub(lambda match: match[0][::-1], head), body

    content = b"1,a\n" * 2_000_000
    (tmp_path / "data.csv").write_bytes(content)
    server(unchecked(lambda body: body, has_md5), answer)
    task.push(File(tmp_path / "data.csv"))
    assert task.pull().path.read_bytes() == content

    server(unchecked(lambda body: body[:1000] + b"X" + body[1001:], has_md5), answer)
    with pytest.raises(IntegrityError, match="stored other bytes than were sent"):
        task.push(File(tmp_path / "data.csv"), "other")
    assert [key for key in stored_of(task, s3) if "/other-" in key] == []


def test_names_of_metadata_may_have_capitals(task, server, capsys):
    from include.s3_xcom.__main__ import main

    def answer(head: bytes, body: bytes) -> tuple[bytes, bytes]:
        return re.sub(rb"(?i)\r\n(x-amz-meta-)([^:]*)", lambda m: b"\r\n" + m[1] + m[2].title(), head), body

    server(answer=answer)
    task.push(FRAME)
    address = f"s3://xcom/{task.object_key()}"
    task.set_row(b"null")
    assert main(["show", address]) == 0
    assert capsys.readouterr().err.startswith("pandas.DataFrame (")


@pytest.fixture
def fresh_knowledge(monkeypatch):
    """What this process has found out about servers, for a test of its own."""
    monkeypatch.setattr(uploads, "_refuse_sha256", set())


@pytest.mark.parametrize("size", [2**40, 5 * 2**20], ids=["in one piece", "in parts"])
@pytest.mark.parametrize("error", [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_server_that_refuses_sha256_gets_md5(
    task, server, monkeypatch, tmp_path, size, error, fresh_knowledge
):
    """Cloudflare R2 refuses it for parts, Backblaze B2 did for all."""
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", size)
    server(refuses=rb"(?i)\r\nx-amz-checksum-(?:sha256|algorithm): *", error=error)
    (tmp_path / "data.csv").write_bytes(b"1,a\n" * 2_000_000)
    for key in ("one", "two"):
        task.push(File(tmp_path / "data.csv"), key)
        assert task.pull(key).path.read_bytes() == (tmp_path / "data.csv").read_bytes()
    refused = [head for head in server.asked if re.search(rb"(?i)\r\nx-amz-checksum-sha256:", head)]
    assert len(refused) == 1 if size > 2**30 else len(refused) <= 1


def test_where_keys_are_deleted_one_by_one_one_that_is_gone_or_refused_stops_none(task, s3, server):
    """Google Cloud Storage answers 404 for one that is gone."""
    keys = [f"deleted-singly/{name}" for name in ("gone", "kept", "one", "two")]
    for key in keys[1:]:
        s3.put_object(Key=key, Body=b"")
    server()
    from include.s3_xcom.s3.store import Store

    def instead(data: bytes) -> tuple[bytes, bytes] | None:
        if re.search(BATCH_DELETES, data):
            return refusal(501, "NotImplemented")
        if data.startswith(b"DELETE ") and b"/gone " in data:
            return refusal(404, "NoSuchKey")
        return refusal(403, "AccessDenied") if data.startswith(b"DELETE ") and b"/kept " in data else None

    server(instead=instead)
    assert Store.configured().delete(keys) == [keys[1]]
    assert [item.key for item in s3.objects.filter(Prefix="deleted-singly/")] == [keys[1]]
    s3.Object(keys[1]).delete()


@changes_requests
def test_a_copy_in_parts_of_more_than_was_asked_for_is_made_otherwise(
    new_task, s3, server, monkeypatch, tmp_path
):
    """As where the spans of parts are ignored."""
    monkeypatch.setattr(copies, "SINGLE_COPY_BYTES", 5 * 2**20)
    monkeypatch.setattr(copies, "COPY_PART_BYTES", 5 * 2**20)
    content = os.urandom(12_000_000)
    (tmp_path / "data.bin").write_bytes(content)
    first, second = new_task(), new_task()
    first.push(File(tmp_path / "data.bin"))
    server(without(rb"x-amz-copy-source-range"))
    second.push(first.pull())
    assert second.pull().path.read_bytes() == content


@changes_requests
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: re.sub(rb"<IsTruncated>false", b"<IsTruncated>true", body), "does not tell where"),
        (
            lambda body: re.sub(
                rb"<IsTruncated>false",
                b"<NextContinuationToken>a</NextContinuationToken><IsTruncated>true",
                body,
            ),
            "does not tell where",
        ),
    ],
    ids=["no token", "the same token for ever"],
)
def test_a_listing_that_does_not_go_on_is_an_error(task, server, prefix, change, says):
    from include.s3_xcom.errors import StorageError
    from include.s3_xcom.s3.store import Store

    task.push([1])

    def answer(head: bytes, body: bytes) -> tuple[bytes, bytes]:
        body = change(body) if b"<ListBucketResult" in body else body
        return re.sub(rb"(?i)(\r\ncontent-length: *)\d+", b"\\g<1>%d" % len(body), head), body

    server(lambda request: re.sub(rb"continuation-token=[^& ]*&?", b"", request), answer)
    with pytest.raises(StorageError, match=says):
        list(Store.configured().list(f"{prefix}/"))


@pytest.mark.parametrize("operation", ["push", "pull"])
def test_answers_without_an_etag_are_an_error_that_says_so(task, s3, server, operation):
    from include.s3_xcom.errors import StorageError

    if operation == "pull":
        task.push([1])
    server(answer=lambda head, body: (without(rb"etag")(head), body))
    with pytest.raises(StorageError, match="answers without an ETag") as raised:
        task.push([1]) if operation == "push" else task.pull()
    assert task.ids["run_id"] in str(raised.value)
    assert operation == "pull" or stored_of(task, s3) == []


@pytest.mark.servers("localstack", why="it has all settings, so that all gaps are of the test's making")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ((501, "NotImplemented"), 3),
        ((400, "MalformedXML"), 3),
        ((409, "BucketAlreadyExists"), 3),
        ((400, "ExpiredToken"), 1),
        ((409, "OperationAborted"), 1),
        ((400, "KMS.NotFoundException"), 1),
        ((403, "AccessDenied"), 1),
    ],
)
def test_init_tells_what_a_server_lacks_from_what_failed(server, capsys, error, code):
    from include.s3_xcom.__main__ import main

    server(refuses=rb"\APUT \S*\?encryption", error=error)
    assert main(["init"]) == code
    printed = capsys.readouterr()
    if code == 3:
        assert "default encryption is NOT on: objects" in printed.err
        assert f"answered {error[1]}: No." in printed.err
        assert "unfinished uploads removed" in printed.out
    else:
        assert "NOT" not in printed.err


@pytest.mark.servers("localstack", why="it has all settings, so that all gaps are of the test's making")
def test_init_believes_no_setting_that_is_not_there_afterwards(server, capsys, monkeypatch):
    """As where PUT of a setting is taken for PUT of the bucket."""
    from include.s3_xcom.__main__ import main
    from include.s3_xcom.s3 import setup

    assert main(["init"]) == 0
    monkeypatch.setattr(setup, "READS", 1)
    monkeypatch.setattr(setup, "READ_PAUSE_SECONDS", 0)
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "30")
    taken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""
    server(instead=lambda data: taken if re.match(rb"PUT \S*\?lifecycle", data) else None)
    assert main(["init"]) == 3
    assert "objects do not expire after 30 days" in capsys.readouterr().err
