"""Setup of the bucket, as far as the S3 server supports it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.s3_xcom import keys
from include.s3_xcom.s3 import database_note, errors
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

PUBLIC_ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
WITHOUT_ACLS = {**PUBLIC_ACCESS, "BlockPublicAcls": False}
SSE_S3 = "AES256"
RULE_IDS = ("s3-xcom-abort-incomplete-uploads", "s3-xcom-expire")
"""Ids of the lifecycle rules, before the prefix: several deployments may share a bucket."""

ABORT_AFTER_DAYS = 1
MAX_RULE_ID = 255

_FAILURES = {"ExpiredToken", "InvalidToken", "NoSuchBucket", "OperationAborted", "RequestTimeTooSkewed"}
"""Codes of refusals that do not mean that the server lacks a setting."""

READS, READ_PAUSE_SECONDS = 10, 1
"""Times that a setting is read back, and seconds between two: AWS may first answer with the former one."""

_seen: set[tuple[int, str, str]] = set()
"""Buckets that this process has found, by process id, connection and name."""


@dataclass
class Done:
    """The results of the setup, one phrase each.

    :param gaps: settings that the server lacks, and the consequences
    """

    settings: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def ensure(s3: BaseClient, settings: Settings) -> Done:
    """Create the bucket if it is missing, and make it private, encrypted and free of what is not needed.

    It is safe to repeat. Other lifecycle rules stay. Each setting is read back, because some servers confirm
    a setting that they do not make.

    :raises botocore.exceptions.ClientError: if a right is missing, or the bucket cannot be created
    """
    done = Done()
    bucket, days = settings.bucket, settings.retention_days
    if not _exists(s3, bucket):
        _create(s3, bucket)
        done.settings.append("bucket created")

    # Some servers take a setting and then refuse to store anything. AWS does not, so it is not tried there.
    could_store = not _is_aws(s3) and not _why_nothing_is_stored(s3, settings)

    def attempt(
        set_it: Callable[[], None],
        is_set: Callable[[], bool],
        phrases: list[str],
        gap: str,
        undo: Callable[[], Any] | None = None,
    ) -> None:
        why = _refusal(set_it, _is_aws(s3)) or _doubt(is_set)
        if not why and undo is not None and could_store and (why := _why_nothing_is_stored(s3, settings)):
            undo()
        if why:
            done.gaps.append(f"{gap} (the S3 server answered {why})")
        else:
            done.settings += phrases

    attempt(
        lambda: _block_public_access(s3, settings, could_store),
        lambda: (
            s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
            in (PUBLIC_ACCESS, WITHOUT_ACLS)
        ),
        ["public access blocked"],
        "public access is NOT blocked here: see to it that the server's own rules keep the bucket private",
        lambda: s3.delete_public_access_block(Bucket=bucket),
    )
    encryption = _encryption(settings)
    attempt(
        lambda: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption),
        lambda: _is_default(s3.get_bucket_encryption(Bucket=bucket), encryption),
        [f"default encryption on ({settings.sse or SSE_S3})"],
        "default encryption is NOT on: objects lie in clear text unless the server encrypts its disks",
        lambda: s3.delete_bucket_encryption(Bucket=bucket),
    )
    rules = _rules(settings)
    attempt(
        lambda: _put_rules(s3, settings),
        lambda: _are_in_force(rules, _lifecycle_rules(s3, bucket), _rule_ids(settings.prefix)),
        [
            f"unfinished uploads removed after {ABORT_AFTER_DAYS} day",
            f"objects expire after {days} days" if days else "objects never expire",
        ],
        "there are NO lifecycle rules: unfinished uploads stay"
        + (f", and objects do not expire after {days} days; the sweep deletes only orphans" if days else ""),
    )
    try:
        database_note.write_if_new(s3, settings)
    except s3.exceptions.ClientError as error:
        done.gaps.append(
            "NO note of the database that deletes here can be written, without which nothing is deleted (the "
            f"S3 server answered {error.response['Error']['Code']})"
        )
    return done


def is_missing(s3: BaseClient, settings: Settings) -> bool:
    """Return whether there is no bucket to push to, by one check in a process.

    Some servers create a bucket, mistyped or not, when an object is put in it. AWS never does: it is not
    asked.
    """
    identity = os.getpid(), settings.conn_id, settings.bucket
    if identity in _seen or _is_aws(s3):
        return False
    try:
        found = _exists(s3, settings.bucket)
    except s3.exceptions.ClientError:  # no right to check: the push will tell
        found = True
    if found:
        _seen.add(identity)
    return not found


def _is_aws(s3: BaseClient) -> bool:
    """Return whether the endpoint is AWS, which has all settings: if it refuses one, that is an error."""
    return ".amazonaws." in (urlsplit(s3.meta.endpoint_url).hostname or "")


def _exists(s3: BaseClient, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if _status(error) == 404:
            return False
        raise
    return True


def _create(s3: BaseClient, bucket: str) -> None:
    region = s3.meta.region_name
    # us-east-1 is the one region that must not be named here.
    where = (
        {}
        if region in (None, "us-east-1", "aws-global")
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    s3.create_bucket(Bucket=bucket, **where)


def _refusal(set_it: Callable[[], Any], is_aws: bool) -> str:
    """Return how the server refuses a setting that it lacks; empty if it takes it."""
    from botocore.exceptions import ClientError

    try:
        set_it()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        is_lack = _status(error) in (400, 405, 409, 501) and code not in _FAILURES
        if is_aws or not is_lack or code.startswith("KMS."):
            raise
        return f"{code}: {error.response['Error'].get('Message') or 'no more'}"
    return ""


def _doubt(is_set: Callable[[], bool]) -> str:
    """Return why a setting is not made, though the server took it; empty if it is made."""
    from botocore.exceptions import ClientError

    for _ in range(READS):
        try:
            if is_set():
                return ""
        except ClientError as error:
            if _status(error) == 403:  # a server that refuses to show a setting has it
                return ""
            if _status(error) not in (400, 404, 405, 501) or error.response["Error"]["Code"] in _FAILURES:
                raise
        except KeyError:
            pass
        time.sleep(READ_PAUSE_SECONDS)
    return "otherwise when it was asked again"


def _status(error: Any) -> int:
    """Return the HTTP status that S3 answered; 0 if another service answered."""
    return errors.answer_of_s3(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _encryption(settings: Settings) -> dict[str, Any]:
    default = {"SSEAlgorithm": settings.sse or SSE_S3}
    if settings.kms_key_id:
        default["KMSMasterKeyID"] = settings.kms_key_id
    # A bucket key saves most requests to KMS; double encryption cannot have one.
    has_key = settings.sse == "aws:kms"
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": has_key}]}


def _block_public_access(s3: BaseClient, settings: Settings, could_store: bool) -> None:
    """Block public access; if the server then stores nothing (Ceph 16), take public ACLs but ignore them."""
    bucket = settings.bucket
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS)
    if could_store and _why_nothing_is_stored(s3, settings):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=WITHOUT_ACLS)


def _why_nothing_is_stored(s3: BaseClient, settings: Settings) -> str:
    """Return how the server refuses an object; empty if it takes one."""
    where = {"Bucket": settings.bucket, "Key": "/".join(filter(None, (settings.prefix, "init")))}
    try:
        s3.put_object(Body=b"", **where)
        s3.delete_object(**where)
    except s3.exceptions.ClientError as error:
        return f"{error.response['Error']['Code']} to an object, so it was switched off again"
    return ""


def _is_default(answer: dict[str, Any], encryption: dict[str, Any]) -> bool:
    found, ours = (
        rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        for rules in (answer["ServerSideEncryptionConfiguration"], encryption)
    )
    return {name: found.get(name) for name in ours} == ours


def _rules(settings: Settings) -> list[dict[str, Any]]:
    prefix, days = settings.prefix, settings.retention_days
    abort, expire = _rule_ids(prefix)
    # The prefix leaves out the note of the database, which must not expire.
    below = {"Status": "Enabled", "Filter": {"Prefix": f"{keys.root(settings)}dag_id="}}
    unfinished = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_AFTER_DAYS}}
    rules = [{"ID": abort, **below, **unfinished}]
    if days:
        old = {"Expiration": {"Days": days}, "NoncurrentVersionExpiration": {"NoncurrentDays": days}}
        rules.append({"ID": expire, **below, **old})
    return rules


def _rule_ids(prefix: str) -> list[str]:
    return [f"{name}:{prefix}"[:MAX_RULE_ID] for name in RULE_IDS]


def _put_rules(s3: BaseClient, settings: Settings) -> None:
    ours = _rule_ids(settings.prefix)
    theirs = [rule for rule in _lifecycle_rules(s3, settings.bucket) if rule.get("ID") not in ours]
    s3.put_bucket_lifecycle_configuration(
        Bucket=settings.bucket, LifecycleConfiguration={"Rules": theirs + _rules(settings)}
    )


def _are_in_force(ours: list[dict[str, Any]], found: list[dict[str, Any]], ids: list[str]) -> bool:
    """Return whether our rules are among those found, and no other rules have our ids."""
    said = {rule["ID"]: (rule.get("Status"), rule.get("Expiration", {}).get("Days")) for rule in ours}
    is_ours = [rule for rule in found if rule.get("ID") in ids]
    return said == {
        rule["ID"]: (rule.get("Status"), rule.get("Expiration", {}).get("Days")) for rule in is_ours
    }


def _lifecycle_rules(s3: BaseClient, bucket: str) -> list[dict[str, Any]]:
    try:
        return s3.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", [])
    except s3.exceptions.ClientError as error:
        if _status(error) == 404 and error.response["Error"]["Code"] not in _FAILURES:
            return []
        raise
