"""One object on its way to S3, in one request or in parts. What S3 does not confirm is checked here."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.errors import IntegrityError, SettingError, StorageError, XComError
from include.s3_xcom.keys import Owner
from include.s3_xcom.s3 import errors
from include.s3_xcom.s3.pinned import sha256_of

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store

SINGLE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one request is faster than several (S3 itself takes 5 GiB in one)."""

PART_BYTES = 16 * 1024 * 1024
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html

ABORT_SECONDS = 0.5
"""How long an interrupted upload waits until its parts are removed. The bucket's rule removes the rest."""


@dataclass(frozen=True)
class Upload:
    """The result of an upload.

    :param size: in bytes
    :param sha256: of the content, in hexadecimal
    """

    etag: str
    size: int
    sha256: str


class Target:
    """An object that is about to be stored. If that fails, nothing is stored.

    Its methods raise what those of the store raise, SettingError too where S3 stores the object without the
    encryption that is set, and IntegrityError where it stores other bytes than were sent.

    :param owner: the XCom that the object belongs to, for error messages
    :param metadata: user metadata; ASCII only
    :param note: what error messages say behind the address
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
        self.address = store.address(key) + note
        self.where = {"Bucket": store.settings.bucket, "Key": key}
        self.headers = {"ContentType": media_type, "Metadata": metadata}
        if content_encoding is not None:
            self.headers["ContentEncoding"] = content_encoding
        if store.settings.sse:
            self.headers["ServerSideEncryption"] = store.settings.sse
        if store.settings.kms_key_id:
            self.headers["SSEKMSKeyId"] = store.settings.kms_key_id

    def put(self, body: bytes) -> Upload:
        """Store it with one request."""
        sha256 = hashlib.sha256(body)
        with self.translated():
            answer = self.store.client.put_object(**_content(body, sha256), **self.where, **self.headers)
        upload = Upload(answer["ETag"], len(body), sha256.hexdigest())
        self.require_encryption(answer)
        if not _is_confirmed(answer, body, sha256):
            self._compare(upload)
        return upload

    def put_parts(self, parts: Iterable[bytes]) -> Upload:
        """Store it part by part, of which one at a time is held in memory."""
        size, digest, all_confirmed = 0, hashlib.sha256(), True

        def put_part(part: bytes, **where: Any) -> dict[str, Any]:
            nonlocal size, all_confirmed
            size += len(part)
            digest.update(part)
            sha256 = hashlib.sha256(part)
            with self.translated():
                answer = self.store.client.upload_part(**_content(part, sha256), **where)
            all_confirmed = all_confirmed and _is_confirmed(answer, part, sha256)
            return answer

        etag = self.put_in_parts(parts, put_part, {"ChecksumAlgorithm": "SHA256"})
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
        """Store it in parts.

        :param put_part: stores one part, by the request that it makes with the arguments it gets
        :param more: arguments of the request that begins the upload
        :return: the object's ETag
        """
        client = self.store.client
        with self.translated():
            begun = client.create_multipart_upload(**self.where, **self.headers, **(more or {}))
        where = {**self.where, "UploadId": begun["UploadId"]}
        try:
            done = []
            for number, part in enumerate(parts, start=1):
                answer = put_part(part, PartNumber=number, **where)
                kept = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
                done.append({"PartNumber": number, **kept})
            with self.translated():
                ended = client.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)
        except BaseException as error:
            # The parts would stay, and cost.
            self._abort(where, None if isinstance(error, XComError) else ABORT_SECONDS)
            raise
        self.require_encryption({**begun, **ended})
        return ended["ETag"]

    def translated(self, pushed: str | None = None) -> Any:
        """Translates the errors of one request. Parameter as of :func:`errors.translated`."""
        return errors.translated(self.store.settings, "push", self.address, self.owner, pushed)

    def require_encryption(self, answer: dict[str, Any]) -> None:
        """Some servers take the request for encryption, and store in clear text all the same.

        :raises SettingError: if the answer does not confirm the encryption that is set; the object is gone
        """
        asked = self.store.settings.sse
        if asked and answer.get("ServerSideEncryption") != asked:
            self.discard()
            raise SettingError(
                f"Cannot push {self.owner}, {self.address}: S3 does not confirm the encryption that "
                f"[s3_xcom] sse asks for ({asked}). The object may have been stored in clear text, so it was "
                "deleted. Set the encryption up on the S3 server, or set sse to nothing."
            )

    def discard(self) -> None:
        """Delete the object; where that fails, the sweep does later."""
        with contextlib.suppress(StorageError):
            self.store.delete([self.where["Key"]])

    def _compare(self, upload: Upload) -> None:
        with self.translated():
            response = self.store.client.get_object(**self.where)
            with contextlib.closing(response["Body"]) as body:
                found = sha256_of(body)
        if found != upload.sha256:
            self.discard()
            raise IntegrityError(
                f"Cannot push {self.owner}, {self.address}: S3 stored other bytes than were sent. The object "
                "was deleted. Without TLS, any part of the network may have changed it: try again."
            )

    def _abort(self, where: dict[str, Any], seconds: float | None) -> None:
        """Remove the parts of an upload. In a thread, so that nobody who was interrupted waits for S3."""
        client = self.store.client

        def abort() -> None:
            with contextlib.suppress(Exception):  # the bucket's own rule removes them later
                client.abort_multipart_upload(**where)

        thread = threading.Thread(target=abort, daemon=True)
        thread.start()
        thread.join(seconds)


def split(body: bytes | memoryview | BinaryIO, size: int) -> Iterator[bytes]:
    """The parts of a body whose size in bytes is known."""
    part_size = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    for start in range(0, size, part_size):
        length = min(part_size, size - start)
        if isinstance(body, (bytes, memoryview)):
            yield bytes(memoryview(body)[start : start + length])
        else:
            yield body.read(length)


def gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
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
    return {"Body": io.BytesIO(body), "ChecksumSHA256": _base64(sha256)}


def _is_confirmed(answer: dict[str, Any], body: bytes, sha256: Any) -> bool:
    """Whether an answer shows that S3 got these bytes: by their SHA-256, or by their MD5 as the ETag.

    Some servers take the header with the SHA-256, and neither compare nor return it.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if "ChecksumSHA256" in answer:
        return answer["ChecksumSHA256"] == _base64(sha256)
    return answer["ETag"].strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
