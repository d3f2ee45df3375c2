"""What a codec makes of a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(frozen=True)
class Encoded:
    """A value as the bytes of an object.

    :param codec: name of the codec, by which the object is decoded
    :param body: the bytes, or a stream of them
    :param size: of the body, in bytes
    :param suffix: of the object's key, with its dot
    :param type: name of the value's type, for people
    :param shape: rows and columns, or the length; for people
    :param name: of the file, if it is one
    :param compression: of the body; None: not compressed
    :param raw_size: of the body before compression, in bytes
    :param files: how many files the value holds, which have objects of their own
    """

    codec: str
    body: bytes | memoryview | BinaryIO
    size: int
    suffix: str
    content_type: str
    type: str
    shape: list[int] = field(default_factory=list)
    name: str | None = None
    compression: str | None = None
    raw_size: int | None = None
    files: int = 0

    def __enter__(self) -> Encoded:
        return self

    def __exit__(self, *_: object) -> None:
        if not isinstance(self.body, (bytes, memoryview)):
            self.body.close()
