"""The settings: section ``[s3_xcom]`` of Airflow's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from include.s3_xcom.errors import SettingError

SECTION = "s3_xcom"
COMPRESSIONS = ("none", "gzip", "zstd")
ENCRYPTIONS = ("", "AES256", "aws:kms", "aws:kms:dsse")


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
    :param max_attempts: for each request, and for each object that breaks off while it is read
    :param connect_timeout: in seconds, also for sending where there is no TLS
    :param read_timeout: in seconds, for an answer, and for each MiB of an object
    :param sse: encryption asked for with each object: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``;
        empty: what the bucket does by itself
    :param kms_key_id: the key of AWS KMS for that; empty: the account's own
    """

    bucket: str
    prefix: str = "xcom"
    conn_id: str = "aws_default"
    inline_max_bytes: int = 0
    compression: str = "none"
    retention_days: int = 0
    max_attempts: int = 5
    connect_timeout: int = 30
    read_timeout: int = 60
    sse: str = ""
    kms_key_id: str = ""


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
    sse, kms_key_id = _choice("sse", ENCRYPTIONS), conf.get(SECTION, "kms_key_id", fallback="").strip()
    if kms_key_id and not sse.startswith("aws:"):
        raise SettingError("[s3_xcom] kms_key_id is set. Set sse to aws:kms or aws:kms:dsse as well.")
    return Settings(
        bucket=bucket,
        prefix=conf.get(SECTION, "prefix", fallback=Settings.prefix).strip().strip("/"),
        conn_id=conf.get(SECTION, "conn_id", fallback=Settings.conn_id).strip(),
        inline_max_bytes=_number("inline_max_bytes"),
        compression=_choice("compression", COMPRESSIONS),
        retention_days=_number("retention_days"),
        max_attempts=_number("max_attempts", least=1),
        connect_timeout=_number("connect_timeout", least=1),
        read_timeout=_number("read_timeout", least=1),
        sse=sse,
        kms_key_id=kms_key_id,
    )


def _choice(name: str, choices: tuple[str, ...]) -> str:
    from airflow.configuration import conf

    text = conf.get(SECTION, name, fallback=getattr(Settings, name)).strip()
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    listed = ", ".join(choice or "nothing" for choice in choices)
    raise SettingError(f"[s3_xcom] {name} is {text!r:.40}. Set it to one of: {listed}.")


def _number(name: str, least: int = 0) -> int:
    from airflow.configuration import conf

    text = conf.get(SECTION, name, fallback=str(getattr(Settings, name))).strip()
    if not text.isdecimal() or int(text) < least:
        raise SettingError(f"[s3_xcom] {name} is {text!r:.40}. Set it to a whole number, {least} or more.")
    return int(text)
