"""Values as the bytes of objects, and back. Each codec is a module; this one chooses.

What is imported counts, in a process per task: pandas and pyarrow only when a value needs them.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Sized
from typing import Any

from include.s3_xcom.codecs import archives, compression, packages, tagged
from include.s3_xcom.codecs.compression import decompress
from include.s3_xcom.codecs.encoded import Encoded
from include.s3_xcom.codecs.tags import tag, type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError, XComError
from include.s3_xcom.reference import ObjectInfo

SMALL_BYTES = 1024
"""The longest scalar, as JSON, that stays in the metadata database."""

PICKLE = "pickle"

BYTES = "application/octet-stream"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
ZIP = "application/zip"

_TOO_DEEP = "it holds itself, or nests too deeply"

_COMPRESSED = {"bytes", "json", "npy", "tagged", "text"}
"""The others are dense already, or have a compression of their own."""

__all__ = [
    "PICKLE",
    "Encoded",
    "compressed",
    "decode",
    "decompress",
    "encode",
    "encode_inline",
    "encode_small",
    "inline",
    "pickled",
    "unpickled",
    "unwrap",
]


def encode_small(value: Any) -> bytes | None:
    """JSON for the metadata database, if the value is a scalar and short; None otherwise.

    :raises UnsupportedValueError: if it would come back changed
    """
    if not tagged.is_scalar(value) or (type(value) is str and len(value) > SMALL_BYTES):
        return None
    text = tagged.dumps(value)
    return text if len(text) <= SMALL_BYTES else None


def inline(encoded: Encoded) -> bytes | None:
    """JSON for the metadata database of what was encoded.

    :return: None if it is in a binary format, or holds files, which are found by the object's key
    """
    if encoded.info.files:
        return None
    codec = encoded.info.codec
    if codec in ("json", "tagged"):
        return b'{"__s3_xcom__":"value","value":%b}' % bytes(encoded.body)
    if codec == "text":
        return json.dumps(bytes(encoded.body).decode()).encode()
    return tagged.dumps(bytes(encoded.body)) if codec == "bytes" else None


def encode_inline(value: Any) -> bytes | None:
    """JSON for the metadata database of a value that is to stay there, whatever its size.

    :return: None if it needs a binary format, holds files, or cannot be encoded
    """
    try:
        return inline(encode(value))
    except UnsupportedValueError:  # pushing it says so
        return None


def unwrap(value: Any) -> Any:
    """The value itself, where Airflow hands out a stand-in for it."""
    return tagged.unwrap(value)


def encode(value: Any, upload: Callable[[Any, int], dict[str, Any]] | None = None) -> Encoded:
    """The bytes to store for a value, in the most readable format that holds it exactly.

    :param upload: called for each File within the value, with its number; returns what will find it again
    :raises UnsupportedValueError: if no format holds the value
    """
    value = unwrap(value)
    try:
        blob = packages.find_blob(value)
    except RecursionError:
        raise UnsupportedValueError(_TOO_DEEP) from None
    if blob is not None:
        codec = packages.CODECS[blob.codec]
        name = type_name(type(value)).split(".")
        info = ObjectInfo(blob.codec, f"{name[0]}.{name[-1]}", blob.shape)
        return Encoded(info, blob.data, len(blob.data), codec.suffix, codec.media_type)
    kind = type(value)
    if kind is bytes:
        return Encoded(ObjectInfo("bytes", "bytes", [len(value)]), value, len(value), ".bin", BYTES)
    if kind is str and (body := _utf8(value)) is not None:
        return Encoded(ObjectInfo("text", "str", [len(value)]), body, len(body), ".txt", TEXT)
    shape = [len(value)] if isinstance(value, Sized) else []
    if kind in (dict, list) and (body := tagged.dumps_plain(value)) is not None:
        return Encoded(ObjectInfo("json", kind.__name__, shape), body, len(body), ".json", JSON)
    return _encode_tagged(value, upload, shape)


def _encode_tagged(
    value: Any, upload: Callable[[Any, int], dict[str, Any]] | None, shape: list[int]
) -> Encoded:
    archive = archives.Archive()
    files: list[tuple[Any, dict[str, Any]]] = []

    def add_file(file: Any) -> dict[str, Any]:
        files.append((file, tag("file", {})))
        return files[-1][1]

    try:
        tree = tagged.to_json(value, tagged.Parts(archive.add, add_file))
    except RecursionError:  # through the cells of a frame that hold the frame
        raise UnsupportedValueError(_TOO_DEEP) from None
    # Only now, when the whole value has proved to be one that can be pushed.
    for number, (file, tagged_file) in enumerate(files):
        if upload is None:
            raise UnsupportedValueError(tagged.NO_FILE)
        tagged_file["value"] = upload(file, number)
    text = tagged.to_text(tree)
    name = type_name(type(value)).rpartition(".")[2]
    if archive.count == 0:
        info = ObjectInfo("tagged", name, shape, files=len(files))
        return Encoded(info, text, len(text), ".json", JSON)
    body = archive.finish(text)
    return Encoded(ObjectInfo("zip", name, shape, files=len(files)), body, len(body), ".zip", ZIP)


def pickled(value: Any) -> Encoded:
    """A value as a pickle, the last resort where Airflow's configuration allows it.

    :raises UnsupportedValueError: if it cannot be pickled
    """
    try:
        body = pickle.dumps(value)
    except Exception as error:
        raise UnsupportedValueError(f"a {type_name(type(value))} cannot even be pickled ({error})") from None
    return Encoded(ObjectInfo(PICKLE, type_name(type(value))), body, len(body), ".pkl", BYTES)


def unpickled(body: bytes) -> Any:
    """The value that :func:`pickled` got. Runs whatever the bytes say: the caller must have asked Airflow.

    :raises FormatError: if it cannot be unpickled
    """
    try:
        return pickle.loads(body)  # noqa: S301 - only with [core] enable_xcom_pickling
    except Exception as error:
        raise FormatError(f"The stored pickle cannot be read ({type(error).__name__}).") from error


def compressed(encoded: Encoded, name: str) -> Encoded:
    """The same, compressed; as it is if the codec or the compression says so.

    :param name: ``none``, ``gzip`` or ``zstd``
    """
    if name == "none" or encoded.info.codec not in _COMPRESSED:
        return encoded
    body = compression.compress(name, encoded.body)
    suffix = encoded.suffix + compression.SUFFIXES[name]
    info = dataclasses.replace(encoded.info, compression=name, raw_size=encoded.size)
    return dataclasses.replace(encoded, info=info, body=body, size=len(body), suffix=suffix)


def decode(
    codec: str,
    body: bytes,
    find_file: Callable[[dict[str, Any]], Any] | None = None,
    rows: int | None = None,
) -> Any:
    """The value that :func:`encode` got.

    :param find_file: makes a File of what ``upload`` returned for it
    :param rows: of a frame, how many were pushed
    :raises FormatError: if the bytes are nothing that :func:`encode` writes
    """
    try:
        if codec in _DECODERS:
            return _DECODERS[codec](body)
        if codec == "tagged":
            return tagged.loads(body, {}, find_file)
        if codec == "zip":
            return tagged.loads(*archives.read(body), find_file)
        return packages.decode_blob(codec, body, rows)
    except XComError:
        raise
    except Exception as error:
        # What lies in a bucket can be wrong in any way; its content must not get into the message.
        raise FormatError(f"The stored data is no valid {codec} ({type(error).__name__}).") from None


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "json": tagged.loads_plain,
    "text": bytes.decode,
}
