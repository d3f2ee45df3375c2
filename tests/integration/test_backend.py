"""XComs pushed and pulled through Airflow's own calls, on a real Postgres and LocalStack."""

from __future__ import annotations

import json
import logging
from decimal import Decimal

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from embedded.localstack import LOGIN
from include.s3_xcom import File
from include.s3_xcom.errors import (
    BadReferenceError,
    IntegrityError,
    ObjectMissingError,
    SettingError,
    StorageError,
    UnsupportedValueError,
)
from include.s3_xcom.s3 import parts, uploads
from tests.helpers.release import xcom_class

FRAME = pd.DataFrame(
    {"n": [1, None], "place": ["Hualian", None]}, index=pd.Index(["a", "b"], name="id")
).astype({"n": "Int64", "place": "category"})


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", Decimal("1.10")], ids=repr)
def test_scalars_stay_in_the_database(task, s3, value):
    task.push(value)
    assert task.pull() == value
    assert type(task.pull()) is type(value)
    assert list(s3.objects.filter(Prefix=f"xcom/dag_id=a%20dag/run_id={task.ids['run_id']}")) == []


@pytest.mark.parametrize(
    "value", [{"a": [1, (2,)]}, [{"row": 1}] * 1000, {}, b"\0", "long" * 1000], ids=lambda v: type(v).__name__
)
def test_containers_and_data_go_to_s3(task, s3, value):
    task.push(value)
    assert task.pull() == value
    assert len(task.row()) < 1024
    assert s3.Object(task.object_key()).content_length > 0


def test_frames_come_back_equal(task, s3):
    task.push(FRAME)
    assert_frame_equal(task.pull(), FRAME, check_exact=True)
    stored = s3.Object(task.object_key())
    assert stored.content_type == "application/vnd.apache.parquet"
    assert stored.key.endswith(".parquet")


def test_the_key_and_metadata_tell_whose_it_is(stack, s3):
    ids = {"dag_id": "dag/ü", "run_id": "manual__1+00:00", "task_id": "group.task", "key": "return_value"}
    column = xcom_class().serialize_value([1], **ids)
    from include.s3_xcom.on_airflow.releases import release

    key = json.loads(release.from_column(column))["key"]
    assert key.startswith("xcom/dag_id=dag%2Fü/run_id=manual__1%2B00%3A00/task_id=group.task/map_index=-1/")
    metadata = s3.Object(key).metadata
    assert metadata["dag-id"] == "dag/%C3%BC"
    assert metadata["s3-xcom-version"] == "1"
    assert metadata["type"] == "list"


def test_the_ui_shows_a_line_and_moves_no_data(task, s3):
    task.push(FRAME)
    s3.Object(task.object_key()).delete()
    assert task.shown().startswith("pandas.DataFrame (2 x 2), ")
    assert task.shown().splitlines()[0].endswith(f"s3://{s3.name}/{task.object_key()}")


def test_logs_tell_of_the_transfer_but_not_of_the_value(task, caplog):
    caplog.set_level(logging.DEBUG)
    task.push({"secret key": "canary-1234"})
    task.pull()
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("include")]
    assert [message.split()[0] for message in messages] == ["Pushed", "Pulled"]
    assert "canary" not in caplog.text
    assert "secret key" not in caplog.text


def test_files_travel_as_themselves(task, s3, tmp_path):
    path = tmp_path / "räum lich.csv"
    path.write_text("a,b\n1,x\n")
    task.push(File(path, delete=True))
    assert not path.exists()
    assert s3.Object(task.object_key()).content_type == "text/csv"
    file = task.pull()
    assert (file.name, file.size) == ("räum lich.csv", 8)
    with file.open() as stream:
        assert stream.read() == b"a,b\n1,x\n"
    assert file.download(tmp_path).read_text() == "a,b\n1,x\n"
    assert list(file.read_csv()["b"]) == ["x"]
    copy = file.path
    assert copy.name == "räum lich.csv"
    del file
    assert not copy.exists()


def test_large_data_goes_in_parts(task, s3, monkeypatch):
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", 6 * 1024 * 1024)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 1024 * 1024)
    value = bytes(range(256)) * 50_000
    task.push(value)
    assert task.pull() == value
    assert s3.Object(task.object_key()).e_tag.endswith('-3"')


def test_rows_of_airflows_own_backend_are_still_read(task):
    task.push(0)
    task.set_row(json.dumps({"pushed": ["before"]}).encode())
    assert task.pull() == {"pushed": ["before"]}


@pytest.mark.airflow_2("its column cannot hold pickles")
def test_pickled_rows_are_not_read(task):
    task.push(0)
    task.set_row(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.")
    with pytest.raises(BadReferenceError, match="enable_xcom_pickling"):
        task.pull()
    assert task.shown().startswith("unreadable")


def test_an_unsupported_value_stores_nothing(task, s3):
    before = len(list(s3.objects.all()))
    with pytest.raises(UnsupportedValueError, match=r"XCom 'return_value' of a dag\.task.*value\[1\]"):
        task.push([1, object()])
    assert len(list(s3.objects.all())) == before
    assert task.row() is None


def test_a_missing_bucket_is_named(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "no-such-bucket")
    with pytest.raises(SettingError, match=r"no bucket 'no-such-bucket'.*init"):
        task.push([1])
    assert task.row() is None


def test_an_empty_bucket_setting_is_explained(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "")
    with pytest.raises(SettingError, match="AIRFLOW__S3_XCOM__BUCKET"):
        task.push([1])


def test_a_missing_connection_is_named(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", "no_such_conn")
    with pytest.raises(SettingError, match="no Airflow connection 'no_such_conn'"):
        task.push([1])


def test_an_endpoint_that_does_not_answer_is_explained(task, monkeypatch):
    extra = {
        "endpoint_url": "http://127.0.0.1:1",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    connection = {"conn_type": "aws", "login": LOGIN, "password": LOGIN, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_DEAD_END", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", "dead_end")
    with pytest.raises(StorageError, match="cannot be reached"):
        task.push([1])


def test_a_deleted_object_is_named(task, s3):
    task.push([1])
    s3.Object(task.object_key()).delete()
    with pytest.raises(ObjectMissingError, match=f"of a dag.task.*s3://{s3.name}/xcom/.*runs again"):
        task.pull()


def test_a_replaced_object_is_not_taken_for_the_pushed_one(task, s3):
    task.push([1])
    s3.Object(task.object_key()).put(Body=b"[2]")
    with pytest.raises(IntegrityError, match="not the one that was pushed"):
        task.pull()


def test_a_row_that_leads_elsewhere_is_not_followed(task):
    task.push([1])
    task.set_row(json.dumps({**json.loads(task.row()), "bucket": "elsewhere"}).encode())
    with pytest.raises(BadReferenceError, match="leads out"):
        task.pull()


def test_a_pushed_dict_that_looks_like_a_reference_is_data(new_task):
    first, second = new_task(), new_task()
    first.push([1])
    lookalike = json.loads(first.row())
    second.push(lookalike)
    assert second.pull() == lookalike


def test_an_expired_object_says_when_it_expired(task, s3, monkeypatch):
    task.push([1])
    s3.Object(task.object_key()).delete()
    row = {**json.loads(task.row()), "pushed": "2026-01-01T10:00:00+00:00"}
    task.set_row(json.dumps(row).encode())
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "30")
    with pytest.raises(ObjectMissingError, match=r"expired on 2026-01-31: it was pushed on 2026-01-01.*Grid"):
        task.pull()
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "0")
    with pytest.raises(ObjectMissingError, match="no longer in the bucket"):
        task.pull()


def test_metrics_count_bytes_time_and_errors(task, s3, monkeypatch, tmp_path):
    from airflow.stats import Stats

    counted: dict[str, float] = {}

    def count(name, value=1):
        counted[name] = counted.get(name, 0) + value

    monkeypatch.setattr(Stats, "incr", count)
    monkeypatch.setattr(Stats, "timing", lambda name, took: count(name, took.total_seconds()))
    task.push("x" * 2000)
    task.pull()
    assert counted["s3_xcom.push.bytes"] == counted["s3_xcom.pull.bytes"] == 2000
    assert counted["s3_xcom.push.duration"] > 0
    assert counted["s3_xcom.pull.duration"] > 0
    counted.clear()
    (tmp_path / "a.csv").write_text("12345")
    task.push(File(tmp_path / "a.csv"))
    file = task.pull()
    assert counted["s3_xcom.pull.bytes"] == 0
    assert file.path.read_text() == "12345"
    assert counted["s3_xcom.pull.bytes"] == 5
    s3.Object(task.object_key()).delete()
    with pytest.raises(ObjectMissingError):
        task.pull().path.read_text()
    assert counted["s3_xcom.errors"] == 1
