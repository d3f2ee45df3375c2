"""What a codec makes of a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from include.s3_xcom.reference import ObjectInfo


@dataclass(frozen=True)
class Encoded:
    """A value as the bytes of an object.

    :param info: what the object is
    :param body: the bytes, or a stream of them
    :param size: of the body, in bytes
    :param suffix: of the object's key, with its dot
    :param media_type: of the object, for its Content-Type
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
