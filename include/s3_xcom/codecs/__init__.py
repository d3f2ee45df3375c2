"""Values as the bytes of objects, and back. Each codec is a module; :mod:`.registry` lists them.

Each task is a process that pays for its imports: pandas and pyarrow are imported only if a value needs them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sized
from typing import Any

from include.s3_xcom.codecs import bundle, compression, registry, tagged_json
from include.s3_xcom.codecs.codec import JSON, Arriving, Codec, Encoded, Pulling
from include.s3_xcom.codecs.compression import decompress
from include.s3_xcom.codecs.registry import PICKLE
from include.s3_xcom.codecs.tagged_json import unwrap
from include.s3_xcom.codecs.tagged_json.tags import tag, type_name
from include.s3_xcom.errors import UnsupportedValueError, format_errors
from include.s3_xcom.reference import RESERVED, ObjectInfo
from include.s3_xcom.row import is_kept_number

SMALL_BYTES = 1024
"""Bytes of JSON up to which a scalar stays in the metadata database."""

_TOO_DEEP = "it holds itself, or nests too deeply"

__all__ = [
    "Encoded",
    "compressed",
    "decode",
    "decompress",
    "encode",
    "encode_inline",
    "encode_pickled",
    "encode_small",
    "inline",
    "stream",
    "unwrap",
]

Upload = Callable[[Any, int], "dict[str, Any]"]
"""Function that stores a File within a value: called with it and its number, returns how to find it again."""


def encode_small(value: Any) -> bytes | None:
    """Return JSON for the metadata database if the value is a short scalar; None otherwise.

    :raises UnsupportedValueError: if it would come back changed
    """
    if not tagged_json.is_scalar(value) or (type(value) is str and len(value) > SMALL_BYTES):
        return None
    text = tagged_json.dumps(value)
    if len(text) > SMALL_BYTES or _NUL.encode() in text:
        return None
    if type(value) in (float, str) and not _survives(value):
        text = tagged_json.to_text(tag("json", text.decode()))
    return text


_NUL = r"\u0000"
"""JSON escape that Airflow removes from strings when it migrates a database to Airflow 3."""


def _survives(value: float | str) -> bool:
    """Return whether the value outlives a migration to Airflow 3, where the column holds JSON."""
    if type(value) is str:
        return RESERVED not in value  # otherwise it could be taken for a row
    return not math.isfinite(value) or is_kept_number(value)  # NaN and infinity have a tag already


def encode_inline(value: Any) -> bytes | None:
    """Return JSON for a value that is to stay in the metadata database, whatever its size.

    :return: None if it needs a binary format, holds files, or cannot be encoded
    """
    try:
        return inline(encode(value))
    except UnsupportedValueError:  # the push reports it
        return None


def inline(encoded: Encoded) -> bytes | None:
    """Return an encoded value as JSON for the metadata database.

    :return: None if it is in a binary format, or holds files, which are found by the object's key
    """
    codec = registry.find(encoded.codec, may_pickle=True)
    if encoded.info.files or not codec.inline:
        return None
    body = encoded.body
    if codec.media_type != JSON:
        body = tagged_json.dumps(codec.decode(body, Pulling()))
    text = bytes(body).decode()
    if _NUL in text:
        return None
    # The JSON is stored as text: a migration to Airflow 3 on Postgres would reorder its keys.
    return tagged_json.to_text(tag("json", text))


def encode(value: Any, upload: Upload | None = None) -> Encoded:
    """Return the bytes to store for a value, in the most readable format that holds it exactly.

    :param upload: called for each File within the value, once the whole value is known to be storable
    :raises UnsupportedValueError: if no format holds the value
    """
    value = unwrap(value)
    try:
        encoded = _encode_as(value, registry.of_libraries(), _library_info)
    except RecursionError:
        raise UnsupportedValueError(_TOO_DEEP) from None
    plain = map(registry.find, ("bytes", "text", "json"))
    return encoded or _encode_as(value, plain, _builtin_info) or _encode_tagged(value, upload)


@dataclasses.dataclass(frozen=True)
class Streamed:
    """A large value as the bytes of an object, encoded while they are sent."""

    info: ObjectInfo
    pieces: Iterator[bytes]
    suffix: str
    media_type: str


def stream(value: Any) -> Streamed | None:
    """Return a large value in pieces; None if it is small, or its codec cannot stream.

    :raises UnsupportedValueError: if it would come back changed, at the latest from the pieces
    """
    for codec in registry.of_libraries():
        pieces = codec.stream(value)
        if pieces is not None:
            return Streamed(_library_info(codec, value), pieces, codec.suffix, codec.media_type)
    return None


def _encode_as(value: Any, codecs: Any, make_info: Callable[[Codec, Any], ObjectInfo]) -> Encoded | None:
    """Encode a value with the first codec that takes it."""
    for codec in codecs:
        body = codec.encode(value)
        if body is not None:
            return Encoded(make_info(codec, value), body, len(body), codec.suffix, codec.media_type)
    return None


def _library_info(codec: Codec, value: Any) -> ObjectInfo:
    names = type_name(type(value)).split(".")
    return ObjectInfo(codec.name, f"{names[0]}.{names[-1]}", list(value.shape))


def _builtin_info(codec: Codec, value: Any) -> ObjectInfo:
    has_length = isinstance(value, Sized) and getattr(value, "shape", None) != ()
    shape = [len(value)] if has_length else []
    return ObjectInfo(codec.name, type_name(type(value)).rpartition(".")[2], shape)


def _encode_tagged(value: Any, upload: Upload | None) -> Encoded:
    archive = bundle.Archive()
    files: list[tuple[Any, dict[str, Any]]] = []

    def add_file(file: Any) -> dict[str, Any]:
        files.append((file, tag("file", {})))
        return files[-1][1]

    try:
        tree = tagged_json.to_json(value, tagged_json.Parts(archive.add, add_file))
    except RecursionError:  # a cell of a frame may hold that frame
        raise UnsupportedValueError(_TOO_DEEP) from None
    for number, (file, file_tag) in enumerate(files):
        if upload is None:
            raise UnsupportedValueError(tagged_json.NO_FILE)
        file_tag["value"] = upload(file, number)
    body = tagged_json.to_text(tree)
    codec = registry.find("tagged")
    if archive.count:
        body, codec = archive.finish(body), registry.find("zip")
    info = dataclasses.replace(_builtin_info(codec, value), files=len(files))
    return Encoded(info, body, len(body), codec.suffix, codec.media_type)


def encode_pickled(value: Any) -> Encoded:
    """Encode a value as a pickle, the last resort if Airflow's configuration allows it.

    :raises UnsupportedValueError: if it cannot be pickled
    """
    codec = registry.find(PICKLE, may_pickle=True)
    body = codec.encode(value)
    info = ObjectInfo(codec.name, type_name(type(value)))
    return Encoded(info, body, len(body), codec.suffix, codec.media_type)


def compressed(encoded: Encoded, name: str) -> Encoded:
    """Return an encoded value compressed, or unchanged if its codec or ``name`` says so.

    :param name: ``none``, ``gzip`` or ``zstd``
    """
    if name == "none" or not registry.find(encoded.codec, may_pickle=True).compressible:
        return encoded
    body = compression.compress(name, encoded.body)
    suffix = encoded.suffix + compression.SUFFIXES[name]
    info = dataclasses.replace(encoded.info, compression=name, raw_size=encoded.size)
    return dataclasses.replace(encoded, info=info, body=body, size=len(body), suffix=suffix)


def decode(
    name: str,
    body: bytes,
    find_file: Callable[[dict[str, Any]], Any] | None = None,
    rows: int | None = None,
    *,
    arriving: Arriving | None = None,
    may_pickle: bool = False,
) -> Any:
    """Decode what :func:`encode` returned.

    :param name: name of the codec
    :param find_file: makes a File of what ``upload`` returned for it
    :param rows: number of rows that were pushed, if it is a frame
    :param arriving: waits for bytes that have not come, for codecs that stream
    :param may_pickle: whether Airflow's configuration lets pickles be read
    :raises FormatError: if :func:`encode` cannot have written the bytes
    """
    codec = registry.find(name, may_pickle=may_pickle)
    with format_errors(name):
        return codec.decode(body, Pulling(rows, find_file, arriving))
