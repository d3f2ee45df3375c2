"""The settings: section ``[s3_xcom]`` of Airflow's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from include.s3_xcom.errors import SettingError

SECTION = "s3_xcom"


@dataclass(frozen=True)
class Settings:
    """Where XComs go.

    :param bucket: name of the S3 bucket
    :param prefix: what all keys start with, without slashes at its ends; may be empty
    :param conn_id: Airflow connection with credentials, region and endpoint; empty: boto3's own
        search (environment, profile, role)
    """

    bucket: str
    prefix: str = "xcom"
    conn_id: str = "aws_default"


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
    return Settings(
        bucket=bucket,
        prefix=conf.get(SECTION, "prefix", fallback=Settings.prefix).strip().strip("/"),
        conn_id=conf.get(SECTION, "conn_id", fallback=Settings.conn_id).strip(),
    )
