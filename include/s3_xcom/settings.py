"""The settings: section ``[s3_xcom]`` of Airflow's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from include.s3_xcom.errors import SettingError

SECTION = "s3_xcom"
COMPRESSIONS = ("none", "gzip", "zstd")


@dataclass(frozen=True)
class Settings:
    """Where XComs go.

    :param bucket: name of the S3 bucket
    :param prefix: what all keys start with, without slashes at its ends; may be empty
    :param conn_id: Airflow connection with credentials, region and endpoint; empty: boto3's own search
        (environment, profile, role)
    :param inline_max_bytes: containers whose JSON is no longer stay in the metadata database
    :param retention_days: after how many days S3 deletes objects; 0: never
    :param compression: of JSON, text, bytes and arrays: ``none``, ``gzip`` or ``zstd``
    """

    bucket: str
    prefix: str = "xcom"
    conn_id: str = "aws_default"
    inline_max_bytes: int = 0
    compression: str = "none"
    retention_days: int = 0


def load() -> Settings:
    """Read the settings from Airflow's configuration.

    :raises SettingError: if no bucket is set
    """
    from airflow.configuration import conf

    bucket = conf.get(SECTION, "bucket", fallback="").strip()
    if not bucket:
        raise SettingError(
            "No bucket is set for XComs. Set AIRFLOW__S3_XCOM__BUCKET, or `bucket` in section "
            "[s3_xcom] of airflow.cfg, to the name of an S3 bucket."
        )
    compression = conf.get(SECTION, "compression", fallback=Settings.compression).strip().lower()
    if compression not in COMPRESSIONS:
        raise SettingError(
            f"[s3_xcom] compression is {compression!r:.40}. Set it to one of: {', '.join(COMPRESSIONS)}."
        )
    return Settings(
        bucket=bucket,
        prefix=conf.get(SECTION, "prefix", fallback=Settings.prefix).strip().strip("/"),
        conn_id=conf.get(SECTION, "conn_id", fallback=Settings.conn_id).strip(),
        inline_max_bytes=_natural("inline_max_bytes", Settings.inline_max_bytes),
        compression=compression,
        retention_days=_natural("retention_days", Settings.retention_days),
    )


def _natural(name: str, default: int) -> int:
    from airflow.configuration import conf

    text = conf.get(SECTION, name, fallback=str(default)).strip()
    if not text.isdecimal():
        raise SettingError(f"[s3_xcom] {name} is {text!r:.40}. Set it to a whole number, 0 or more.")
    return int(text)
