"""Settings: the section ``[s3_xcom]`` of Airflow's configuration."""

from __future__ import annotations

from dataclasses import dataclass

SECTION = "s3_xcom"
COMPRESSIONS = ("none", "gzip", "zstd")
ENCRYPTIONS = ("", "AES256", "aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class Settings:
    """The settings of one deployment.

    :param bucket: name of the S3 bucket
    :param prefix: start of all keys, without slashes at its ends; may be empty
    :param conn_id: Airflow connection with credentials, region and endpoint; empty: boto3 searches for them
        (environment, profile, role)
    :param inline_max_bytes: bytes of JSON up to which values stay in the metadata database
    :param retention_days: days after which S3 deletes objects; 0: never
    :param compression: compression of JSON, text, bytes and arrays: ``none``, ``gzip`` or ``zstd``
    :param max_attempts: times that a request is sent, or a broken download resumed, before it fails
    :param connect_timeout: seconds; also limits sending without TLS
    :param read_timeout: seconds to wait for an answer, and for each MiB of an object
    :param transfer_connections: connections by which an object of more than 16 MiB is sent or read
    :param sse: encryption that each upload asks for: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; empty: the
        bucket's default
    :param kms_key_id: the AWS KMS key for ``sse``; empty: the account's default key
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
    transfer_connections: int = 10
    sse: str = ""
    kms_key_id: str = ""

    @property
    def encryption_headers(self) -> dict[str, str]:
        """Arguments of boto3 with which an upload asks for its encryption."""
        headers = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.kms_key_id}
        return {name: value for name, value in headers.items() if value}
