"""What must hold on each S3 server that the tests run on."""

from __future__ import annotations

import contextlib
import os
import re
import time

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from include.s3_xcom import File, rows
from include.s3_xcom.__main__ import main
from include.s3_xcom.admin.sweep import sweep
from include.s3_xcom.errors import IntegrityError, ObjectMissingError, SettingError, XComError
from include.s3_xcom.s3 import copies, uploads
from include.s3_xcom.s3.store import Store
from tests.helpers import altering
from tests.servers import CHOSEN

GAPS = {
    "localstack": [],
    "seaweedfs": ["public access is NOT blocked", "default encryption is NOT on"],
    "ceph": ["default encryption is NOT on"],
}
"""What the server lacks, as ``init`` says it."""


def test_after_init_which_says_what_the_server_lacks_values_can_be_pushed(new_task, s3, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "made-by-init")
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "7")
    for is_new in (True, False):
        assert main(["init"]) == (3 if GAPS[CHOSEN] else 0)
        printed = capsys.readouterr()
        assert ("bucket created" in printed.out) == is_new
        assert "objects expire after 7 days" in printed.out
        assert re.findall(r"made-by-init: (.*? NOT \w+)", printed.err) == GAPS[CHOSEN]
    client = s3.meta.client
    rules = client.get_bucket_lifecycle_configuration(Bucket="made-by-init")["Rules"]
    assert {rule["ID"] for rule in rules} >= {"s3-xcom-abort-incomplete-uploads:xcom", "s3-xcom-expire:xcom"}
    new_task().push([1])
    contents = client.list_objects_v2(Bucket="made-by-init")["Contents"]
    assert [item["Size"] for item in contents if item["Key"] != "xcom/database.json"] == [3]
    for item in contents:
        client.delete_object(Bucket="made-by-init", Key=item["Key"])
    client.delete_bucket(Bucket="made-by-init")


def test_a_mistyped_bucket_is_named_and_not_made(task, s3, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "mistyped")
    with pytest.raises(SettingError, match=r"there is no bucket 'mistyped'\. Create it with `python -m"):
        task.push([1])
    assert "mistyped" not in [bucket["Name"] for bucket in s3.meta.client.list_buckets()["Buckets"]]


def reads(task, kind: str) -> list:
    """Each way to read a value."""
    if kind == "file":
        return [lambda: task.pull().path, lambda: task.pull().read_csv()]
    if kind == "files in a dict":
        return [lambda: task.pull()["a"].path]
    if kind in ("rows", "batches", "items", "items of bytes"):
        return [lambda: task.pull()[1], lambda: list(task.pull()), lambda: task.pull()[-1]]
    return [task.pull]


@pytest.mark.parametrize(
    "change", [altering.alter, lambda s3, key: s3.Object(key).delete()], ids=["altered", "gone"]
)
@pytest.mark.parametrize("kind", altering.KINDS)
def test_what_was_altered_or_is_gone_is_neither_read_nor_pushed_again(new_task, s3, tmp_path, kind, change):
    first, second = new_task(), new_task()
    first.push(altering.KINDS[kind](tmp_path))
    key = altering.key_of(first, kind)
    change(s3, key)
    error = IntegrityError if change is altering.alter else ObjectMissingError
    for read in reads(first, kind):
        with pytest.raises(error):
            read()
    with pytest.raises(error):
        second.push(first.pull())
    assert altering.stored_of(second, s3) == []


@pytest.mark.parametrize("size", [2**40, 5 * 2**20], ids=["in one piece", "in parts"])
def test_values_are_pushed_again(new_task, s3, tmp_path, monkeypatch, size):
    for module, name in ((uploads, "SINGLE_PUT_BYTES"), (copies, "SINGLE_COPY_BYTES")):
        monkeypatch.setattr(module, name, size)
    content = os.urandom(1024) * (100 * 1024)
    (tmp_path / "data.bin").write_bytes(content)
    frame = pd.DataFrame({"n": range(1_000_000), "x": [i / 7 for i in range(1_000_000)]})
    for value, read in (
        (frame, lambda pulled: pulled),
        (rows(frame[:200_000]), lambda pulled: pulled.to_frame()),
        (File(tmp_path / "data.bin"), lambda pulled: pd.DataFrame([pulled.path.read_bytes()])),
    ):
        first, second = new_task(), new_task()
        first.push(value)
        second.push(first.pull())
        s3.Object(first.object_key()).delete()
        assert_frame_equal(read(second.pull()), read(value))


def test_2100_orphans_are_swept_and_what_lives_stays(new_task, s3, prefix):
    from concurrent.futures import ThreadPoolExecutor

    task = new_task()
    task.push([1])
    folder = task.object_key().rpartition("/")[0]
    names = [f"{folder}/return_value-{number:032x}.json" for number in range(2100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(Key=name, Body=b"[2]"), names))
    time.sleep(1.1)  # times of objects are in whole seconds
    counts = sweep(Store.configured(), grace=0, delete=True)
    assert (counts.orphans, counts.deleted) == (2100, 2100)
    assert task.pull() == [1]


def test_keys_of_other_people_that_xml_cannot_hold_stop_no_listing(new_task, s3, prefix, capsys):
    task = new_task()
    task.push([1])
    folder = task.object_key().rpartition("/")[0]
    foreign = [f"{folder}/{name}" for name in ("a\x01b", "a%41", "a b", "a+b", "ü", "日", "a&<>")]
    for key in foreign:
        s3.put_object(Key=key, Body=b"")
    found = [item.key for page in Store.configured().list(f"{prefix}/dag_id=") for item in page]
    assert task.object_key() in found
    assert len(found) == 8
    assert main(["ls"]) == 0
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 0
    for key in foreign:
        s3.Object(key).delete()


def test_where_the_encryption_that_is_set_is_not_confirmed_nothing_is_stored(task, s3, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__SSE", "AES256")
    with contextlib.suppress(XComError):
        task.push([1])
    stored = map(s3.Object, altering.stored_of(task, s3))
    assert [item.server_side_encryption for item in stored] == ["AES256"] * (CHOSEN == "localstack")
