"""Objects put into S3, copied, listed, deleted. One request each, unless an object is too large for that."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom import failures
from include.s3_xcom.client import client
from include.s3_xcom.reference import Owner, Reference
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

SINGLE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one request beats several (S3 itself takes 5 GiB in one)."""

PART_BYTES = 16 * 1024 * 1024
SINGLE_COPY_BYTES = 5 * 1024**3
COPY_PART_BYTES = 1024**3
PAGE_KEYS = DELETE_KEYS = 1000
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


@dataclass(frozen=True)
class Stored:
    """What came of storing an object.

    :param size: in bytes
    :param sha256: of its content, in hexadecimal
    """

    etag: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it.

    :param size: in bytes
    :param age: in seconds
    """

    key: str
    size: int
    age: float


def put(
    settings: Settings,
    key: str,
    body: bytes | memoryview | BinaryIO,
    size: int,
    *,
    owner: Owner,
    content_type: str,
    content_encoding: str | None = None,
    metadata: dict[str, str],
) -> Stored:
    """Store one object.

    :param body: the bytes, or a stream of them, of which one part at a time is held in memory
    :param size: of the body, in bytes
    :param owner: whom it belongs to, for error messages
    :param metadata: user metadata; ASCII only
    :raises SettingError: if the connection does not exist
    :raises StorageError: if S3 does not take it; nothing is stored then
    """
    about = _about(settings, key, content_type, metadata)
    if content_encoding is not None:
        about["ContentEncoding"] = content_encoding
    with failures.explained(settings, "push", f"s3://{settings.bucket}/{key}", owner):
        if size <= SINGLE_PUT_BYTES:
            whole = bytes(body) if isinstance(body, (bytes, memoryview)) else body.read(size)
            return _put_whole(client(settings), about, whole)
        return _put_parts(client(settings), about, _parts(body, size))


def put_pieces(
    settings: Settings,
    key: str,
    pieces: Iterator[bytes],
    *,
    owner: Owner,
    content_type: str,
    metadata: dict[str, str],
) -> Stored:
    """Store one object whose bytes come piece by piece, of which little more than one part is held in memory.

    Parameters and errors as of :func:`put`.
    """
    about = _about(settings, key, content_type, metadata)
    with failures.explained(settings, "push", f"s3://{settings.bucket}/{key}", owner):
        head, size = [], 0
        for piece in pieces:
            head.append(piece)
            size += len(piece)
            if size > SINGLE_PUT_BYTES:
                break
        else:
            return _put_whole(client(settings), about, b"".join(head))
        return _put_parts(client(settings), about, _gathered(itertools.chain(head, pieces)))


def copy(
    settings: Settings,
    source: Reference,
    key: str,
    *,
    owner: Owner,
    content_type: str,
    metadata: dict[str, str],
) -> str:
    """Store an object that is there already under another key, within S3. As :func:`put`."""
    about = _about(settings, key, content_type, metadata)
    origin = {
        "CopySource": {"Bucket": source.bucket, "Key": source.key},
        "CopySourceIfMatch": source.etag,
    }
    with failures.explained(settings, "push", f"{owner} as a copy of {source.address}", source.owner):
        s3 = client(settings)
        if source.size <= SINGLE_COPY_BYTES:
            answer = s3.copy_object(MetadataDirective="REPLACE", **origin, **about)
            return answer["CopyObjectResult"]["ETag"]
        starts = range(0, source.size, COPY_PART_BYTES)
        spans = [f"bytes={start}-{min(start + COPY_PART_BYTES, source.size) - 1}" for start in starts]

        def copy_part(span: str, **where: Any) -> dict[str, Any]:
            return s3.upload_part_copy(CopySourceRange=span, **origin, **where)["CopyPartResult"]

        return _put_in_parts(s3, about, spans, copy_part)


def head(settings: Settings, key: str) -> dict[str, Any]:
    """What S3 tells of an object: its size, ETag and metadata.

    :raises ObjectMissingError: if there is none
    :raises StorageError: if S3 cannot be reached or denies it
    """
    with failures.explained(settings, "look up", f"s3://{settings.bucket}/{key}"):
        return client(settings).head_object(Bucket=settings.bucket, Key=key)


def delete(settings: Settings, keys: Sequence[str]) -> list[str]:
    """Delete objects, a thousand with each request. One that is gone already counts as deleted.

    :return: the keys that S3 did not delete
    :raises StorageError: if S3 cannot be reached or denies it
    """
    left = []
    with failures.explained(settings, "delete from", f"s3://{settings.bucket}"):
        for start in range(0, len(keys), DELETE_KEYS):
            chunk = [{"Key": key} for key in keys[start : start + DELETE_KEYS]]
            answer = client(settings).delete_objects(
                Bucket=settings.bucket, Delete={"Objects": chunk, "Quiet": True}
            )
            left += [error["Key"] for error in answer.get("Errors", [])]
    return left


def listed(settings: Settings, prefix: str) -> Iterator[list[Listed]]:
    """The objects whose keys start with a prefix, in the order of their keys, a request at a time.

    :raises StorageError: if S3 cannot be reached or denies it
    """
    with failures.explained(settings, "list", f"s3://{settings.bucket}/{prefix}"):
        pages = client(settings).get_paginator("list_objects_v2")
        extent = {"PaginationConfig": {"PageSize": PAGE_KEYS}}
        for page in pages.paginate(Bucket=settings.bucket, Prefix=prefix, **extent):
            # By S3's clock, which also gave the objects their times.
            now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
            yield [
                Listed(item["Key"], item["Size"], max(0, (now - item["LastModified"]).total_seconds()))
                for item in page.get("Contents", [])
            ]


def _about(settings: Settings, key: str, content_type: str, metadata: dict[str, str]) -> dict[str, Any]:
    """What each request that makes an object says of it."""
    about = {"Bucket": settings.bucket, "Key": key, "ContentType": content_type, "Metadata": metadata}
    if settings.sse:
        about["ServerSideEncryption"] = settings.sse
    if settings.kms_key_id:
        about["SSEKMSKeyId"] = settings.kms_key_id
    return about


def _parts(body: bytes | memoryview | BinaryIO, size: int) -> Iterator[bytes]:
    part_size = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    for start in range(0, size, part_size):
        length = min(part_size, size - start)
        if isinstance(body, (bytes, memoryview)):
            yield bytes(memoryview(body)[start : start + length])
        else:
            yield body.read(length)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces as parts that S3 takes, which grow so that any object fits in the number that it takes."""
    part = bytearray()
    count = 0
    for piece in pieces:
        part += piece
        while len(part) >= (enough := PART_BYTES * (1 + count // 1000)):
            yield bytes(memoryview(part)[:enough])
            del part[:enough]
            count += 1
    yield bytes(part)


def _put_whole(s3: BaseClient, about: dict[str, Any], body: bytes) -> Stored:
    sha256 = hashlib.sha256(body)
    etag = s3.put_object(**_content(body, sha256), **about)["ETag"]
    return Stored(etag, len(body), sha256.hexdigest())


def _put_parts(s3: BaseClient, about: dict[str, Any], parts: Iterable[bytes]) -> Stored:
    size, digest = 0, hashlib.sha256()

    def put_part(part: bytes, **where: Any) -> dict[str, Any]:
        nonlocal size
        size += len(part)
        digest.update(part)
        return s3.upload_part(**_content(part, hashlib.sha256(part)), **where)

    etag = _put_in_parts(s3, {**about, "ChecksumAlgorithm": "SHA256"}, parts, put_part)
    return Stored(etag, size, digest.hexdigest())


def _content(body: bytes, sha256: Any) -> dict[str, Any]:
    """A body as S3 checks it when it has arrived.

    As a stream: botocore's debug log shows bytes, and not what is in a stream.
    """
    return {"Body": io.BytesIO(body), "ChecksumSHA256": base64.b64encode(sha256.digest()).decode()}


def _put_in_parts(
    s3: BaseClient, about: dict[str, Any], parts: Iterable[Any], put_part: Callable[..., dict[str, Any]]
) -> str:
    where = {"Bucket": about["Bucket"], "Key": about["Key"]}
    where["UploadId"] = s3.create_multipart_upload(**about)["UploadId"]
    try:
        done = []
        for number, part in enumerate(parts, start=1):
            answer = put_part(part, PartNumber=number, **where)
            kept = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
            done.append({"PartNumber": number, **kept})
        return s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)["ETag"]
    except BaseException:
        # The parts would stay, and cost. If this fails too, the bucket's own rule removes them.
        with contextlib.suppress(Exception):
            s3.abort_multipart_upload(**where)
        raise
