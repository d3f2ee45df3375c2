"""Upload an object, in one request or in parts, and check it if S3 does not confirm its content."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.s3_xcom import threads
from include.s3_xcom.errors import IntegrityError, SettingError, StorageError, XComError
from include.s3_xcom.keys import Owner
from include.s3_xcom.reference import ObjectInfo, Reference
from include.s3_xcom.s3 import errors
from include.s3_xcom.s3.body import CHUNK_BYTES
from include.s3_xcom.s3.parallel import Parallel, connections
from include.s3_xcom.s3.pinned import same_etag

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from include.s3_xcom.s3.store import Store

SINGLE_PUT_BYTES = 16 * 1024 * 1024
"""Bytes up to which one request is sent, which saves two round trips (S3 itself takes 5 GiB in one)."""

_refuse_sha256: set[str] = set()
"""Connection ids of servers that take no SHA-256."""

ABORT_SECONDS = 0.5
"""Seconds that an interrupted upload waits for its parts' removal. The bucket's rule removes the rest."""


@dataclass(frozen=True)
class Upload:
    """The result of an upload.

    :param size: bytes
    :param sha256: SHA-256 of the content, in hexadecimal
    """

    etag: str
    size: int
    sha256: str


class Target:
    """An object that is about to be stored. If that fails, nothing is stored.

    Its methods raise what those of the store raise, also SettingError if S3 stores the object without the
    encryption that is set, and IntegrityError if it stores other bytes than were sent.

    :param owner: the XCom that the object belongs to, for error messages
    :param metadata: user metadata; ASCII only
    :param note: words after the address in error messages
    """

    def __init__(
        self,
        store: Store,
        key: str,
        owner: Owner,
        *,
        media_type: str,
        content_encoding: str | None = None,
        metadata: dict[str, str],
        note: str = "",
    ) -> None:
        self.store = store
        self.owner = owner
        self._process = os.getpid()
        self.address = store.address(key) + note
        self.where = {"Bucket": store.settings.bucket, "Key": key}
        self.headers = {"ContentType": media_type, "Metadata": metadata}
        if content_encoding is not None:
            self.headers["ContentEncoding"] = content_encoding
        self.headers.update(store.settings.encryption_headers)

    @property
    def _is_anothers(self) -> bool:
        """Return whether this process was forked from the one that pushes the object."""
        return os.getpid() != self._process

    def put(self, body: bytes) -> Upload:
        """Store it with one request."""
        sha256 = hashlib.sha256(body)
        answer = self._with_checksum(
            lambda has_sha256: self.store.client.put_object(
                **_content(body, sha256 if has_sha256 else None), **self.where, **self.headers
            )
        )
        self.require_encryption(answer)
        upload = Upload(self._etag(answer), len(body), sha256.hexdigest())
        if not _is_confirmed(answer, body, sha256):
            self._compare(upload)
        return upload

    def put_parts(self, parts: Iterable[bytes]) -> Upload:
        """Store it in parts, several at once. The next part is made while others are sent."""
        size, digest, all_confirmed = 0, hashlib.sha256(), True

        def counted() -> Iterator[bytes]:
            nonlocal size
            for part in parts:
                size += len(part)
                yield part
                digest.update(part)  # computed while the part is sent

        def put_part(part: bytes, **where: Any) -> dict[str, Any]:
            nonlocal all_confirmed
            sha256 = hashlib.sha256(part)
            answer = self._with_checksum(
                lambda has_sha256: self.store.client.upload_part(
                    **_content(part, sha256 if has_sha256 else None), **where
                )
            )
            if not _is_confirmed(answer, part, sha256):
                all_confirmed = False
            return answer

        etag = self.put_in_parts(counted(), put_part, {"ChecksumAlgorithm": "SHA256"})
        upload = Upload(etag, size, digest.hexdigest())
        if not all_confirmed:
            self._compare(upload)
        return upload

    def put_in_parts(
        self,
        parts: Iterable[Any],
        put_part: Callable[..., dict[str, Any]],
        more: dict[str, str] | None = None,
    ) -> str:
        """Store it in parts, several at once.

        :param put_part: stores one part by a request with the arguments that it gets
        :param more: arguments of the request that begins the upload
        :return: the object's ETag
        """
        client = self.store.client
        begun = self._with_checksum(
            lambda has_sha256: client.create_multipart_upload(
                **self.where, **self.headers, **((has_sha256 and more) or {})
            )
        )
        where = {**self.where, "UploadId": begun["UploadId"]}
        limit = self.store.settings.transfer_connections
        sending: Parallel = Parallel(lambda job: put_part(job[1], PartNumber=job[0], **where), limit)

        def jobs() -> Iterator[tuple[int, Any]]:
            for number, part in enumerate(parts, start=1):
                sending.at_once = connections(limit, len(part))
                yield number, part

        try:
            self.require_encryption(begun)
            done = []
            for number, answer in enumerate(sending.run(jobs()), start=1):
                kept = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
                done.append({"PartNumber": number, **kept})
            with self.translated():
                ended = client.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)
        except BaseException as error:
            # Parts that are not removed stay, and cost money.
            self._abort(client, where, sending, None if isinstance(error, XComError) else ABORT_SECONDS)
            raise
        return self._etag(ended)

    def translated(self, pushed: str | None = None) -> Any:
        """Translate the errors of one request. The parameter is that of :func:`errors.translated`.

        :raises StorageError: in a process that was forked meanwhile, for instance by a generator of chunks
        """
        if self._is_anothers:
            raise StorageError(
                f"Cannot push {self.owner}, {self.address}: it is pushed by another process, from which this "
                "one was forked. End a forked process with os._exit(), before it comes back here."
            )
        return errors.translated(self.store.settings, "push", self.address, self.owner, pushed)

    def require_encryption(self, answer: dict[str, Any]) -> None:
        """Refuse an answer without the encryption that is set: some servers store in clear text all the same.

        :raises SettingError: if the answer does not confirm the encryption; the object is deleted if S3
            allows
        """
        asked = self.store.settings.sse
        if asked and answer.get("ServerSideEncryption") != asked:
            raise SettingError(
                f"Cannot push {self.owner}, {self.address}: S3 does not confirm the encryption that "
                f"[s3_xcom] sse asks for ({asked}). The object may have been stored in clear text. "
                f"{self.discard()} Set the encryption up on the S3 server, or set sse to nothing."
            )

    def discard(self) -> str:
        """Delete the object.

        :return: a sentence that says whether it is gone
        """
        if self._is_anothers:
            return "It is left to the process that pushes it."
        try:
            left = self.store.delete([self.where["Key"]])
        except StorageError:
            left = [self.where["Key"]]
        if left:
            return f"It could not be deleted: delete {self.store.address(self.where['Key'])} yourself."
        return "It was deleted."

    def _with_checksum(self, request: Callable[[bool], dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a request that S3 checks by SHA-256, or by MD5 if it refuses that.

        :param request: makes the request, with a SHA-256 if told so
        """
        server = self.store.settings.conn_id
        has_sha256 = server not in _refuse_sha256
        try:
            with self.translated():
                return request(has_sha256)
        except StorageError as error:
            if not has_sha256 or not errors.is_servers_own(error):
                raise
        with self.translated():
            answer = request(False)
        _refuse_sha256.add(server)
        return answer

    def _etag(self, answer: dict[str, Any]) -> str:
        if "ETag" in answer:
            return answer["ETag"]
        with self.translated():
            found = self.store.client.head_object(**self.where)
        if "ETag" not in found:
            raise StorageError(
                f"Cannot push {self.owner}, {self.address}: S3 answers without an ETag, by which one object "
                f"is told from another. {self.discard()} Is there a proxy that removes the ETag?"
            )
        return found["ETag"]

    def _compare(self, upload: Upload) -> None:
        """Read the object back.

        :raises IntegrityError: if it is not what was sent
        """
        where = self.where["Bucket"], self.where["Key"]
        reference = Reference(
            *where, upload.size, upload.etag, ObjectInfo("bytes", "bytes"), upload.sha256, None
        )
        try:
            with self.store.open(reference) as stream:
                for _ in iter(lambda: stream.read(CHUNK_BYTES), b""):
                    pass
        except IntegrityError:
            raise IntegrityError(
                f"Cannot push {self.owner}, {self.address}: S3 stored other bytes than were sent. "
                f"{self.discard()} Without TLS, any part of the network may have changed them: try again."
            ) from None
        except StorageError:
            self.discard()
            raise

    def _abort(
        self, client: BaseClient, where: dict[str, Any], sending: Parallel, seconds: float | None
    ) -> None:
        """Remove the parts of an upload, in a thread, so that an interrupted task does not wait for S3."""
        if self._is_anothers:
            return
        settings = self.store.settings
        under_way = sending.running()

        def tell() -> None:
            with contextlib.suppress(Exception):  # the bucket's lifecycle rule removes them later
                client.abort_multipart_upload(**where)

        def abort() -> None:
            tell()
            for part in under_way:
                part.join(settings.connect_timeout + settings.read_timeout)
            if under_way:  # S3 may keep a part that was on its way
                tell()

        thread = threads.start(abort)
        if thread is None:
            tell()
        else:
            thread.join(seconds)


def _content(body: bytes, sha256: Any) -> dict[str, Any]:
    """Return the arguments for a body that S3 checks by SHA-256, or by MD5 without one.

    It is a stream, because botocore's debug log shows bytes, but not the content of a stream.
    """
    if sha256 is None:
        return {"Body": io.BytesIO(body), "ContentMD5": _base64(_md5(body))}
    return {"Body": io.BytesIO(body), "ChecksumSHA256": _base64(sha256)}


def _md5(body: bytes) -> Any:
    return hashlib.md5(body, usedforsecurity=False)


def _is_confirmed(answer: dict[str, Any], body: bytes, sha256: Any) -> bool:
    """Return whether an answer shows that S3 got these bytes, by SHA-256, or by MD5 as the ETag.

    Some servers take the header with the SHA-256, and neither compare nor return it.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if "ChecksumSHA256" in answer:
        return answer["ChecksumSHA256"] == _base64(sha256)
    return same_etag(answer.get("ETag", ""), _md5(body).hexdigest())


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
