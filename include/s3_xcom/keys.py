"""Keys of objects: made from an XCom's ids, and read back.

A key is ``<prefix>/dag_id=<dag>/run_id=<run>/task_id=<task>/map_index=<n>/<key>-<unique><suffix>``, which
DuckDB and Athena read as partitions. Ids are percent-encoded (RFC 3986), so that none leaves its segment. An
id that is too long for its segment is cut, and ends in ``~`` and a hash of the whole, as in
``%E2%80%93%E2%80~5f8d...``: the cut may fall within a character. No other encoded id has a ``~``.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.settings import Settings

UNKNOWN = "~unknown"
"""Placeholder in a key for an id that the push was not given. No encoded id starts with ``~``."""

# S3 allows keys of 1,024 bytes: three ids, one XCom key and the fixed segments fit with these.
MAX_ID_BYTES = 240
MAX_NAME_BYTES = 120

_KEY = re.compile(
    r"dag_id=(?P<dag_id>[^/]+)/run_id=(?P<run_id>[^/]+)/task_id=(?P<task_id>[^/]+)"
    r"/map_index=(?P<map_index>-?[0-9]{1,18})/(?P<key>[^/]+)-(?P<unique>[0-9a-f]{32})(?P<suffix>(?:\.[a-z0-9]+)*)"
)
_FILE_SUFFIX = re.compile(r"\.\d+\.[a-z0-9]{1,10}")
_SHORTENED = re.compile(r"~[0-9a-f]{16}$")


@dataclass(frozen=True)
class Owner:
    """The XCom that an object belongs to, in Airflow's terms."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str

    @property
    def is_unknown(self) -> bool:
        """Return whether the push was not given one of the ids."""
        return UNKNOWN in (self.dag_id, self.run_id, self.task_id, self.key)

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"XCom {self.key!r} of {self.dag_id}.{self.task_id}{mapped}, run {self.run_id!r}"


@dataclass(frozen=True)
class KeyId:
    """An id as far as a key tells it.

    :param text: the id, or its start
    :param is_whole: whether it is all of the id
    """

    text: str
    is_whole: bool


def make_stem(settings: Settings, owner: Owner) -> str:
    """Make a new, unique key for an XCom, without the object's suffix."""
    parts = (
        f"task_id={encode_id(owner.task_id)}",
        f"map_index={owner.map_index}",
        f"{encode_id(owner.key, MAX_NAME_BYTES)}-{uuid.uuid4().hex}",
    )
    return prefix_of(settings, owner.dag_id, owner.run_id) + "/".join(parts)


def root(settings: Settings) -> str:
    """Return the start of all keys: the prefix with its slash."""
    return f"{settings.prefix}/" if settings.prefix else ""


def prefix_of(settings: Settings, dag_id: str | None = None, run_id: str | None = None) -> str:
    """Return the start of all keys, or of those of a DAG, or of one of its runs."""
    of_dag = f"dag_id={encode_id(dag_id)}/" if dag_id else ""
    return root(settings) + of_dag + (f"run_id={encode_id(run_id)}/" if dag_id and run_id else "")


def is_key(key: str, settings: Settings) -> bool:
    """Return whether a push with these settings may have made a key."""
    return key.startswith(root(settings)) and _KEY.fullmatch(key.removeprefix(root(settings))) is not None


def is_any_key(key: str) -> bool:
    """Return whether a push with any settings may have made a key."""
    return _KEY.search(key) is not None


def suffix_of(key: str) -> str:
    return _match(key)["suffix"]


def stem_of(key: str) -> str:
    """Return the key without its suffix: the stem, which all objects of one push share."""
    return key.removesuffix(suffix_of(key))


def unique_of(key: str) -> str:
    """Return the 32 hexadecimal digits that are in no other push's keys."""
    return _match(key)["unique"]


def is_of(key: str, /, **ids: str | int | None) -> bool:
    """Return whether a key's ids are these, by the names of :class:`Owner`. None stands for any id."""
    match = _match(key)
    return all(
        wanted is None
        or match[name] == encode_id(str(wanted), MAX_NAME_BYTES if name == "key" else MAX_ID_BYTES)
        for name, wanted in ids.items()
    )


def is_of_file(key: str) -> bool:
    """Return whether a key is that of a File within a value, which shares the stem of the value's object."""
    return _FILE_SUFFIX.fullmatch(suffix_of(key)) is not None


def segment_of(key: str, name: str) -> str:
    """Return the segment of a key that holds an id, as it is encoded.

    :raises BadReferenceError: if no push makes such keys
    """
    return _match(key)[name]


def parse_key(key: str) -> Owner:
    """Return the XCom that a key was made for. Ids too long for a key are shortened in it.

    :raises BadReferenceError: if no push makes such keys
    """
    match = _match(key)
    names = {name: unquote(match[name]) for name in ("dag_id", "run_id", "task_id", "key")}
    return Owner(map_index=int(match["map_index"]), **names)


def parse_ids(key: str) -> dict[str, KeyId]:
    """Return what a key tells about the ids of its DAG, run and task and about the XCom's key, by name.

    :raises BadReferenceError: if no push makes such keys
    """
    match = _match(key)
    return {name: decode_id(match[name]) for name in ("dag_id", "run_id", "task_id", "key")}


def encode_id(text: str, limit: int = MAX_ID_BYTES) -> str:
    """Percent-encode an id, so that it stays within one segment of a key.

    It is reversible with :func:`urllib.parse.unquote`, unless it is longer than the limit: then its end is
    replaced by a hash of the whole.

    :param limit: bytes
    """
    if text == UNKNOWN:
        return text
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


def decode_id(segment: str) -> KeyId:
    """Return the id in a segment of a key, or its start. Inverse of :func:`encode_id`."""
    if not _SHORTENED.search(segment):
        return KeyId(unquote(segment), is_whole=True)
    # The rest of a cut character is dropped.
    start = unquote_to_bytes(_SHORTENED.sub("", segment)).decode(errors="ignore")
    return KeyId(start, is_whole=False)


def _match(key: str) -> re.Match[str]:
    match = _KEY.search(key)
    if match is None:
        raise BadReferenceError(f"{key!r} is no key of an XCom.")
    return match
