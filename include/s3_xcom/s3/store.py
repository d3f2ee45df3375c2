"""The bucket: objects put, copied, read, listed and deleted. One request each, if an object is not large."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom import keys
from include.s3_xcom.errors import ObjectMissingError, SettingError, StorageError
from include.s3_xcom.keys import Owner
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import copies, downloads, errors, listings, parts, ranges, setup, uploads
from include.s3_xcom.s3.arriving import Arriving
from include.s3_xcom.s3.body import CHUNK_BYTES, Body
from include.s3_xcom.s3.client import get_client
from include.s3_xcom.s3.listings import Listed, Page
from include.s3_xcom.s3.ranges import RangeStream
from include.s3_xcom.s3.uploads import Target, Upload
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

PAGE_KEYS = DELETE_KEYS = 1000


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
        """Return the bucket that Airflow's configuration names. The parameters are those of the class.

        :raises SettingError: if a setting is missing or makes no sense
        """
        from include.s3_xcom.on_airflow.configuration import load_settings

        return cls(load_settings(), hasty=hasty)

    @property
    def client(self) -> BaseClient:
        """S3 client for a request. Asking for it ends a transaction that has only read."""
        release.end_reading()
        return get_client(self.settings, hasty=self._hasty)

    def address(self, key: str = "") -> str:
        return f"s3://{self.settings.bucket}" + (f"/{key}" if key else "")

    @property
    def root_address(self) -> str:
        """Address of the prefix, below which all keys are."""
        return self.address(keys.root(self.settings))

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

        :param body: the bytes, or a stream of them, of which only the parts that are being sent are in memory
        :param size: bytes of the body
        :param owner: the XCom it belongs to, for error messages
        :param metadata: user metadata; ASCII only
        """
        target = self._target(key, owner, media_type, metadata, content_encoding)
        if size > uploads.SINGLE_PUT_BYTES:
            return target.put_parts(parts.split(body, size))
        return target.put(bytes(body) if isinstance(body, (bytes, memoryview)) else body.read(size))

    def put_pieces(
        self,
        key: str,
        pieces: Iterator[bytes],
        *,
        owner: Owner,
        media_type: str,
        metadata: dict[str, str],
    ) -> Upload:
        """Store one object whose bytes come in pieces. Only the parts that are being sent are in memory.

        The parameters are those of :meth:`put`.
        """
        target = self._target(key, owner, media_type, metadata)
        head: deque[bytes] = deque()
        size = 0
        while size <= uploads.SINGLE_PUT_BYTES:
            piece = next(pieces, None)
            if piece is None:
                return target.put(b"".join(head))
            head.append(piece)
            size += len(piece)
        del piece
        return target.put_parts(parts.gather(_drain(head, pieces)))

    def copy(
        self, source: Reference, key: str, *, owner: Owner, media_type: str, metadata: dict[str, str]
    ) -> str:
        """Store an object of the bucket under another key. The parameters are those of :meth:`put`.

        :return: the copy's ETag
        :raises ObjectMissingError: if the source is gone
        :raises IntegrityError: if the source is not the object that was pushed; there is no copy then
        """
        note = f" (a copy of {source.address})"
        target = self._target(key, owner, media_type, metadata, note=note)
        return copies.copy(self, source, target)

    # Reading

    def get(self, reference: Reference) -> bytes | memoryview:
        """Read the whole object, exactly as it was pushed; a large one by several requests at once.

        :raises ObjectMissingError: if it is gone
        :raises IntegrityError: if it is not the one that was pushed
        """
        arriving = self.arriving(reference)
        if arriving is None:
            with Body(self, reference) as body:
                return body.readall()
        with contextlib.closing(arriving):
            return arriving.finish()

    def arriving(self, reference: Reference, *, forgets: bool = False) -> Arriving | None:
        """Return a large object to read while it comes; None if one request is enough for it.

        :param forgets: whether its reader will call :meth:`Arriving.forget`
        """
        if reference.size <= ranges.SINGLE_GET_BYTES:
            return None
        return Arriving(self, reference, forgets=forgets)

    def open(self, reference: Reference, span: tuple[int, int] | None = None) -> BinaryIO:
        """Open the object as a stream of bytes. Raises what :meth:`get` raises, also while it is read.

        :param span: first byte and the one after the last; None: all
        """
        start, stop = span or (0, reference.size)
        if stop - start > ranges.SINGLE_GET_BYTES:
            return io.BufferedReader(RangeStream(self, reference, span), CHUNK_BYTES)
        return io.BufferedReader(Body(self, reference, span), CHUNK_BYTES)

    def save(self, reference: Reference, path: Path) -> None:
        """Write the object into an empty file. If this fails, some of it may be left there.

        Raises also what :meth:`get` raises.

        :raises OSError: if the file cannot be written
        """
        downloads.save(self, reference, path)

    def head(self, key: str) -> dict[str, Any]:
        """Return S3's answer about an object: its size, ETag and metadata.

        :raises ObjectMissingError: if there is none
        """
        with errors.translated(self.settings, "look up", self.address(key)):
            answer = self.client.head_object(Bucket=self.settings.bucket, Key=key)
        # Some servers return the names with capitals.
        answer["Metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
        return answer

    # Listing and deleting

    def list(self, prefix: str) -> Iterator[list[Listed]]:
        """Yield pages of the objects whose keys start with a prefix, in order of keys, one request each."""
        token = None
        while True:
            page = self.page(prefix, token, size=PAGE_KEYS)
            yield page.objects
            token = page.token
            if token is None:
                return

    def page(
        self, prefix: str, token: str | None = None, *, by_folders: bool = False, size: int = PAGE_KEYS
    ) -> Page:
        """Return one page of the objects whose keys start with a prefix, by one request.

        :param token: token from the page before; None: the first page
        :param by_folders: name each folder, up to the next slash, once, instead of the objects below it
        :param size: objects and folders at most
        """
        return listings.page(self, prefix, token, by_folders=by_folders, size=size)

    def delete(self, keys: Sequence[str], *, until: float = math.inf) -> list[str]:
        """Delete objects, 1,000 with each request. One that is gone already counts as deleted.

        :param until: time, in seconds of :func:`time.monotonic`, after which no more requests are sent
        :return: the keys that were not deleted
        """
        left = []
        for start in range(0, len(keys), DELETE_KEYS):
            chunk = keys[start : start + DELETE_KEYS]
            if time.monotonic() > until:
                left += chunk
                continue
            try:
                left += self._delete_together(chunk)
            except StorageError as error:
                if not errors.is_servers_own(error):
                    raise
                left += self._delete_singly(chunk, until)
        return left

    # Helpers of the above

    def _delete_together(self, keys: Sequence[str]) -> list[str]:
        with errors.translated(self.settings, "delete from", self.address()):
            answer = self.client.delete_objects(
                Bucket=self.settings.bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        return [error["Key"] for error in answer.get("Errors", [])]

    def _delete_singly(self, keys: Sequence[str], until: float) -> list[str]:
        """Delete objects one by one, for servers that cannot delete several with one request."""
        left: list[str] = []
        for number, key in enumerate(keys):
            if time.monotonic() > until:
                return left + list(keys[number:])
            try:
                with errors.translated(self.settings, "delete", self.address(key)):
                    self.client.delete_object(Bucket=self.settings.bucket, Key=key)
            except ObjectMissingError:
                continue
            except StorageError as error:
                if not errors.code_of(error.__cause__):  # there was no answer of S3
                    raise
                left.append(key)
        return left

    def _target(
        self,
        key: str,
        owner: Owner,
        media_type: str,
        metadata: dict[str, str],
        content_encoding: str | None = None,
        note: str = "",
    ) -> Target:
        target = Target(
            self,
            key,
            owner,
            media_type=media_type,
            metadata=metadata,
            content_encoding=content_encoding,
            note=note,
        )
        with target.translated():
            is_missing = setup.is_missing(self.client, self.settings)
        if is_missing:
            raise SettingError(
                f"Cannot push {owner}, {target.address}: {errors.no_bucket(self.settings.bucket)}"
            )
        return target


def _drain(head: deque[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of both, and keep none that was sent."""
    while head:
        yield head.popleft()
    yield from rest
