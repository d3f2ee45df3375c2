"""Back-up and restore as docs/lifecycle.md has it: a dump of the database, a copy of the bucket."""

from __future__ import annotations

import os
import subprocess

import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import text

from embedded.postgres import BINARIES
from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.errors import IntegrityError
from include.s3_xcom.s3 import pinned
from tests.helpers.frames import FRAME


def copy_as_tools_do(client, source: str, target: str) -> None:
    """Through this machine, in small parts: so the ETags become others."""
    from boto3.s3.transfer import TransferConfig

    small = TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=source):
        for item in page.get("Contents", []):
            client.copy({"Bucket": source, "Key": item["Key"]}, target, item["Key"], Config=small)


@pytest.fixture
def backup(s3):
    client = s3.meta.client
    client.create_bucket(Bucket="backup")
    yield "backup"
    bucket = type(s3)("backup", client=client)
    bucket.objects.delete()
    bucket.delete()


@pytest.mark.servers("localstack", "seaweedfs", why="on Ceph 16 the tool that restores cannot copy")
def test_after_a_restore_every_xcom_reads(new_task, prefix, stack, s3, backup, tmp_path):
    from airflow.utils.session import create_session

    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    values = [
        FRAME,
        {"file": File(tmp_path / "a.csv")},
        File(tmp_path / "a.csv"),
        rows(FRAME),
        batches(FRAME, 2),
        items([{"a": 1}] * 9000),
        os.urandom(6_000_000),
        7,
    ]
    tasks = [new_task() for _ in values]
    for task, value in zip(tasks, values):
        task.push(value)

    dump = ["pg_dump", "--data-only", "--table=xcom", stack.postgres.url("airflow")]
    dumped = subprocess.run([BINARIES / dump[0], *dump[1:]], capture_output=True, check=True).stdout
    copy_as_tools_do(s3.meta.client, s3.name, backup)

    with create_session() as session:
        session.execute(text("DELETE FROM xcom"))
    s3.objects.filter(Prefix=prefix).delete()

    restore = [BINARIES / "psql", "--quiet", "-v", "ON_ERROR_STOP=1", stack.postgres.url("airflow")]
    subprocess.run(restore, input=dumped, check=True, stdout=subprocess.DEVNULL)
    copy_as_tools_do(s3.meta.client, backup, s3.name)

    frame, holder, file, row, batch, item, data, number = (task.pull() for task in tasks)
    assert_frame_equal(frame, FRAME)
    assert holder["file"].path.read_text() == file.path.read_text() == "a,b\n1,2\n"
    assert_frame_equal(row.to_frame(), FRAME)
    assert row[0]["n"] == 1
    assert_frame_equal(batch[1], FRAME.iloc[2:])
    assert item[8999] == {"a": 1}
    assert (data, number) == (values[6], 7)


def test_a_restored_object_with_other_content_is_refused(task, s3, monkeypatch):

    monkeypatch.setattr(pinned, "_restored", {})
    task.push(items([1, 2]))
    stored = s3.Object(task.object_key())
    body = stored.get()["Body"].read()
    stored.put(Body=body.replace(b"1", b"3"))
    with pytest.raises(IntegrityError, match="not the one that was pushed"):
        task.pull()[0]
