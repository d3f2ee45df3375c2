"""The form of a tagged value: a JSON object with the reserved key."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.s3_xcom.reference import RESERVED

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def tag(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {RESERVED: name, "value": value, **fields}


def to_base64(data: bytes | memoryview) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(value: str) -> bytes:
    """Decode base64.

    :raises ValueError: if :func:`to_base64` did not write the text
    """
    data = binascii.a2b_base64(value)
    if to_base64(data) != value:  # much faster than base64.b64decode(value, validate=True)
        raise ValueError
    return data


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text, that is, it holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_list(value: Any) -> list:
    """Return the value itself.

    :raises TypeError: if it is no list
    """
    if type(value) is not list:
        raise TypeError
    return value


def as_str(value: Any) -> str:
    """Return the value itself.

    :raises TypeError: if it is no string
    """
    if type(value) is not str:
        raise TypeError
    return value


def type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


@dataclass(frozen=True)
class TaggedType:
    """A type that JSON cannot hold: its way out, and its way back.

    :param name: the tag
    :param types: classes whose values get the tag
    :param out: takes the encoder and a value, returns what JSON holds, usually a tag
    :param back: takes the tag's value, and its other fields by their names; returns the value
    :param exact: whether subclasses are other types
    :param scalar: whether a value is a single one: no container, and no data of any length
    """

    name: str
    types: tuple[type, ...]
    out: Callable[[Encoder, Any], Any]
    back: Callable[..., Any]
    exact: bool = True
    scalar: bool = True

    def fits(self, kind: type) -> bool:
        return kind in self.types if self.exact else issubclass(kind, self.types)


def singleton(name: str, value: Any) -> TaggedType:
    """Describe the type of a value that is the only one of its type."""
    return TaggedType(name, (type(value),), lambda encoder, _: tag(name, None), lambda **_: value)
