"""What LocalStack's bucket holds is kept in a folder, and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from include.s3_xcom.s3.store import Store
from include.s3_xcom.settings import Settings
from scripts.keep_objects import Kept
from tests.helpers.outside import CREDENTIALS, bucket_at

pytestmark = pytest.mark.servers("localstack", why="others keep what they hold by themselves")


@pytest.fixture
def bucket(stack) -> Iterator[Any]:
    bucket = bucket_at(stack.s3.url, "kept")
    bucket.create()
    yield bucket
    while objects := [{"Key": key} for key in keys(bucket)][:1000]:
        bucket.delete_objects(Delete={"Objects": objects})
    with contextlib.suppress(bucket.meta.client.exceptions.NoSuchBucket):  # a lost answer is asked for again
        bucket.delete()


@pytest.fixture
def kept(stack, bucket, tmp_path, monkeypatch) -> Callable[[], Kept]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.s3.url)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name.upper(), value)
    return lambda: Kept(Store(Settings(bucket=bucket.name, conn_id="")), tmp_path)


def contents(bucket: Any) -> dict[str, tuple[bytes, dict[str, str], str]]:
    found = {}
    for key in keys(bucket):
        answer = bucket.Object(key).get()
        found[key] = answer["Body"].read(), answer["Metadata"], answer["ContentType"]
    return found


def keys(bucket: Any) -> set[str]:
    """Page by page of few: LocalStack leaves out some behind a page that ends in a percent sign."""
    return {item.key for n in range(10) for item in bucket.objects.filter(Prefix=f"dag_id=a/run_id={n}")}


def test_objects_come_back_with_their_metadata(bucket, kept):
    for number in range(3):
        key = f"dag_id=a/run_id={number}%3A00/task_id=ä b/{number}.json"
        bucket.put_object(
            Key=key, Body=b"[%d]" % number, Metadata={"codec": "json"}, ContentType="application/json"
        )
    watching = kept()
    watching.look()
    before = contents(bucket)
    bucket.objects.filter(Prefix="dag_id=a/run_id=1").delete()
    watching.look()
    bucket.objects.delete()
    assert kept().put_back() == 2
    assert contents(bucket) == {key: value for key, value in before.items() if "run_id=1" not in key}


def test_of_more_than_a_page_none_is_forgotten(bucket, kept, tmp_path):
    expected = {f"dag_id=a/run_id={n % 10}%3A{n:04d}%2B" for n in range(1100)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: bucket.put_object(Key=key, Body=b""), expected))
    watching = kept()
    watching.look()
    watching.look()
    assert len(list(tmp_path.glob("*.json"))) == 1100
