"""Codecs: each is one format of whole objects, with its way out and its way back."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from include.s3_xcom.reference import ObjectInfo

BYTES = "application/octet-stream"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
ZIP = "application/zip"
NPY = "application/x-npy"
# https://www.iana.org/assignments/media-types/media-types.xhtml
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.file"


class Arriving(Protocol):
    """An object whose bytes have not all come."""

    def wait(self, start: int, stop: int) -> None:
        """Wait until the bytes between two positions have come."""

    def forget(self, stop: int) -> None:
        """Allow the memory of the bytes before a position to be reused: they are not read again."""


@dataclass(frozen=True)
class Pulling:
    """Facts that decoding an object may need.

    :param rows: number of rows that were pushed, if it is a frame: a few bytes can claim billions
    :param find_file: makes a File of what is stored about it within a value
    :param arriving: waits for bytes that have not come; None: all are there
    """

    rows: int | None = None
    find_file: Callable[[dict[str, Any]], Any] | None = None
    arriving: Arriving | None = None


@dataclass(frozen=True)
class Codec:
    """A format of whole objects.

    Its module has ``encode`` and ``decode`` side by side::

        def encode(value: Any) -> bytes | memoryview | None    # None: a value of another kind
        def decode(body: bytes | memoryview, pulling: Pulling) -> Any

    :param name: its name in references
    :param suffix: suffix of the objects' keys, with its dot
    :param media_type: Content-Type of the objects
    :param module: its module below ``include.s3_xcom.codecs``, imported when first needed
    :param library: package that defines the values it holds; empty: Python itself. While it is not imported,
        there are no such values
    :param compressible: whether ``[s3_xcom] compression`` applies; other formats are dense already
    :param inline: whether a small value may stay in the metadata database, as JSON
    :param streams: whether large values are sent while they are encoded, and decoded while they come: its
        module then has ``stream``, which returns pieces instead of bytes, and ``decode`` uses ``arriving``
    :param pulled: for values that are pulled without their data: makes one from a store and a reference
    """

    name: str
    suffix: str
    media_type: str
    module: str = ""
    library: str = ""
    compressible: bool = False
    inline: bool = False
    streams: bool = False
    pulled: Callable[[Any, Any], Any] | None = None

    @property
    def is_text(self) -> bool:
        return self.media_type in (JSON, TEXT)

    def encode(self, value: Any) -> bytes | memoryview | None:
        """Return the bytes for a value; None if the value is not of this codec's kind.

        :raises UnsupportedValueError: if it would come back changed
        """
        return self._module.encode(value)

    def stream(self, value: Any) -> Iterator[bytes] | None:
        """Return the bytes for a large value in pieces; None if it is small, or not of this codec's kind.

        :raises UnsupportedValueError: if it would come back changed, at the latest from the pieces
        """
        return self._module.stream(value) if self.streams else None

    def decode(self, body: bytes | memoryview, pulling: Pulling) -> Any:
        """Decode what :meth:`encode` returned.

        :raises FormatError: if :meth:`encode` cannot have written the bytes
        """
        return self._module.decode(body, pulling)

    @property
    def _module(self) -> Any:
        return _imported(f"include.s3_xcom.codecs.{self.module}")


_imported = functools.lru_cache(maxsize=None)(importlib.import_module)  # it takes some microseconds


@dataclass(frozen=True)
class Encoded:
    """A value as the bytes of an object.

    :param info: description of the object
    :param body: the bytes, or a stream of them
    :param size: bytes of the body
    :param suffix: suffix of the object's key, with its dot
    :param media_type: Content-Type of the object
    """

    info: ObjectInfo
    body: bytes | memoryview | BinaryIO
    size: int
    suffix: str
    media_type: str

    @property
    def codec(self) -> str:
        return self.info.codec

    def __enter__(self) -> Encoded:
        return self

    def __exit__(self, *_: object) -> None:
        if not isinstance(self.body, (bytes, memoryview)):
            self.body.close()


class Attachment:
    """Base of values that get a separate object if they are within another value: files."""


class Standalone:
    """Base of values that cannot be within another value: mapped sequences."""
