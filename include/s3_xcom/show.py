"""One XCom, as people want to see it."""

from __future__ import annotations

import json
import pprint
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from include.s3_xcom import inventory, mapped, pull, reading, reference, store
from include.s3_xcom.codecs import tagged
from include.s3_xcom.errors import BadReferenceError, ObjectMissingError, SettingError
from include.s3_xcom.files import File
from include.s3_xcom.mapped import Mapped
from include.s3_xcom.reference import Owner, Reference, human_size
from include.s3_xcom.settings import Settings

HEAD_ROWS = 20
HEAD_CHARACTERS = 4000


def find(settings: Settings, address: str) -> Reference:
    """The reference to an object, from the database if that has it, otherwise from the object itself.

    :param address: ``s3://bucket/key``, or the key
    :raises BadReferenceError: if it is not in the bucket, below the prefix
    :raises ObjectMissingError: if there is no such object
    """
    key = address.removeprefix(f"s3://{settings.bucket}/")
    if not reference.is_key(key, settings):
        raise BadReferenceError(
            f"{address} is no XCom in s3://{settings.bucket}/{reference.head_of(settings)}."
        )
    try:
        pointer = inventory.references_to([key]).get(reference.stem_of(key))
    except SettingError:
        pointer = None
    return pointer if pointer is not None and pointer.key == key else of_object(settings, key)


def of_object(settings: Settings, key: str) -> Reference:
    """A reference made of what S3 tells of an object. It lacks the layout of a mapped sequence.

    :raises ObjectMissingError: if there is no such object
    """
    head = store.head(settings, key)
    words = {name: unquote(word) for name, word in head["Metadata"].items()}
    shape = [int(n) for n in words.get("shape", "").split(" x ") if n]
    return Reference(
        bucket=settings.bucket,
        key=key,
        codec=words.get("codec", "file"),
        size=head["ContentLength"],
        etag=head["ETag"],
        type=words.get("type", "object"),
        shape=shape,
        name=words.get("file-name"),
        compression=words.get("compression"),
        raw_size=int(words["raw-size"]) if "raw-size" in words else None,
    )


def find_by_ids(owner: Owner) -> Reference:
    """The reference that an XCom holds.

    :raises ObjectMissingError: if there is no such XCom, or it is kept in the database
    """
    found = inventory.reference_of(owner)
    if found is None:
        raise ObjectMissingError(
            f"There is no {owner} in S3. Does it exist? Small values are kept in the metadata database."
        )
    return found


def save(settings: Settings, pointer: Reference, path: Path) -> Path:
    """Copy an object as it is, whole or not at all.

    :return: where it is
    :raises StorageError: if S3 does not give it
    """
    return File.stored(settings, pointer).download(path)


def text(settings: Settings, pointer: Reference, *, may_pickle: bool) -> str:
    """The start of a value as text.

    :raises StorageError: if S3 does not give the object
    :raises FormatError: if the object is not what the reference says
    """
    reference.check(pointer, settings)
    if pointer.codec in mapped.CODECS and pointer.layout is None:
        return _of(mapped.whole(pointer.codec, reading.get(settings, pointer), pointer.shape))
    return _of(pull.fetch(settings, pointer, may_pickle=may_pickle))


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
    if type(value) in (dict, list) and tagged.dumps_plain(value) is not None:
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
