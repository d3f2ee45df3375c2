"""What the metadata database holds to the value that was pushed."""

from __future__ import annotations

import json
from typing import Any

from include.s3_xcom import codecs, failures, files, mapped, reading, reference, settings, transfers
from include.s3_xcom.codecs import tagged
from include.s3_xcom.errors import BadReferenceError, FormatError
from include.s3_xcom.files import File
from include.s3_xcom.reference import RESERVED, Reference
from include.s3_xcom.settings import Settings


def pull(row: bytes, *, may_pickle: bool) -> Any:
    """The value that was pushed.

    :param row: what the metadata database holds
    :param may_pickle: whether a pickle may be read
    :raises BadReferenceError: if the row's reference must not be followed
    :raises StorageError: if S3 does not give the object, or gives another one
    :raises FormatError: if the object is not what its reference says
    """
    parsed = json.loads(row)
    if not _is_reference(parsed):
        return tagged.loads(row)
    with transfers.observed("pull", "Pulled") as transfer:
        current = settings.load()
        pointer = reference.checked(parsed, current)
        with failures.located(pointer):
            value = fetch(current, pointer, may_pickle=may_pickle)
        transfer.subject = pointer
        transfer.size = 0 if is_lazy(pointer) else pointer.size
    return value


def is_lazy(pointer: Reference) -> bool:
    """Whether a pull moves no data yet: of files and mapped sequences."""
    return pointer.codec == files.CODEC or pointer.codec in mapped.CODECS


def reference_in(row: bytes) -> Reference | None:
    """The reference that a row holds, not yet one to follow; None if it holds the value itself.

    :raises BadReferenceError: if it is malformed
    """
    fields = reference_fields(row)
    return None if fields is None else reference.read(fields)


def reference_fields(row: bytes) -> dict[str, Any] | None:
    """The reference that a row holds, of any version, as it stands; None if it holds the value itself."""
    try:
        parsed = json.loads(row)
    except (ValueError, RecursionError, TypeError):
        return None
    return parsed if _is_reference(parsed) else None


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


def fetch(current: Settings, pointer: Reference, *, may_pickle: bool) -> Any:
    """The value of an object; of files and mapped sequences, what will fetch it when it is asked for.

    :param pointer: one that may be followed
    :raises StorageError: if S3 does not give the object, or gives another one
    :raises FormatError: if the object is not what the reference says
    """
    if pointer.codec == files.CODEC:
        return File.stored(current, pointer)
    if pointer.codec in mapped.CODECS:
        return mapped.pulled(current, pointer)
    body = reading.get(current, pointer)
    if pointer.compression:
        body = codecs.decompress(pointer.compression, body, pointer.raw_size or 0)
    if pointer.codec == codecs.PICKLE:
        return _unpickled(body, may_pickle)
    return codecs.decode(
        pointer.codec,
        body,
        lambda fields: File.stored(current, reference.beside(pointer, fields)),
        next(iter(pointer.shape), None),
    )


def _unpickled(body: bytes, may_pickle: bool) -> Any:
    if not may_pickle:
        raise FormatError("It is a pickle, and [core] enable_xcom_pickling is off.")
    return codecs.unpickled(body)
