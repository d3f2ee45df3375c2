"""The bucket as others see it, past the backend."""

from __future__ import annotations

from typing import Any

from embedded.localstack import LOGIN

CREDENTIALS = {"aws_access_key_id": LOGIN, "aws_secret_access_key": LOGIN}


def bucket_at(url: str, name: str, verify: str | None = None) -> Any:
    """boto3's ``Bucket`` resource.

    :param verify: path of the certificates that are trusted
    """
    import boto3

    where = {"endpoint_url": url, "region_name": "us-east-1", "verify": verify}
    return boto3.resource("s3", **where, **CREDENTIALS).Bucket(name)
