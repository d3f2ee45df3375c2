"""Pull: turn a database row back into the value."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from include.s3_xcom import codecs, mapped
from include.s3_xcom.codecs import registry, tagged_json
from include.s3_xcom.errors import FormatError, as_pushed
from include.s3_xcom.files import File
from include.s3_xcom.interruptions import heard
from include.s3_xcom.on_airflow import metrics
from include.s3_xcom.on_airflow.configuration import may_pickle
from include.s3_xcom.reference import RESERVED, Reference, check, file_reference
from include.s3_xcom.row import Row
from include.s3_xcom.s3.arriving import Arriving
from include.s3_xcom.s3.errors import located
from include.s3_xcom.s3.store import Store


def pull(row: Row) -> Any:
    """Return the value that was pushed.

    :param row: one that this backend wrote
    :raises BadReferenceError: if the row's reference must not be followed
    :raises StorageError: if S3 does not give the object, or gives another one
    :raises FormatError: if the object is not in the format its reference says
    """
    if not row.is_reference:
        return tagged_json.loads(row.text)
    with heard(), metrics.observed("pull", "Pulled") as transfer:
        reference = row.reference
        value = pull_reference(reference)
        transfer.subject = reference
        transfer.size = 0 if is_lazy(reference) else reference.size
    return value


def pull_reference(reference: Reference) -> Any:
    """Return the value that a reference points to. Unpickling a File or mapped sequence calls it.

    Raises what :func:`pull` raises.
    """
    store = Store.configured()
    check(reference, store.settings)
    with located(reference):
        return fetch(store, reference)


def is_lazy(reference: Reference) -> bool:
    """Return whether pulling it gives a lazy object (File or mapped sequence)."""
    return registry.find(reference.info.codec, may_pickle=True).pulled is not None


def describe(row: Row) -> Any:
    """Return what the UI shows of a row: a line for a reference, or a small value as it is.

    :raises BadReferenceError: if the reference is malformed
    """
    if row.is_reference:
        return str(row.reference)
    # Showing a value must not load a user's class.
    return row.text.decode() if _names_class(row.parsed) else tagged_json.loads(row.text)


def _names_class(parsed: Any) -> bool:
    """Return whether parsed JSON has the tag of a user's class."""
    if isinstance(parsed, dict) and parsed.get(RESERVED) == "json":
        return _names_class(json.loads(parsed["value"]))
    if isinstance(parsed, dict):
        return (RESERVED in parsed and "class" in parsed) or any(map(_names_class, parsed.values()))
    return isinstance(parsed, list) and any(map(_names_class, parsed))


def fetch(store: Store, reference: Reference) -> Any:
    """Return the value of an object. A file or mapped sequence fetches its data when it is used.

    :param reference: one that may be followed
    :raises StorageError: if S3 does not give the object, or gives another one
    :raises FormatError: if the object is not in the format its reference says
    """
    info = reference.info
    if info.codec == registry.PICKLE and not may_pickle():
        raise FormatError("It is a pickle, and [core] enable_xcom_pickling is off.")
    codec = registry.find(info.codec, may_pickle=True)
    if codec.pulled is not None:
        return codec.pulled(store, reference)
    arriving = store.arriving(reference, forgets=True) if codec.streams else None
    if arriving is not None:
        return _decode_arriving(arriving, reference)
    body = store.get(reference)
    if info.compression:
        body = codecs.decompress(info.compression, body, info.raw_size or 0)
    with as_pushed(reference.sha256 is not None):
        return codecs.decode(
            info.codec,
            body,
            lambda tag: File.stored(store, file_reference(reference, tag)),
            next(iter(info.shape), None),
            may_pickle=info.codec == registry.PICKLE,
        )


def whole(store: Store, reference: Reference) -> Any:
    """Fetch a value as :func:`fetch` does; a mapped sequence without a layout as its frame, or its list.

    :raises BadReferenceError: if the reference must not be followed
    """
    check(reference, store.settings)
    info = reference.info
    with located(reference):
        if info.layout is None and registry.find(info.codec, may_pickle=True).pulled not in (
            None,
            File.stored,
        ):
            return mapped.whole(info.codec, store.get(reference), info.shape)
        return fetch(store, reference)


def _decode_arriving(arriving: Arriving, reference: Reference) -> Any:
    """Decode a large object while it comes, and compare it at its end with what was pushed."""
    info = reference.info
    with contextlib.closing(arriving), as_pushed(reference.sha256 is not None):
        try:
            value = codecs.decode(
                info.codec, arriving.body, None, next(iter(info.shape), None), arriving=arriving
            )
        except Exception:
            arriving.finish()  # raises if it is not what was pushed
            raise
        arriving.finish()
    return value
