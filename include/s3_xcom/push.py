"""A value to what the metadata database holds, and on the way to S3."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from include.s3_xcom import codecs, files, mapped, reference, settings, store, transfers
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.files import File
from include.s3_xcom.mapped import Mapped
from include.s3_xcom.reference import Owner, Reference
from include.s3_xcom.settings import Settings
from include.s3_xcom.transfers import Transfer

# S3 takes 2 KB of user metadata; the ids in it are there for people.
MAX_METADATA_VALUE = 250


def push(value: Any, owner: Owner, *, may_pickle: bool) -> bytes:
    """Store a value, in S3 unless it is small.

    :param may_pickle: whether what nothing else can carry may be pickled
    :return: what the metadata database is to hold
    :raises UnsupportedValueError: if the value would come back changed
    :raises SettingError: if bucket or connection are missing
    :raises StorageError: if S3 does not take it
    """
    try:
        with transfers.observed("push", "Pushed") as transfer:
            row = codecs.encode_small(value)
            return row if row is not None else _push(value, owner, may_pickle, transfer)
    except UnsupportedValueError as error:
        raise UnsupportedValueError(f"Cannot push {owner}: {error}"[:-1]) from error.__cause__


def _push(value: Any, owner: Owner, may_pickle: bool, transfer: Transfer) -> bytes:
    current = settings.load()
    stem = reference.make_stem(current, owner)
    source = _pulled_from(value)
    if source is not None:
        pointer = _copy(current, owner, stem, source)
    elif isinstance(value, Mapped):
        pointer = _store_pieces(current, owner, stem, value)
    else:
        with _encode(value, _uploader(current, owner, stem), may_pickle) as encoded:
            if encoded.size <= current.inline_max_bytes and (row := codecs.inline(encoded)) is not None:
                return row
            pointer = _store(current, owner, stem, codecs.compressed(encoded, current.compression))
    if isinstance(value, File):
        value.pushed()
    transfer.subject, transfer.size = pointer, pointer.size
    return json.dumps(pointer.to_json()).encode()


def _pulled_from(value: Any) -> Reference | None:
    """Where in S3 a value is already, if it was pulled without its data."""
    if isinstance(value, File):
        return value.reference
    return value.stored.reference if isinstance(value, Mapped) and value.stored else None


def _uploader(current: Settings, owner: Owner, stem: str) -> Callable[[File, int], dict[str, Any]]:
    """Stores the files within a value, beside the object of the value itself."""

    def upload(file: File, number: int) -> dict[str, Any]:
        stem_of_file = f"{stem}.{number}"
        if file.reference is not None:
            pointer = _copy(current, owner, stem_of_file, file.reference)
        else:
            with files.encode(file) as encoded:
                pointer = _store(current, owner, stem_of_file, encoded)
        file.pushed()
        return {
            "suffix": pointer.key.removeprefix(stem),
            "etag": pointer.etag,
            "size": pointer.size,
            "name": pointer.name,
            "sha256": pointer.sha256,
        }

    return upload


def _encode(value: Any, upload: Callable[[File, int], dict[str, Any]], may_pickle: bool) -> codecs.Encoded:
    if isinstance(value, File):
        return files.encode(value)
    try:
        return codecs.encode(value, upload)
    except UnsupportedValueError:
        if not may_pickle:
            raise
        return codecs.pickled(value)


def _store(current: Settings, owner: Owner, stem: str, encoded: codecs.Encoded) -> Reference:
    pointer = Reference(
        bucket=current.bucket,
        key=stem + encoded.suffix,
        codec=encoded.codec,
        size=encoded.size,
        etag="",
        type=encoded.type,
        shape=encoded.shape,
        name=encoded.name,
        compression=encoded.compression,
        raw_size=encoded.raw_size,
        files=encoded.files,
    )
    stored = store.put(
        current,
        pointer.key,
        encoded.body,
        encoded.size,
        owner=owner,
        content_type=encoded.content_type,
        content_encoding=encoded.compression,
        metadata=_metadata(owner, pointer),
    )
    return _finished(pointer, stored)


def _store_pieces(current: Settings, owner: Owner, stem: str, value: Mapped) -> Reference:
    blocks = value.encode()
    key = stem + blocks.suffix
    pointer = Reference(current.bucket, key, blocks.codec, 0, "", value.type, value.shape)
    stored = store.put_pieces(
        current,
        key,
        blocks.pieces,
        owner=owner,
        content_type=blocks.content_type,
        metadata=_metadata(owner, pointer),
    )
    return dataclasses.replace(_finished(pointer, stored), layout=blocks.layout)


def _copy(current: Settings, owner: Owner, stem: str, source: Reference) -> Reference:
    """Copied rather than shared: so each object belongs to one XCom, and goes when that goes."""
    if source.codec == files.CODEC:
        suffix, content_type = files.suffix(source.name or ""), files.content_type(source.name or "")
    else:
        suffix, content_type = reference.suffix_of(source.key), mapped.content_type(source.codec)
    pointer = dataclasses.replace(source, key=stem + suffix)
    etag = store.copy(
        current,
        source,
        pointer.key,
        owner=owner,
        content_type=content_type,
        metadata=_metadata(owner, pointer),
    )
    return dataclasses.replace(pointer, etag=etag, pushed=_now())


def _finished(pointer: Reference, stored: store.Stored) -> Reference:
    return dataclasses.replace(
        pointer, etag=stored.etag, size=stored.size, sha256=stored.sha256, pushed=_now()
    )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _metadata(owner: Owner, pointer: Reference) -> dict[str, str]:
    """The object's user metadata, for whoever finds it in the bucket."""
    words = {
        "s3-xcom-version": reference.VERSION,
        "codec": pointer.codec,
        "type": pointer.type,
        "shape": " x ".join(map(str, pointer.shape)),
        "dag-id": owner.dag_id,
        "run-id": owner.run_id,
        "task-id": owner.task_id,
        "map-index": owner.map_index,
        "key": owner.key,
        "file-name": pointer.name or "",
        "compression": pointer.compression or "",
        "raw-size": pointer.raw_size or "",
    }
    ascii_words = {name: quote(str(word), safe=" /:+@,")[:MAX_METADATA_VALUE] for name, word in words.items()}
    return {name: word for name, word in ascii_words.items() if word}
