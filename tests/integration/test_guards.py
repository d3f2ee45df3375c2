"""Guards that depend on what libraries do not promise: they are found to work, or say that they do not."""

from __future__ import annotations

import io

import pytest

from include.s3_xcom.s3 import stalls
from include.s3_xcom.s3.store import Store


def test_the_socket_of_a_body_is_found_with_the_libraries_installed_here(task):
    task.push("text" * 1_000_000)
    client = Store.configured().client
    response = client.get_object(Bucket="xcom", Key=task.object_key())
    response["Body"].read(10)
    assert stalls.find_socket(response["Body"]) is not None
    response["Body"].close()


@pytest.mark.parametrize(
    "stream", [io.BytesIO(b""), type("Body", (), {"_raw_stream": None})()], ids=["a buffer", "no socket"]
)
def test_where_it_is_not_found_the_log_says_so(stream, caplog):
    stalls._warn_without_guard.cache_clear()
    stalls.disconnect(stream)
    stalls.disconnect(stream)
    (record,) = caplog.records
    assert "its connection cannot be broken off: botocore" in record.getMessage()
