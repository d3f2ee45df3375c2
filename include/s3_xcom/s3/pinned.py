"""GET requests for the object that was pushed, and no other.

The reference holds the object's ETag, and with If-Match S3 answers 412 for any other. Some S3 servers ignore
the condition, so the ETag of the answer is compared too; some refuse the right ETag, and a restored copy may
have another one: then the size and the SHA-256 in the reference decide.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.errors import StorageError
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors

if TYPE_CHECKING:
    from botocore.client import BaseClient

_CHUNK_BYTES = 1024 * 1024

_lock = threading.Lock()

_restored: dict[str, str] = {}
"""ETags, by address, of objects that have the content of their references but another ETag."""


def get_pinned(client: BaseClient, reference: Reference, byte_range: dict[str, str]) -> dict[str, Any]:
    """Return the answer to a GET of the object that was pushed, and no other.

    :param byte_range: the argument ``Range``, or nothing
    :raises botocore.exceptions.ClientError: as S3 answers
    :raises IntegrityError: if it is not the one that was pushed
    """
    where = {"Bucket": reference.bucket, "Key": reference.key}
    etag = current_etag(reference)
    try:
        response = client.get_object(IfMatch=etag, **where, **byte_range)
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
    else:
        if same_etag(response.get("ETag", ""), etag):
            return response
        response["Body"].close()
    with _lock:  # of several ranges read at once, only one checks the content
        known = current_etag(reference)
        found = known if known != etag else _etag_by_content(client, reference)
    if found is None:
        raise errors.replaced(reference)
    if not found:
        raise StorageError(
            f"Cannot pull {reference.owner}, {reference.address}: S3 answers without an ETag, by which one "
            "object is told from another. Is there a proxy that removes it?"
        )
    # No condition if the server refused the ETag that it gives itself.
    condition = {} if same_etag(found, etag) else {"IfMatch": found}
    response = client.get_object(**condition, **where, **byte_range)
    if not same_etag(response.get("ETag", ""), found):
        response["Body"].close()
        raise errors.replaced(reference)
    return response


def current_etag(reference: Reference) -> str:
    """Return the ETag that the object has, as far as this process knows."""
    return _restored.get(reference.address, reference.etag)


def same_etag(one: str, other: str) -> bool:
    """Return whether two ETags are equal. Some servers omit the quotes, some proxies mark them as weak."""
    return one.removeprefix("W/").strip('"') == other.removeprefix("W/").strip('"') != ""


def sha256_of(stream: BinaryIO) -> str:
    """Return the SHA-256 of a stream's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(_CHUNK_BYTES), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _etag_by_content(client: BaseClient, reference: Reference) -> str | None:
    """Return the ETag if size and SHA-256 are the reference's: empty if there is no ETag; None for others."""
    response = client.get_object(Bucket=reference.bucket, Key=reference.key)
    with contextlib.closing(response["Body"]) as body:
        length = response.get("ContentLength", reference.size)
        if length != reference.size or sha256_of(body) != reference.sha256:
            return None
    etag = response.get("ETag", "")
    if etag:
        _restored[reference.address] = etag
    return etag
