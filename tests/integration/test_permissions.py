"""The policies of docs/aws.md name each S3 action that the code needs, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.__main__ import main
from include.s3_xcom.s3 import copies, uploads
from include.s3_xcom.s3.store import Store
from tests.helpers.release import settle
from tests.helpers.requests import calling

PAGE = Path(__file__).resolve().parents[2] / "docs/aws.md"
FRAME = pd.DataFrame({"n": range(10)})

ACTIONS = {
    "AbortMultipartUpload": {"s3:AbortMultipartUpload"},
    "CompleteMultipartUpload": {"s3:PutObject"},
    "CopyObject": {"s3:GetObject", "s3:PutObject"},
    "CreateBucket": {"s3:CreateBucket"},
    "CreateMultipartUpload": {"s3:PutObject"},
    "DeleteObjects": {"s3:DeleteObject"},
    "GetBucketEncryption": {"s3:GetEncryptionConfiguration"},
    "GetBucketLifecycleConfiguration": {"s3:GetLifecycleConfiguration"},
    "GetObject": {"s3:GetObject"},
    "GetPublicAccessBlock": {"s3:GetBucketPublicAccessBlock"},
    "HeadBucket": {"s3:ListBucket"},
    "HeadObject": {"s3:GetObject"},
    "ListObjectsV2": {"s3:ListBucket"},
    "PutBucketEncryption": {"s3:PutEncryptionConfiguration"},
    "PutBucketLifecycleConfiguration": {"s3:PutLifecycleConfiguration"},
    "PutObject": {"s3:PutObject"},
    "PutPublicAccessBlock": {"s3:PutBucketPublicAccessBlock"},
    "UploadPart": {"s3:PutObject"},
    "UploadPartCopy": {"s3:GetObject", "s3:PutObject"},
}
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""

BUCKET_OPERATIONS = {name for name in ACTIONS if "Bucket" in name or "PublicAccessBlock" in name}


def granted(heading: str) -> set[str]:
    """The actions of the first policy below a heading of the page."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2]
    policy = json.loads(re.search(r"```json\n(.*?)```", section, re.S)[1])
    allowed = [part["Action"] for part in policy["Statement"] if part["Effect"] == "Allow"]
    return {action for part in allowed for action in ([part] if isinstance(part, str) else part)}


@pytest.fixture
def operations(stack) -> Iterator[set[str]]:
    """Those of S3 that are asked for."""
    asked: set[str] = set()

    def note(model, **_) -> None:
        asked.add(model.name)

    with calling(note, "before-call.s3"):
        yield asked


def needed(operations: set[str]) -> set[str]:
    return set().union(*(ACTIONS[name] for name in operations))


def use_everything(new_task, directory: Path, monkeypatch) -> None:
    task = new_task()
    (directory / "data.csv").write_bytes(b"1,a\n" * 3_000_000)
    for size in (uploads.SINGLE_PUT_BYTES, 5 * 1024 * 1024):  # in one piece, and in parts
        monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", size)
        monkeypatch.setattr(copies, "SINGLE_COPY_BYTES", size)
        for value in (FRAME, [1], File(directory / "data.csv"), rows(FRAME), batches(FRAME, 3), items([1])):
            task.push(value)
            pulled = task.pull()
            task.push(pulled, key="again")
            if isinstance(pulled, File):
                pulled.download(directory / "copy.csv")
                task.push({"files": [pulled]})
            elif isinstance(pulled, (type(rows(FRAME)), type(batches(FRAME, 1)))):
                assert len(pulled.to_frame()) == 10
                assert len(list(pulled)) == len(pulled)
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_content", broken)
        with pytest.raises(RuntimeError):
            task.push(File(directory / "data.csv"))
    ids = ["--dag", task.ids["dag_id"], "--run", task.ids["run_id"]]
    assert main(["ls", *ids]) == 0
    assert main(["show", *ids, "--task", task.ids["task_id"]]) == 0
    address = f"s3://{Store.configured().settings.bucket}/{task.object_key()}"
    task.set_row(b"null")
    assert main(["show", address]) == 0  # of which the database knows nothing
    task.clear()
    settle()
    assert main(["sweep", "--delete", "--grace", "0s", "--force"]) == 0


def broken(*_) -> dict:
    raise RuntimeError


def test_tasks_and_operators_need_just_the_policy_of_airflow(
    new_task, prefix, operations, tmp_path, monkeypatch
):
    use_everything(new_task, tmp_path, monkeypatch)
    assert needed(operations) == granted("What Airflow may do")
    assert operations | BUCKET_OPERATIONS == set(ACTIONS), "there is a request that this test does not make"


@pytest.mark.servers("localstack", why="it has all of the settings")
def test_init_needs_just_the_policy_that_makes_the_bucket(prefix, operations, monkeypatch):
    for _ in range(2):
        monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", f"new-{prefix}")
        assert main(["init"]) == 0
    # Of the first policy: for the note of the database, and to try the encryption out, which AWS is spared.
    assert {"GetObject", "PutObject", "DeleteObject", "ListObjectsV2"} <= operations
    operations -= {"GetObject", "PutObject", "DeleteObject", "ListObjectsV2"}
    assert needed(operations) == granted("What makes the bucket")
    assert operations == BUCKET_OPERATIONS
