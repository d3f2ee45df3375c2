"""An object's description and the reference to it: as JSON in the database, and as S3's user metadata."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import MISSING, dataclass, field, fields
from typing import Any
from urllib.parse import quote, unquote

from include.s3_xcom import keys
from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.keys import Owner
from include.s3_xcom.settings import Settings

RESERVED = "__s3_xcom__"
"""Reserved key: a JSON object that holds it is ours. A user's dict that holds it is escaped."""

VERSION = 1
"""Version of the format of references and objects (docs/format.md)."""

# S3 takes 2 KB of user metadata; the ids in it are for people.
MAX_METADATA_VALUE = 250


@dataclass(frozen=True)
class ObjectInfo:
    """The description of an object.

    :param codec: name of the codec that wrote it
    :param type: name of the value's type, for display
    :param shape: rows and columns, or the length; for display, and the limit of what is decoded
    :param name: name of the file, if it is one
    :param compression: compression of the object; None: not compressed
    :param raw_size: bytes of the object before compression
    :param files: number of files that the value holds, which are objects beside this one
    :param layout: positions of the elements, if it is a mapped sequence
    """

    codec: str
    type: str
    shape: list[int] = field(default_factory=list)
    name: str | None = None
    compression: str | None = None
    raw_size: int | None = None
    files: int = 0
    layout: dict[str, Any] | None = None

    def __str__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.shape)
        return self.type + (f" ({shape})" if shape else "")

    def to_metadata(self, owner: Owner) -> dict[str, str]:
        """Return the object's user metadata, for people who find it. Percent-encoded: S3 takes ASCII."""
        words = {
            "s3-xcom-version": VERSION,
            "codec": self.codec,
            "type": self.type,
            "shape": " x ".join(map(str, self.shape)),
            "dag-id": owner.dag_id,
            "run-id": owner.run_id,
            "task-id": owner.task_id,
            "map-index": owner.map_index,
            "key": owner.key,
            "file-name": self.name or "",
            "compression": self.compression or "",
            "raw-size": self.raw_size or "",
            "pushed": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        }
        encoded = {name: quote(str(word), safe=" /:+@,")[:MAX_METADATA_VALUE] for name, word in words.items()}
        return {name: word for name, word in encoded.items() if word}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> ObjectInfo:
        """Read an object's user metadata. Others may have written it: invalid values are left out."""
        words = {name: unquote(word) for name, word in metadata.items()}
        numbers = words.get("shape", "").split(" x ")
        return cls(
            codec=words.get("codec", "file"),
            type=words.get("type", "object"),
            shape=list(map(int, numbers)) if all(map(_is_number, numbers)) else [],
            name=words.get("file-name"),
            compression=words.get("compression"),
            raw_size=int(words["raw-size"]) if _is_number(words.get("raw-size", "")) else None,
        )


@dataclass(frozen=True)
class Reference:
    """A pointer to one immutable object.

    :param size: bytes of the object
    :param etag: the ETag that S3 gave it, which pins its content
    :param info: description of the object
    :param sha256: SHA-256 of the object, in hexadecimal: identifies the content if a restore changed the ETag
    :param pushed: time of the push, in ISO 8601
    """

    bucket: str
    key: str
    size: int
    etag: str
    info: ObjectInfo
    sha256: str | None = None
    pushed: str | None = None

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def owner(self) -> Owner:
        """XCom that the object was pushed as, read from its key."""
        return keys.parse_key(self.key)

    def __str__(self) -> str:
        return f"{self.info}, {human_size(self.size)}, {self.address}"

    def to_json(self) -> bytes:
        """Return the JSON for the metadata database. Inverse of :func:`parse_reference`."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "info"}
        known = {f.name: getattr(self.info, f.name) for f in fields(self.info)}
        fields_set = {
            name: value for name, value in {**own, **known}.items() if value != _DEFAULTS.get(name, ...)
        }
        return json.dumps({RESERVED: "reference", "version": VERSION, **fields_set}).encode()


_INFO_FIELDS = {f.name for f in fields(ObjectInfo)}
_OWN_FIELDS = {f.name for f in fields(Reference)} - {"info"}
_DEFAULTS = {"shape": []} | {
    f.name: f.default for f in (*fields(ObjectInfo), *fields(Reference)) if f.default is not MISSING
}


def is_reference(parsed: Any) -> bool:
    """Return whether parsed JSON is a reference, of this version or another."""
    return isinstance(parsed, dict) and parsed.get(RESERVED) == "reference"


def parse_reference(parsed: dict[str, Any]) -> Reference:
    """Read a reference from parsed JSON. Only :func:`check` says whether it may be followed.

    :raises BadReferenceError: if it is malformed or of a newer version
    """
    version = parsed.get("version")
    if isinstance(version, int) and version > VERSION:
        raise BadReferenceError(
            f"This XCom was pushed by a newer version of the backend (format {version}; this one "
            f"reads up to {VERSION}). Update include/ on this machine."
        )
    try:
        info = ObjectInfo(**{name: parsed[name] for name in _INFO_FIELDS & parsed.keys()})
        own = {name: parsed[name] for name in _OWN_FIELDS & parsed.keys()}
        reference = Reference(info=info, **own)
        valid = version == VERSION and _is_valid(reference)
    except (KeyError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise malformed()
    return reference


def malformed() -> BadReferenceError:
    """Return the error for a reference that no push writes."""
    return BadReferenceError(
        "What the metadata database holds for this XCom is no reference of this backend. "
        "Was the row edited by hand? Clear the task that pushed it, so that it runs again."
    )


def _is_valid(reference: Reference) -> bool:
    info = reference.info
    texts = (reference.bucket, reference.key, reference.etag, info.codec, info.type)
    optional = (info.name, info.compression, reference.sha256, reference.pushed)
    numbers = (reference.size, *info.shape, info.raw_size or 0, info.files)
    return (
        all(type(text) is str for text in texts)
        and all(type(text) in (str, type(None)) for text in optional)
        and all(type(number) is int and 0 <= number < 2**63 for number in numbers)
        and type(info.shape) is list
        and type(info.layout) in (dict, type(None))
        and (reference.pushed is None or is_moment(reference.pushed))
    )


def is_moment(text: str) -> bool:
    """Return whether a text is a time with its zone, in ISO 8601."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def check(reference: Reference, settings: Settings) -> None:
    """Check that a reference may be followed.

    :raises BadReferenceError: if it leads out of the configured bucket and prefix
    """
    if reference.bucket != settings.bucket or not keys.is_key(reference.key, settings):
        raise BadReferenceError(
            f"The reference {reference.address} leads out of s3://{settings.bucket}/{keys.root(settings)} "
            "and is not followed. If bucket or prefix were changed, set them back, or clear the task that "
            "pushed it."
        )


def file_tag(stem: str, reference: Reference) -> dict[str, Any]:
    """Return the tag of a file within a value. Inverse of :func:`file_reference`.

    :param stem: stem of the value's object
    """
    return {
        "suffix": reference.key.removeprefix(stem),
        "etag": reference.etag,
        "size": reference.size,
        "name": reference.info.name,
        "sha256": reference.sha256,
    }


def file_reference(value: Reference, tag: Any) -> Reference:
    """Return the reference to a file within a value, which is stored beside the value's object.

    :param value: reference to the value's object
    :param tag: returned by :func:`file_tag`
    :raises BadReferenceError: if it would lead elsewhere
    """
    try:
        suffix, etag, size, name, sha256 = (tag[key] for key in ("suffix", "etag", "size", "name", "sha256"))
        valid = re.fullmatch(r"\.\d+\.[a-z0-9]{1,10}", suffix) and type(size) is int and size >= 0
        valid = valid and all(type(text) is str for text in (etag, name, sha256))
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise BadReferenceError(f"{value.address} ({value.owner}) holds a file that no push writes.")
    key = keys.stem_of(value.key) + suffix
    info = ObjectInfo("file", "File", name=name)
    return Reference(value.bucket, key, size, etag, info, sha256, value.pushed)


def human_size(size: float) -> str:
    """Format a size in bytes for display: ``1.5 KiB``."""
    if size < 1024:
        return f"{size:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:,.1f} {unit}"
    return f"{size / 1024:,.1f} TiB"
