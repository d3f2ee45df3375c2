"""The XCom backend that Airflow loads: data in S3, a reference in the metadata database.

Switched on with ``AIRFLOW__CORE__XCOM_BACKEND=include.s3_xcom_backend.S3XComBackend``. What lies where
is written down in docs/format.md.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sized
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.exceptions import (
    AirflowException,
    UnmappableXComLengthPushed,
    UnmappableXComTypePushed,
)
from airflow.models.xcom import BaseXCom

from include.s3_xcom import File, codecs, files, reference, settings, store
from include.s3_xcom.codecs import tagged
from include.s3_xcom.errors import BadReferenceError, FormatError, UnsupportedValueError, XComError
from include.s3_xcom.reference import RESERVED, Owner, Reference
from include.s3_xcom.settings import Settings

log = logging.getLogger(__name__)

_SHARED_FIELDS = ("codec", "size", "type", "shape", "name", "compression", "raw_size")

# S3 takes 2 KB of user metadata; the ids in it are there for people.
MAX_METADATA_VALUE = 250


class S3XComBackend(BaseXCom):
    """XComs whose data lies in S3. What is pushed is what is pulled, or the push fails."""

    @staticmethod
    def serialize_value(
        value: Any,
        *,
        key: str | None = None,
        task_id: str | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
    ) -> bytes:
        """What the metadata database will hold; the data itself goes to S3, unless it is small.

        :raises UnsupportedValueError: if the value would come back changed
        :raises SettingError: if bucket or connection are missing
        :raises StorageError: if S3 does not take it
        """
        _check_mappable(value, key)
        owner = Owner(dag_id, run_id, task_id, -1 if map_index is None else map_index, key)
        try:
            row = codecs.encode_small(value)
            return row if row is not None else _push(value, owner)
        except UnsupportedValueError as error:
            raise UnsupportedValueError(f"Cannot push {owner}: {error}"[:-1]) from error.__cause__

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """The value that was pushed.

        :param result: a row with the column ``value``
        :raises BadReferenceError: if the row's reference must not be followed
        :raises StorageError: if S3 does not give the object, or gives another one
        :raises FormatError: if the object is not what its reference says
        """
        if result.value is None:
            return None
        row = _parse(result.value)
        if isinstance(row, dict) and row.get(RESERVED) == "reference":
            return _pull(row)
        if isinstance(row, dict) and RESERVED in row:
            return tagged.loads(result.value)
        if isinstance(row, (dict, list)) or row is _NO_JSON:
            # Written by Airflow's own backend, before this one was switched on.
            return BaseXCom.deserialize_value(result)
        return row

    def orm_deserialize_value(self) -> Any:
        """What the UI shows: type, shape, size and address of the data, which is not moved."""
        try:
            row = _parse(self.value) if self.value is not None else None
            if isinstance(row, dict) and row.get(RESERVED) == "reference":
                return str(reference.read(row))
            return self.deserialize_value(self)
        except XComError as error:
            return f"unreadable: {error}"


class _TooManyToExpandError(UnmappableXComLengthPushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. A task can be expanded over [core] max_map_length elements at most: "
            "push fewer of them, such as lists of several rows, or raise AIRFLOW__CORE__MAX_MAP_LENGTH. "
            "Nothing was stored."
        )


class _UnmappableTypeError(UnmappableXComTypePushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. Another task is expanded over it, which takes a list or dict: return "
            'frame.to_dict("records") for one task a row. Nothing was stored.'
        )


def _push(value: Any, owner: Owner) -> bytes:
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

    with _encode(value, upload) as encoded:
        if encoded.size <= current.inline_max_bytes and (row := codecs.inline(encoded)) is not None:
            return row
        pointer = _store(current, owner, stem, codecs.compressed(encoded, current.compression))
    if isinstance(value, File):
        value.pushed()
    log.info("Pushed %s in %.0f ms", pointer, (time.perf_counter() - start) * 1000)
    return json.dumps(pointer.to_json()).encode()


def _encode(value: Any, upload: Callable[[File, int], dict[str, Any]]) -> codecs.Encoded:
    if isinstance(value, File):
        return files.encode(value)
    try:
        return codecs.encode(value, upload)
    except UnsupportedValueError:
        if not conf.getboolean("core", "enable_xcom_pickling"):
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


def _pull(row: dict[str, Any]) -> Any:
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
        value = _decode(pointer.codec, body, find_file)
    except FormatError as error:
        raise FormatError(f"Cannot pull {pointer.owner}, {pointer.address}: {error}") from error.__cause__
    log.info("Pulled %s in %.0f ms", pointer, (time.perf_counter() - start) * 1000)
    return value


def _decode(codec: str, body: bytes, find_file: Callable[[dict[str, Any]], File]) -> Any:
    if codec != codecs.PICKLE:
        return codecs.decode(codec, body, find_file)
    if not conf.getboolean("core", "enable_xcom_pickling"):
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


_NO_JSON = object()


def _parse(value: bytes) -> Any:
    """The JSON of a row; rows that are none are left to Airflow only if it may unpickle them."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError, TypeError):
        if conf.getboolean("core", "enable_xcom_pickling"):
            return _NO_JSON
        raise BadReferenceError(
            "The metadata database holds no JSON for this XCom, and [core] enable_xcom_pickling is off. "
            "Clear the task that pushed it, so that it runs again."
        ) from None


def _check_mappable(value: Any, key: str | None) -> None:
    """Refuse here what Airflow refuses after the push, when the object would be left behind."""
    if key != "return_value" or isinstance(value, (str, bytes)) or not _has_mapped_dependants():
        return
    if type(value).__module__.startswith("pandas"):
        raise _UnmappableTypeError(value)
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if isinstance(value, Sized) and len(value) > limit:
        raise _TooManyToExpandError(value, limit)


def _has_mapped_dependants() -> bool:
    """Whether the task that runs here has others expanded over its result."""
    from airflow.models.mappedoperator import MappedOperator
    from airflow.operators.python import get_current_context

    try:
        task = get_current_context()["task"]
    except (AirflowException, KeyError):
        return False
    return not isinstance(task, MappedOperator) and next(task.iter_mapped_dependants(), None) is not None
