"""Push: upload a value and return its database row."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.s3_xcom import codecs, files, keys
from include.s3_xcom.codecs import registry
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.files import File
from include.s3_xcom.interruptions import heard
from include.s3_xcom.keys import Owner
from include.s3_xcom.mapped import EncodedSequence, Mapped
from include.s3_xcom.on_airflow import metrics
from include.s3_xcom.on_airflow.configuration import may_pickle
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.reference import ObjectInfo, Reference, file_tag
from include.s3_xcom.s3.store import Store, Upload


def push(value: Any, owner: Owner, *, in_database: bool = False) -> bytes:
    """Store a value, in S3 unless it is small.

    :param in_database: keep it in the metadata database if JSON can hold it, whatever its size
    :return: the row for the metadata database
    :raises UnsupportedValueError: if the value would come back changed
    :raises SettingError: if bucket or connection are missing
    :raises StorageError: if S3 does not take it
    """
    try:
        with heard(), metrics.observed("push", "Pushed") as transfer:
            value = codecs.unwrap(value)
            row = codecs.encode_small(value)
            if row is None and in_database:
                row = codecs.encode_inline(value)
            if row is not None:
                return row
            pushing = _Push(Store.configured(), owner)
            row, reference = pushing.run(value)
            if reference is not None:
                transfer.subject, transfer.size = reference, reference.size
    except UnsupportedValueError as error:
        raise UnsupportedValueError(f"Cannot push {owner}: {error}"[:-1]) from error.__cause__
    release.delete_once_written(row, pushing.local_files)
    return row


class _Push:
    """One push to S3.

    :ivar local_files: files on this machine to delete once the row is written
    """

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner
        self._stem = keys.make_stem(store.settings, owner)
        self.local_files: list[Path] = []

    def run(self, value: Any) -> tuple[bytes, Reference | None]:
        """Push the value. Return the row, and the reference in it if the value went to S3."""
        settings = self._store.settings
        source = _pulled_from(value)
        if source is not None:
            reference = self._copy(source, self._stem)
        elif isinstance(value, Mapped):
            reference = self._upload_pieces(value)
        elif (streamed := codecs.stream(value)) is not None:
            reference = self._upload_streamed(streamed)
        else:
            with _encode(value, self._upload_file) as encoded:
                if encoded.size <= settings.inline_max_bytes and (row := codecs.inline(encoded)) is not None:
                    return row, None
                reference = self._upload(codecs.compressed(encoded, settings.compression), self._stem)
        if isinstance(value, File):
            self._note_file(value)
        return reference.to_json(), reference

    def _upload_file(self, file: File, number: int) -> dict[str, Any]:
        """Store a file within the value as a separate object beside that of the value."""
        stem = f"{self._stem}.{number}"
        if file.reference is not None:
            reference = self._copy(file.reference, stem)
        else:
            with files.encode(file) as encoded:
                reference = self._upload(encoded, stem)
        self._note_file(file)
        return file_tag(self._stem, reference)

    def _note_file(self, file: File) -> None:
        if file.to_delete is not None:
            self.local_files.append(file.to_delete)

    def _upload(self, encoded: codecs.Encoded, stem: str) -> Reference:
        key = stem + encoded.suffix
        upload = self._store.put(
            key,
            encoded.body,
            encoded.size,
            owner=self._owner,
            media_type=encoded.media_type,
            content_encoding=encoded.info.compression,
            metadata=encoded.info.to_metadata(self._owner),
        )
        return self._reference(key, upload, encoded.info)

    def _upload_streamed(self, streamed: codecs.Streamed) -> Reference:
        key, upload = self._send(streamed, streamed.info)
        return self._reference(key, upload, streamed.info)

    def _upload_pieces(self, sequence: Mapped) -> Reference:
        try:
            encoded = sequence.encoded()
            info = ObjectInfo(encoded.codec, sequence.type, sequence.shape)
            key, upload = self._send(encoded, info)
        finally:
            if sequence.stream is not None:
                sequence.stream.close()
        # The shape of an iterator is known only after it was sent.
        info = dataclasses.replace(info, shape=sequence.shape, layout=encoded.layout)
        reference = self._reference(key, upload, info)
        sequence.pushed(self._store, reference)
        return reference

    def _send(self, encoded: codecs.Streamed | EncodedSequence, info: ObjectInfo) -> tuple[str, Upload]:
        key = self._stem + encoded.suffix
        upload = self._store.put_pieces(
            key,
            encoded.pieces,
            owner=self._owner,
            media_type=encoded.media_type,
            metadata=info.to_metadata(self._owner),
        )
        return key, upload

    def _copy(self, source: Reference, stem: str) -> Reference:
        """Copy the object, rather than share it, so that each object belongs to one XCom and goes with it."""
        name = source.info.name or ""
        if source.info.codec == files.CODEC:
            suffix, media_type = files.suffix(name), files.media_type(name)
        else:
            suffix, media_type = keys.suffix_of(source.key), registry.find(source.info.codec).media_type
        etag = self._store.copy(
            source,
            stem + suffix,
            owner=self._owner,
            media_type=media_type,
            metadata=source.info.to_metadata(self._owner),
        )
        return dataclasses.replace(source, key=stem + suffix, etag=etag, pushed=_now())

    def _reference(self, key: str, upload: Upload, info: ObjectInfo) -> Reference:
        bucket = self._store.settings.bucket
        return Reference(bucket, key, upload.size, upload.etag, info, upload.sha256, _now())


def _pulled_from(value: Any) -> Reference | None:
    """Return the reference of a value that was pulled without its data; None for other values."""
    if isinstance(value, File):
        return value.reference
    return value.stored.reference if isinstance(value, Mapped) and value.stored else None


def _encode(value: Any, upload: Callable[[File, int], dict[str, Any]]) -> codecs.Encoded:
    if isinstance(value, File):
        return files.encode(value)
    try:
        return codecs.encode(value, upload)
    except UnsupportedValueError:
        if not may_pickle():
            raise
        return codecs.encode_pickled(value)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
