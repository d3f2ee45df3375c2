"""Sets the bucket up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

PUBLIC_ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
SSE_S3 = "AES256"
RULE_IDS = ("s3-xcom-abort-incomplete-uploads", "s3-xcom-expire")
"""Ids of the lifecycle rules, before the prefix: several deployments may share a bucket."""

ABORT_AFTER_DAYS = 1
MAX_RULE_ID = 255


def ensure(s3: BaseClient, settings: Settings) -> list[str]:
    """Create the bucket if it is missing, and make it private, encrypted and free of what is not needed.

    Safe to repeat. Rules of other people stay.

    :return: what was done, a phrase each
    """
    bucket, prefix, retention_days = settings.bucket, settings.prefix, settings.retention_days
    done = []
    if not _exists(s3, bucket):
        region = s3.meta.region_name
        # us-east-1 is the one region that must not be named here.
        where = (
            {}
            if region in (None, "us-east-1", "aws-global")
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=bucket, **where)
        done.append("bucket created")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS)
    done.append("public access blocked")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=_encryption(settings))
    done.append(f"default encryption on ({settings.sse or SSE_S3})")
    abort, expire = (f"{name}:{prefix}"[:MAX_RULE_ID] for name in RULE_IDS)
    rules = [rule for rule in _lifecycle_rules(s3, bucket) if rule.get("ID") not in (abort, expire)]
    below = {"Status": "Enabled", "Filter": {"Prefix": f"{prefix}/" if prefix else ""}}
    rules.append(
        {"ID": abort, **below, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_AFTER_DAYS}}
    )
    if retention_days:
        rules.append(
            {
                "ID": expire,
                **below,
                "Expiration": {"Days": retention_days},
                "NoncurrentVersionExpiration": {"NoncurrentDays": retention_days},
            }
        )
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    done.append(f"unfinished uploads removed after {ABORT_AFTER_DAYS} day")
    done.append(f"objects expire after {retention_days} days" if retention_days else "objects never expire")
    return done


def _encryption(settings: Settings) -> dict:
    default = {"SSEAlgorithm": settings.sse or SSE_S3}
    if settings.kms_key_id:
        default["KMSMasterKeyID"] = settings.kms_key_id
    # A bucket key spares most requests to KMS; double encryption cannot have one.
    has_key = settings.sse == "aws:kms"
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": has_key}]}


def _exists(s3: BaseClient, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _lifecycle_rules(s3: BaseClient, bucket: str) -> list[dict]:
    try:
        return s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
