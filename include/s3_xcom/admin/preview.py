"""Find the object of one XCom, and show the start of its value as text."""

from __future__ import annotations

import dataclasses
import json
import pprint
from typing import Any

from include.s3_xcom import keys, pull
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import BadReferenceError, ObjectMissingError
from include.s3_xcom.files import File
from include.s3_xcom.keys import Owner
from include.s3_xcom.mapped import Mapped
from include.s3_xcom.notebook import of_object
from include.s3_xcom.on_airflow import xcom_table
from include.s3_xcom.reference import Reference, human_size
from include.s3_xcom.s3.store import Store

HEAD_ROWS = 20
HEAD_CHARACTERS = 4000


def find(store: Store, address: str) -> Reference:
    """Find the reference to an object, in the database or else in the object's metadata.

    :param address: ``s3://bucket/key``, or the key
    :raises BadReferenceError: if it is not in the bucket, below the prefix
    :raises ObjectMissingError: if there is no such object
    """
    key = address.removeprefix(store.address() + "/")
    if not keys.is_key(key, store.settings):
        raise BadReferenceError(f"{address} is no XCom in {store.root_address}.")
    return find_row(key) or of_object(store, key)


def find_row(key: str) -> Reference | None:
    """Return the database's reference to an object; None if it has none, or does not answer."""
    reference = (xcom_table.references_if_known([key]) or {}).get(keys.stem_of(key))
    return reference if reference is not None and reference.key == key else None


def find_by_ids(owner: Owner) -> Reference:
    """Return the reference that an XCom holds.

    :raises ObjectMissingError: if there is no such XCom, or its value is in the database
    """
    found = xcom_table.reference_of(owner)
    if found is None:
        hint = "Does it exist? Small values are kept in the metadata database."
        if owner.map_index < 0 and xcom_table.reference_of(dataclasses.replace(owner, map_index=0)):
            hint = "The task is mapped: give --map-index."
        raise ObjectMissingError(f"There is no {owner} in S3. {hint}")
    return found


def text(store: Store, reference: Reference) -> str:
    """Return the start of a value as text, without characters that a terminal would act on.

    :raises StorageError: if S3 does not give the object
    :raises FormatError: if the object is not in the format its reference says
    """
    return printable(_of(pull.whole(store, reference)), kept="\n\t")


def printable(value: object, kept: str = "") -> str:
    """Return text with control characters escaped: others may write to the bucket.

    :param kept: control characters that stay
    """
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in str(value))


def _of(value: Any) -> str:
    if isinstance(value, File):
        return _of_file(value)
    if isinstance(value, Mapped):
        return _of(value.to_frame() if hasattr(value, "to_frame") else value[:HEAD_ROWS])
    if hasattr(value, "head") and hasattr(value, "shape"):
        return _of_frame(value)
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, (bytes, bytearray)):
        return f"{human_size(len(value))}, starting with {value[:32].hex(' ')}"
    if type(value) in (dict, list) and tagged_json.dumps_plain(value) is not None:
        return _cut(json.dumps(value, indent=2, ensure_ascii=False))
    return _cut(pprint.pformat(value, sort_dicts=False))


def _of_frame(value: Any) -> str:
    head = value.head(HEAD_ROWS)
    table = head.to_string() if hasattr(head, "to_string") else str(head)
    more = f"\n... {len(value):,} rows in all" if len(value) > HEAD_ROWS else ""
    return table + more


def _of_file(file: File) -> str:
    with file.open() as stream:
        head = stream.read(HEAD_CHARACTERS)
    try:
        start = head.decode()
    except UnicodeDecodeError:
        start = head[:32].hex(" ")
    return f"{file!r}\n{start}" + ("\n..." if file.size > len(head) else "")


def _cut(value: str) -> str:
    if len(value) <= HEAD_CHARACTERS:
        return value
    return f"{value[:HEAD_CHARACTERS]}\n... {len(value):,} characters in all"
