"""The bucket: objects put, copied, read, listed and deleted. One request each, if an object is not large."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import io
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.errors import IntegrityError, StorageError, XComError
from include.s3_xcom.keys import Owner
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors
from include.s3_xcom.s3.body import CHUNK_BYTES, Body
from include.s3_xcom.s3.client import get_client
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

SINGLE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one request is faster than several (S3 itself takes 5 GiB in one)."""

PART_BYTES = 16 * 1024 * 1024
SINGLE_COPY_BYTES = 5 * 1024**3
COPY_PART_BYTES = 1024**3
PAGE_KEYS = DELETE_KEYS = 1000
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html

ABORT_SECONDS = 0.5
"""How long an interrupted upload waits until its parts are removed. The bucket's rule removes the rest."""

_restored: dict[str, str] = {}
"""The ETags of objects that have the content of their references, but another ETag, by address."""


@dataclass(frozen=True)
class Upload:
    """The result of an upload.

    :param size: in bytes
    :param sha256: of the content, in hexadecimal
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


class Store:
    """The bucket of some settings.

    Its methods raise SettingError if the connection does not exist or makes no sense, and StorageError for
    what S3 or the network do.

    :param hasty: give up after one attempt of a few seconds
    """

    def __init__(self, settings: Settings, *, hasty: bool = False) -> None:
        self.settings = settings
        self._hasty = hasty

    @classmethod
    def configured(cls, *, hasty: bool = False) -> Store:
        """The bucket that Airflow's configuration names. Parameters as of the class.

        :raises SettingError: if a setting is missing or makes no sense
        """
        from include.s3_xcom.on_airflow.configuration import load_settings

        return cls(load_settings(), hasty=hasty)

    @property
    def client(self) -> BaseClient:
        return get_client(self.settings, hasty=self._hasty)

    def address(self, key: str = "") -> str:
        return f"s3://{self.settings.bucket}" + (f"/{key}" if key else "")

    # Writing

    def put(
        self,
        key: str,
        body: bytes | memoryview | BinaryIO,
        size: int,
        *,
        owner: Owner,
        media_type: str,
        content_encoding: str | None = None,
        metadata: dict[str, str],
    ) -> Upload:
        """Store one object. If this fails, nothing is stored.

        :param body: the bytes, or a stream of them, of which one part at a time is held in memory
        :param size: of the body, in bytes
        :param owner: the XCom it belongs to, for error messages
        :param metadata: user metadata; ASCII only
        """
        target = self._target(key, media_type, metadata)
        if content_encoding is not None:
            target["ContentEncoding"] = content_encoding
        if size <= SINGLE_PUT_BYTES:
            whole = bytes(body) if isinstance(body, (bytes, memoryview)) else body.read(size)
            return self._put_whole(target, whole, owner)
        return self._put_parts(target, _parts(body, size), owner)

    def put_pieces(
        self,
        key: str,
        pieces: Iterator[bytes],
        *,
        owner: Owner,
        media_type: str,
        metadata: dict[str, str],
    ) -> Upload:
        """Store one object whose bytes come piece by piece. Little more than a part is held in memory.

        Parameters as of :meth:`put`.
        """
        target = self._target(key, media_type, metadata)
        head, size = [], 0
        for piece in pieces:
            head.append(piece)
            size += len(piece)
            if size > SINGLE_PUT_BYTES:
                return self._put_parts(target, _gather_parts(itertools.chain(head, pieces)), owner)
        return self._put_whole(target, b"".join(head), owner)

    def copy(
        self, source: Reference, key: str, *, owner: Owner, media_type: str, metadata: dict[str, str]
    ) -> str:
        """Store an object of the bucket under another key, within S3. Parameters as of :meth:`put`.

        What is copied is what was pushed: S3 is asked for the source's ETag, and since some S3 servers ignore
        that, the ETags are compared afterwards.

        :return: the copy's ETag
        :raises IntegrityError: if the source is not the object that was pushed; there is no copy then
        """
        target = self._target(key, media_type, metadata)
        etag = _restored.get(source.address, source.etag)
        condition = {"CopySourceIfMatch": etag}
        try:
            copied = self._copy(source, target, condition, owner)
        except IntegrityError:
            found = self._etag_by_content(source, owner)
            # Where it is the one that was asked for, the server's own comparison is at fault.
            condition = {} if same_etag(found, etag) else {"CopySourceIfMatch": found}
            etag = found
            copied = self._copy(source, target, condition, owner)
        if not same_etag(copied, etag) and not same_etag(self._source_etag(source, owner), etag):
            with contextlib.suppress(StorageError):  # then the sweep deletes it
                self.delete([key])
            raise self._replaced(source, target, owner)
        return copied

    # Reading

    def get(self, reference: Reference) -> bytes:
        """The whole object, exactly as it was pushed.

        :raises ObjectMissingError: if it is gone
        :raises IntegrityError: if it is not the one that was pushed
        """
        with Body(self, reference) as body:
            return body.readall()

    def open(self, reference: Reference, span: tuple[int, int] | None = None) -> BinaryIO:
        """The object as a stream of bytes. Errors as of :meth:`get`, also while it is read.

        :param span: the first byte and the one after the last; None: all
        """
        return io.BufferedReader(Body(self, reference, span), CHUNK_BYTES)

    def get_pinned(self, reference: Reference, byte_range: dict[str, str]) -> dict[str, Any]:
        """The answer to one GET of the object that was pushed, and of no other.

        :param byte_range: the argument ``Range``, or nothing
        :raises botocore.exceptions.ClientError: as S3 answers
        :raises IntegrityError: if it is not the one that was pushed
        """
        where = {"Bucket": reference.bucket, "Key": reference.key}
        etag = _restored.get(reference.address, reference.etag)
        client = self.client
        try:
            response = client.get_object(IfMatch=etag, **where, **byte_range)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                raise
        else:
            if same_etag(response.get("ETag", ""), etag):
                return response
            response["Body"].close()
        found = self._read_through(reference)
        if found is None:
            raise errors.replaced(reference)
        # The condition is left out where the server refused the very ETag that it gives.
        condition = {} if same_etag(found, etag) else {"IfMatch": found}
        response = client.get_object(**condition, **where, **byte_range)
        if not same_etag(response.get("ETag", ""), found):
            response["Body"].close()
            raise errors.replaced(reference)
        return response

    def head(self, key: str) -> dict[str, Any]:
        """What S3 says about an object: its size, ETag and metadata.

        :raises ObjectMissingError: if there is none
        """
        with errors.translated(self.settings, "look up", self.address(key)):
            return self.client.head_object(Bucket=self.settings.bucket, Key=key)

    # Listing and deleting

    def list(self, prefix: str) -> Iterator[list[Listed]]:
        """The objects whose keys start with a prefix, in the order of their keys, one request at a time."""
        with errors.translated(self.settings, "list", self.address(prefix)):
            paginator = self.client.get_paginator("list_objects_v2")
        extent = {"PaginationConfig": {"PageSize": PAGE_KEYS}}
        pages = iter(paginator.paginate(Bucket=self.settings.bucket, Prefix=prefix, **extent))
        while True:
            with errors.translated(self.settings, "list", self.address(prefix)):
                page = next(pages, None)
            if page is None:
                return
            # By S3's clock, which also gave the objects their times.
            now = self._answered_at(page, prefix)
            yield [
                Listed(item["Key"], item["Size"], max(0, (now - item["LastModified"]).total_seconds()))
                for item in page.get("Contents", [])
            ]

    def delete(self, keys: Sequence[str], *, until: float = math.inf) -> list[str]:
        """Delete objects, a thousand with each request. One that is gone already counts as deleted.

        :param until: the time by :func:`time.monotonic` after which no more requests are sent
        :return: the keys that were not deleted
        """
        left = []
        for start in range(0, len(keys), DELETE_KEYS):
            chunk = keys[start : start + DELETE_KEYS]
            if time.monotonic() > until:
                left += chunk
                continue
            with errors.translated(self.settings, "delete from", self.address()):
                answer = self.client.delete_objects(
                    Bucket=self.settings.bucket,
                    Delete={"Objects": [{"Key": key} for key in chunk], "Quiet": True},
                )
            left += [error["Key"] for error in answer.get("Errors", [])]
        return left

    # What the above are made of

    def _answered_at(self, answer: dict[str, Any], prefix: str) -> datetime.datetime:
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date is None:
            raise StorageError(
                f"Cannot list {self.address(prefix)}: the answer has no Date, without which nobody knows how "
                "old the objects are. Is there a proxy that removes it?"
            )
        return parsedate_to_datetime(date)

    def _target(self, key: str, media_type: str, metadata: dict[str, str]) -> dict[str, Any]:
        """The arguments that all requests have that make an object."""
        settings = self.settings
        target = {"Bucket": settings.bucket, "Key": key, "ContentType": media_type, "Metadata": metadata}
        if settings.sse:
            target["ServerSideEncryption"] = settings.sse
        if settings.kms_key_id:
            target["SSEKMSKeyId"] = settings.kms_key_id
        return target

    def _pushing(
        self, target: dict[str, Any], owner: Owner, note: str = "", pushed: str | None = None
    ) -> Any:
        """Translates the errors of one request of a push."""
        return errors.translated(self.settings, "push", self.address(target["Key"]) + note, owner, pushed)

    def _put_whole(self, target: dict[str, Any], body: bytes, owner: Owner) -> Upload:
        sha256 = hashlib.sha256(body)
        with self._pushing(target, owner):
            etag = self.client.put_object(**_content(body, sha256), **target)["ETag"]
        return Upload(etag, len(body), sha256.hexdigest())

    def _put_parts(self, target: dict[str, Any], parts: Iterable[bytes], owner: Owner) -> Upload:
        size, digest = 0, hashlib.sha256()

        def put_part(part: bytes, **where: Any) -> dict[str, Any]:
            nonlocal size
            size += len(part)
            digest.update(part)
            with self._pushing(target, owner):
                return self.client.upload_part(**_content(part, hashlib.sha256(part)), **where)

        etag = self._put_in_parts({**target, "ChecksumAlgorithm": "SHA256"}, parts, put_part, owner)
        return Upload(etag, size, digest.hexdigest())

    def _put_in_parts(
        self,
        target: dict[str, Any],
        parts: Iterable[Any],
        put_part: Callable[..., dict[str, Any]],
        owner: Owner,
    ) -> str:
        where = {"Bucket": target["Bucket"], "Key": target["Key"]}
        with self._pushing(target, owner):
            where["UploadId"] = self.client.create_multipart_upload(**target)["UploadId"]
        try:
            done = []
            for number, part in enumerate(parts, start=1):
                answer = put_part(part, PartNumber=number, **where)
                kept = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
                done.append({"PartNumber": number, **kept})
            with self._pushing(target, owner):
                return self.client.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)["ETag"]
        except BaseException as error:
            # The parts would stay, and cost.
            self._abort(where, None if isinstance(error, XComError) else ABORT_SECONDS)
            raise

    def _abort(self, where: dict[str, Any], seconds: float | None) -> None:
        """Remove the parts of an upload. In a thread, so that nobody who was interrupted waits for S3."""
        client = self.client

        def abort() -> None:
            with contextlib.suppress(Exception):  # the bucket's own rule removes them later
                client.abort_multipart_upload(**where)

        thread = threading.Thread(target=abort, daemon=True)
        thread.start()
        thread.join(seconds)

    def _copy(
        self, source: Reference, target: dict[str, Any], condition: dict[str, str], owner: Owner
    ) -> str:
        origin = {"CopySource": {"Bucket": source.bucket, "Key": source.key}, **condition}
        if source.size <= SINGLE_COPY_BYTES:
            with self._copying(source, target, owner):
                answer = self.client.copy_object(MetadataDirective="REPLACE", **origin, **target)
            return answer["CopyObjectResult"]["ETag"]
        starts = range(0, source.size, COPY_PART_BYTES)
        spans = [f"bytes={start}-{min(start + COPY_PART_BYTES, source.size) - 1}" for start in starts]

        def copy_part(span: str, **where: Any) -> dict[str, Any]:
            with self._copying(source, target, owner):
                return self.client.upload_part_copy(CopySourceRange=span, **origin, **where)["CopyPartResult"]

        return self._put_in_parts(target, spans, copy_part, owner)

    def _copying(self, source: Reference, target: dict[str, Any], owner: Owner) -> Any:
        return self._pushing(target, owner, _copy_note(source), source.pushed)

    def _replaced(self, source: Reference, target: dict[str, Any], owner: Owner) -> IntegrityError:
        address = self.address(target["Key"]) + _copy_note(source)
        return IntegrityError(f"Cannot push {owner}, {address}: {errors.OTHER_CONTENT}")

    def _source_etag(self, source: Reference, owner: Owner) -> str:
        with errors.translated(self.settings, "push", f"a copy of {source.address}", owner, source.pushed):
            return self.client.head_object(Bucket=source.bucket, Key=source.key)["ETag"]

    def _etag_by_content(self, source: Reference, owner: Owner) -> str:
        """The ETag that an object with the content of a reference has now.

        :raises IntegrityError: if it has other content
        """
        with errors.translated(self.settings, "push", f"a copy of {source.address}", owner, source.pushed):
            found = self._read_through(source)
        if found is None:
            raise IntegrityError(f"Cannot push {owner}, a copy of {source.address}: {errors.OTHER_CONTENT}")
        return found

    def _read_through(self, reference: Reference) -> str | None:
        """The ETag of an object, if its size and SHA-256 are those of the reference.

        A restored copy may have another ETag than the object that was pushed.
        """
        response = self.client.get_object(Bucket=reference.bucket, Key=reference.key)
        with contextlib.closing(response["Body"]) as body:
            length = response.get("ContentLength", reference.size)
            if length != reference.size or _sha256(body) != reference.sha256:
                return None
        _restored[reference.address] = response["ETag"]
        return response["ETag"]


def same_etag(one: str, other: str) -> bool:
    """Whether two ETags are the same. Some servers leave out the quotes, some proxies mark them as weak."""
    return one.removeprefix("W/").strip('"') == other.removeprefix("W/").strip('"') != ""


def _copy_note(source: Reference) -> str:
    return f" (a copy of {source.address})"


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _parts(body: bytes | memoryview | BinaryIO, size: int) -> Iterator[bytes]:
    part_size = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    for start in range(0, size, part_size):
        length = min(part_size, size - start)
        if isinstance(body, (bytes, memoryview)):
            yield bytes(memoryview(body)[start : start + length])
        else:
            yield body.read(length)


def _gather_parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces as parts that S3 takes, which grow so that a large object fits in the number that it takes.

    The size of part n is ``PART_BYTES * (1 + n // 1000)``: 16 MiB for the first 1,000 parts, 32 MiB for the
    next, and so on: 859 GiB in 10,000 parts.
    """
    part = bytearray()
    count = 0
    for piece in pieces:
        part += piece
        while len(part) > (enough := PART_BYTES * (1 + count // 1000)):
            yield bytes(memoryview(part)[:enough])
            del part[:enough]
            count += 1
    yield bytes(part)


def _content(body: bytes, sha256: Any) -> dict[str, Any]:
    """A body that S3 checks when it has arrived.

    As a stream: botocore's debug log shows bytes, and not what is in a stream.
    """
    return {"Body": io.BytesIO(body), "ChecksumSHA256": base64.b64encode(sha256.digest()).decode()}
