"""The bucket as others see it, past the backend."""

from __future__ import annotations

from typing import Any

from embedded.localstack import LOGIN

CREDENTIALS = {"aws_access_key_id": LOGIN, "aws_secret_access_key": LOGIN}


def bucket_at(url: str, name: str) -> Any:
    """boto3's ``Bucket`` resource."""
    import boto3

    return boto3.resource("s3", endpoint_url=url, region_name="us-east-1", **CREDENTIALS).Bucket(name)
