"""Section [s3_xcom] of Airflow's configuration."""

from __future__ import annotations

import pytest

from include.s3_xcom.errors import SettingError
from include.s3_xcom.on_airflow.configuration import load_settings
from include.s3_xcom.settings import Settings


def test_without_settings_the_defaults_hold(monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "b")
    assert vars(load_settings()) == {
        "bucket": "b",
        "prefix": "xcom",
        "conn_id": "aws_default",
        "inline_max_bytes": 0,
        "compression": "none",
        "retention_days": 0,
        "max_attempts": 5,
        "connect_timeout": 30,
        "read_timeout": 60,
        "transfer_connections": 10,
        "sse": "",
        "kms_key_id": "",
    }


def test_each_setting_is_read(monkeypatch):
    expected = Settings("b", "p/q", "conn", 9, "zstd", 30, 7, 3, 4, 5, "aws:kms", "key")
    given = {**vars(expected), "prefix": "/p/q/", "compression": " ZSTD", "sse": "AWS:KMS"}
    for name, value in given.items():
        monkeypatch.setenv(f"AIRFLOW__S3_XCOM__{name.upper()}", str(value))
    assert load_settings() == expected


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("bucket", " ", "Set AIRFLOW__S3_XCOM__BUCKET"),
        ("compression", "lz4", "one of: none, gzip, zstd"),
        ("sse", "kms", "one of: nothing, AES256, aws:kms, aws:kms:dsse"),
        ("kms_key_id", "key", "Set sse to aws:kms"),
        ("retention_days", "-1", "a whole number, 0 or more"),
        ("max_attempts", "0", "a whole number, 1 or more"),
        ("read_timeout", "0.5", "a whole number, 1 or more"),
        ("transfer_connections", "0", "a whole number, 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(monkeypatch, name, value, advice):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "b")
    monkeypatch.setenv(f"AIRFLOW__S3_XCOM__{name.upper()}", value)
    with pytest.raises(SettingError, match=advice):
        load_settings()
