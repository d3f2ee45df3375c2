"""Copies of objects that were pushed: within S3, or through this process where S3 cannot copy."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import IntegrityError, ObjectMissingError, StorageError
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors, parts, uploads
from include.s3_xcom.s3.pinned import current_etag, same_etag
from include.s3_xcom.s3.uploads import Target

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store

log = logging.getLogger(__name__)

SINGLE_COPY_BYTES = 1024**3
"""Bytes up to which S3 copies with one request (it takes 5 GiB); more is copied in parts, several at once.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

COPY_PART_BYTES = 256 * 1024**2


def copy(store: Store, source: Reference, target: Target) -> str:
    """Store an object of the bucket under another key.

    S3 is asked to copy the object with the source's ETag. If it refuses, or copies another, the object is
    read and written: its content then shows whether it is the one that was pushed. A restored copy has
    another ETag; and some servers refuse the right one (Swift, for multipart uploads), do not find the source
    (Ceph 16, for multipart copies of keys that hold "%"), or cannot copy.

    :return: the copy's ETag
    :raises ObjectMissingError: if the source is gone
    :raises IntegrityError: if the source is not the object that was pushed; there is no copy then
    """
    try:
        return _copy_within_s3(store, source, target)
    except IntegrityError as error:
        refusal: StorageError = error
    except StorageError as error:
        if not errors.is_servers_own(error):
            raise
        refusal = error
    log.info("S3 does not copy %s: it is read and written. %s", source.address, refusal)
    try:
        return _copy_through_here(store, source, target)
    except (IntegrityError, ObjectMissingError) as error:
        if type(error) is type(refusal):
            raise refusal from None
        raise type(error)(f"Cannot push {target.owner}, {target.address}: {error}") from None


def _copy_within_s3(store: Store, source: Reference, target: Target) -> str:
    etag = current_etag(source)
    origin = {"CopySource": {"Bucket": source.bucket, "Key": source.key}, "CopySourceIfMatch": etag}
    if source.size <= SINGLE_COPY_BYTES:
        with target.translated(source.pushed):
            answer = store.client.copy_object(
                MetadataDirective="REPLACE", **origin, **target.where, **target.headers
            )
        target.require_encryption(answer)
        copied = answer.get("CopyObjectResult", {}).get("ETag", "")
    else:
        copied = _copy_in_parts(store, source, target, origin)
    try:
        is_right = same_etag(copied, etag) or _is_of(store, source, target, etag)
    except StorageError:
        target.discard()
        raise
    if not copied or not is_right:
        target.discard()
        raise IntegrityError(f"Cannot push {target.owner}, {target.address}: {errors.OTHER_CONTENT}")
    return copied


def _copy_in_parts(store: Store, source: Reference, target: Target, origin: dict[str, Any]) -> str:
    size = max(COPY_PART_BYTES, math.ceil(source.size / parts.MAX_PARTS))
    starts = range(0, source.size, size)
    spans = [f"bytes={start}-{min(start + size, source.size) - 1}" for start in starts]

    def copy_part(span: str, **where: Any) -> dict[str, Any]:
        with target.translated(source.pushed):
            return store.client.upload_part_copy(CopySourceRange=span, **origin, **where)["CopyPartResult"]

    return target.put_in_parts(spans, copy_part)


def _copy_through_here(store: Store, source: Reference, target: Target) -> str:
    with store.open(source) as stream:
        if source.size <= uploads.SINGLE_PUT_BYTES:
            return target.put(stream.read()).etag
        return target.put_parts(parts.split(stream, source.size)).etag


def _is_of(store: Store, source: Reference, target: Target, etag: str) -> bool:
    """Return whether a copy is of the source: some servers ignore the condition, or the ranges."""
    with target.translated(source.pushed):
        found = store.client.head_object(Bucket=source.bucket, Key=source.key)
        copy = store.client.head_object(**target.where)
    return same_etag(found.get("ETag", ""), etag) and copy.get("ContentLength") == source.size
