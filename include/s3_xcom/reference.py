"""References and keys: what the metadata database holds, and where in the bucket it points.

A key is ``<prefix>/dag_id=<dag>/run_id=<run>/task_id=<task>/map_index=<n>/<key>-<unique><suffix>``,
which DuckDB and Athena read as partitions. Ids are percent-encoded (RFC 3986), so that none leaves
its segment.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import MISSING, asdict, dataclass, field
from typing import Any
from urllib.parse import unquote

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.settings import Settings

RESERVED = "__s3_xcom__"
"""The reserved key: a JSON object that holds it is ours. A user's dict with it is escaped."""

UNKNOWN = "unknown"
"""Stands in a key for an id that the push was not told."""

VERSION = 1
"""Version of the format of references and objects (docs/format.md)."""

# S3 allows keys of 1,024 bytes; three ids, one XCom key and the fixed parts fit with these.
MAX_ID_BYTES = 240
MAX_NAME_BYTES = 120

_KEY = re.compile(
    r"dag_id=(?P<dag_id>[^/]+)/run_id=(?P<run_id>[^/]+)/task_id=(?P<task_id>[^/]+)"
    r"/map_index=(?P<map_index>-?\d+)/(?P<key>[^/]+)-(?P<unique>[0-9a-f]{32})(?P<suffix>(?:\.[a-z0-9]+)*)"
)


@dataclass(frozen=True)
class Owner:
    """The XCom an object belongs to, in Airflow's own words."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str

    @property
    def is_unknown(self) -> bool:
        """Whether the push was not told whose it is."""
        return UNKNOWN in (self.dag_id, self.run_id, self.task_id, self.key)

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"XCom {self.key!r} of {self.dag_id}.{self.task_id}{mapped}, run {self.run_id!r}"


@dataclass(frozen=True)
class Reference:
    """Points to one immutable object.

    :param codec: name of the codec that wrote it
    :param size: length of the object in bytes
    :param etag: the ETag S3 gave it; pins its content
    :param type: name of the value's type, for people
    :param shape: rows and columns, or the length; for people
    :param name: of the file, if it is one
    :param compression: of the object; None: not compressed
    :param raw_size: of the object before compression, in bytes
    :param sha256: of the object, in hexadecimal; tells the pushed content where the ETag is another one,
        as after a restore
    :param pushed: when it was pushed, in ISO 8601
    :param files: how many files the value holds, which are objects beside this one
    :param layout: of a mapped sequence, where its elements lie
    """

    bucket: str
    key: str
    codec: str
    size: int
    etag: str
    type: str
    shape: list[int] = field(default_factory=list)
    name: str | None = None
    compression: str | None = None
    raw_size: int | None = None
    sha256: str | None = None
    pushed: str | None = None
    files: int = 0
    layout: dict[str, Any] | None = None

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def owner(self) -> Owner:
        """The XCom the object was pushed as, read from its key."""
        return parse_key(self.key)

    def __str__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.shape)
        return f"{self.type}{f' ({shape})' if shape else ''}, {human_size(self.size)}, {self.address}"

    def to_json(self) -> dict[str, Any]:
        told = {name: value for name, value in asdict(self).items() if value != _DEFAULTS.get(name, ...)}
        return {RESERVED: "reference", "version": VERSION, **told}


_DEFAULTS = {"shape": []} | {
    name: f.default for name, f in Reference.__dataclass_fields__.items() if f.default is not MISSING
}


def read(fields: dict[str, Any]) -> Reference:
    """What the metadata database holds as a reference, not yet one to follow.

    :raises BadReferenceError: if it is malformed or of a newer version
    """
    version = fields.get("version")
    if isinstance(version, int) and version > VERSION:
        raise BadReferenceError(
            f"This XCom was pushed by a newer version of the backend (format {version}; this one "
            f"reads up to {VERSION}). Update include/ on this machine."
        )
    names = Reference.__dataclass_fields__.keys() & fields.keys()
    try:
        reference = Reference(**{name: fields[name] for name in names})
        texts = (reference.bucket, reference.key, reference.codec, reference.etag, reference.type)
        words = {type(word) for word in (reference.name, reference.compression, reference.sha256)}
        numbers = (reference.size, *reference.shape, reference.raw_size or 0, reference.files)
        valid = (
            version == VERSION
            and all(type(text) is str for text in texts)
            and words | {type(reference.pushed)} <= {str, type(None)}
            and all(type(number) is int and number >= 0 for number in numbers)
            and type(reference.layout) in (dict, type(None))
        )
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise BadReferenceError(
            "What the metadata database holds for this XCom is no reference of this backend. "
            "Was the row edited by hand? Clear the task that pushed it, so that it runs again."
        )
    return reference


def checked(fields: dict[str, Any], settings: Settings) -> Reference:
    """What the metadata database holds as a reference that may be followed.

    :raises BadReferenceError: also if it leads out of the configured bucket and prefix
    """
    reference = read(fields)
    check(reference, settings)
    return reference


def check(reference: Reference, settings: Settings) -> None:
    """Make sure that a reference may be followed.

    :raises BadReferenceError: if it leads out of the configured bucket and prefix
    """
    if reference.bucket != settings.bucket or not is_key(reference.key, settings):
        head = head_of(settings)
        raise BadReferenceError(
            f"The reference {reference.address} leads out of s3://{settings.bucket}/{head} and is not "
            "followed. If bucket or prefix were changed, set them back, or clear the task that pushed it."
        )


def is_key(key: str, settings: Settings) -> bool:
    """Whether a push with these settings makes such keys."""
    head = head_of(settings)
    return key.startswith(head) and _KEY.fullmatch(key.removeprefix(head)) is not None


def head_of(settings: Settings) -> str:
    """What all keys start with."""
    return f"{settings.prefix}/" if settings.prefix else ""


def beside(main: Reference, fields: Any) -> Reference:
    """The reference to a file within a value, stored beside the value's own object.

    :param fields: what the object says of the file: ``suffix``, ``etag``, ``size`` and ``name``
    :raises BadReferenceError: if it would lead elsewhere
    """
    try:
        suffix, etag, size, name, sha256 = (
            fields[key] for key in ("suffix", "etag", "size", "name", "sha256")
        )
        valid = re.fullmatch(r"\.\d+\.[a-z0-9]{1,10}", suffix) and type(size) is int and size >= 0
        valid = valid and all(type(text) is str for text in (etag, name, sha256))
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise BadReferenceError(f"{main.address} ({main.owner}) holds a file that no push writes.")
    key = stem_of(main.key) + suffix
    return Reference(
        main.bucket, key, "file", size, etag, "File", [], name, sha256=sha256, pushed=main.pushed
    )


def make_stem(settings: Settings, owner: Owner) -> str:
    """A new, unique key for an XCom, to which the object's suffix is still to be added."""
    parts = (
        f"task_id={encode_segment(owner.task_id)}",
        f"map_index={owner.map_index}",
        f"{encode_segment(owner.key, MAX_NAME_BYTES)}-{uuid.uuid4().hex}",
    )
    return run_prefix(settings, owner.dag_id, owner.run_id) + "/".join(parts)


def is_any_key(key: str) -> bool:
    """Whether it ends as the keys of all deployments do."""
    return _KEY.search(key) is not None


def suffix_of(key: str) -> str:
    return _KEY.search(key)["suffix"]


def stem_of(key: str) -> str:
    """The key without its suffix: what all objects of one push have in common."""
    return key.removesuffix(suffix_of(key))


def run_prefix(settings: Settings, dag_id: str, run_id: str) -> str:
    """What the keys of all objects of a DAG run start with."""
    head = head_of(settings)
    return f"{head}dag_id={encode_segment(dag_id)}/run_id={encode_segment(run_id)}/"


def parse_key(key: str) -> Owner:
    """The XCom that a key was made for.

    Ids too long for a key were shortened in it, and stay so.

    :raises BadReferenceError: if the key is not one of ours
    """
    match = _KEY.search(key)
    if match is None:
        raise BadReferenceError(f"{key!r} is no key of an XCom.")
    ids = {name: unquote(match[name]) for name in ("dag_id", "run_id", "task_id", "key")}
    return Owner(map_index=int(match["map_index"]), **ids)


def encode_segment(text: str, limit: int = MAX_ID_BYTES) -> str:
    """Percent-encode an id, so that it stays within one segment of a key.

    Reversible with :func:`urllib.parse.unquote`, unless it is longer than the limit: then its end
    is replaced by a hash of the whole.

    :param limit: in bytes
    """
    dots_only = not text.strip(".")  # "." and ".." would be steps in a path
    encoded = "".join(
        c
        if c.isalnum() or c in "-_" or (c == "." and not dots_only)
        else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogatepass"))
        for c in text
    )
    raw = encoded.encode()
    if len(raw) <= limit:
        return encoded
    digest = "~" + hashlib.sha256(raw).hexdigest()[:16]
    head = raw[: limit - len(digest)].decode(errors="ignore")
    return re.sub(r"%.?$", "", head) + digest


def human_size(size: float) -> str:
    """A size in bytes as people read it: ``1.5 KiB``."""
    if size < 1024:
        return f"{size:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:,.1f} {unit}"
    return f"{size / 1024:,.1f} TiB"
