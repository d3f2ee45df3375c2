"""Push and pull: a value to what the metadata database holds, and back."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from include.s3_xcom import codecs, files, reference, settings, store
from include.s3_xcom.codecs import tagged
from include.s3_xcom.errors import BadReferenceError, FormatError, UnsupportedValueError
from include.s3_xcom.files import File
from include.s3_xcom.reference import RESERVED, Owner, Reference
from include.s3_xcom.settings import Settings

log = logging.getLogger(__name__)

_SHARED_FIELDS = ("codec", "size", "type", "shape", "name", "compression", "raw_size")

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
        row = codecs.encode_small(value)
        return row if row is not None else _push(value, owner, may_pickle)
    except UnsupportedValueError as error:
        raise UnsupportedValueError(f"Cannot push {owner}: {error}"[:-1]) from error.__cause__


def pull(row: bytes, *, may_pickle: bool) -> Any:
    """The value that was pushed.

    :param row: what the metadata database holds
    :param may_pickle: whether a pickle may be read
    :raises BadReferenceError: if the row's reference must not be followed
    :raises StorageError: if S3 does not give the object, or gives another one
    :raises FormatError: if the object is not what its reference says
    """
    parsed = json.loads(row)
    if _is_reference(parsed):
        return _pull(parsed, may_pickle)
    return tagged.loads(row)


def describe(row: bytes) -> Any:
    """What people are shown of a row: a reference's line, a scalar as it is. Moves no data."""
    parsed = json.loads(row)
    if _is_reference(parsed):
        return str(reference.read(parsed))
    # People's own classes are not loaded just to be looked at.
    return row.decode() if b'"class":' in row else tagged.loads(row)


def is_foreign(row: bytes, *, may_pickle: bool) -> bool:
    """Whether a row was written by Airflow's own backend.

    :param may_pickle: whether it may be a pickle
    :raises BadReferenceError: if it is no JSON and may not be a pickle
    """
    try:
        parsed = json.loads(row)
    except (ValueError, RecursionError, TypeError):
        if may_pickle:
            return True
        raise BadReferenceError(
            "The metadata database holds no JSON for this XCom, and [core] enable_xcom_pickling is off. "
            "Clear the task that pushed it, so that it runs again."
        ) from None
    return isinstance(parsed, list) or (isinstance(parsed, dict) and RESERVED not in parsed)


def _is_reference(parsed: Any) -> bool:
    return isinstance(parsed, dict) and parsed.get(RESERVED) == "reference"


def _push(value: Any, owner: Owner, may_pickle: bool) -> bytes:
    start = time.perf_counter()
    current = settings.load()
    stem = reference.make_stem(current, owner)

    def upload(file: File, number: int) -> dict[str, Any]:
        with files.encode(file) as encoded:
            pointer = _store(current, owner, f"{stem}.{number}", encoded)
        file.pushed()
        return {
            "suffix": pointer.key.removeprefix(stem),
            "etag": pointer.etag,
            "size": pointer.size,
            "name": pointer.name,
        }

    with _encode(value, upload, may_pickle) as encoded:
        if encoded.size <= current.inline_max_bytes and (row := codecs.inline(encoded)) is not None:
            return row
        pointer = _store(current, owner, stem, codecs.compressed(encoded, current.compression))
    if isinstance(value, File):
        value.pushed()
    log.info("Pushed %s in %.0f ms", pointer, (time.perf_counter() - start) * 1000)
    return json.dumps(pointer.to_json()).encode()


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
    key = stem + encoded.suffix
    etag = store.put(
        current,
        key,
        encoded.body,
        encoded.size,
        owner=owner,
        content_type=encoded.content_type,
        content_encoding=encoded.compression,
        metadata=_metadata(owner, encoded),
    )
    return Reference(
        bucket=current.bucket,
        key=key,
        etag=etag,
        **{name: getattr(encoded, name) for name in _SHARED_FIELDS},
    )


def _pull(row: dict[str, Any], may_pickle: bool) -> Any:
    start = time.perf_counter()
    current = settings.load()
    pointer = reference.checked(row, current)
    if pointer.codec == files.CODEC:
        return File.stored(current, pointer)

    def find_file(fields: dict[str, Any]) -> File:
        return File.stored(current, reference.beside(pointer, fields))

    try:
        body = store.get(current, pointer)
        if pointer.compression:
            body = codecs.decompress(pointer.compression, body, pointer.raw_size or 0)
        value = (
            codecs.decode(pointer.codec, body, find_file, next(iter(pointer.shape), None))
            if pointer.codec != codecs.PICKLE
            else _unpickled(body, may_pickle)
        )
    except FormatError as error:
        raise FormatError(f"Cannot pull {pointer.owner}, {pointer.address}: {error}") from error.__cause__
    log.info("Pulled %s in %.0f ms", pointer, (time.perf_counter() - start) * 1000)
    return value


def _unpickled(body: bytes, may_pickle: bool) -> Any:
    if not may_pickle:
        raise FormatError("It is a pickle, and [core] enable_xcom_pickling is off.")
    return codecs.unpickled(body)


def _metadata(owner: Owner, encoded: codecs.Encoded) -> dict[str, str]:
    """The object's user metadata, for whoever finds it in the bucket."""
    words = {
        "s3-xcom-version": reference.VERSION,
        "codec": encoded.codec,
        "type": encoded.type,
        "shape": " x ".join(map(str, encoded.shape)),
        "dag-id": owner.dag_id,
        "run-id": owner.run_id,
        "task-id": owner.task_id,
        "map-index": owner.map_index,
        "key": owner.key,
        "file-name": encoded.name or "",
        "compression": encoded.compression or "",
    }
    ascii_words = {name: quote(str(word), safe=" /:+@,")[:MAX_METADATA_VALUE] for name, word in words.items()}
    return {name: word for name, word in ascii_words.items() if word}
