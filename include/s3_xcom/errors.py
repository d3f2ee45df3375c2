"""The errors of this package. Their messages hold names, types and addresses, never values."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

log = logging.getLogger(__name__)

MAX_STEPS = 12
"""How many steps of a path into a value are shown."""


class XComError(Exception):
    """Anything that keeps an XCom from being pushed or pulled as it is."""


class SettingError(XComError):
    """A setting or the Airflow connection is missing or makes no sense."""


class UnsupportedValueError(XComError, TypeError):
    """A value cannot be pushed without changing it.

    :param why: a phrase about the value that is at fault
    :param path: the way to it from the value that was pushed
    """

    def __init__(self, why: str, path: tuple[Any, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def inside(self, step: Any) -> UnsupportedValueError:
        """The same error, as the container of the value sees it."""
        return UnsupportedValueError(self.why, (step, *self.path))

    def renamed(self, names: Sequence[Any]) -> UnsupportedValueError:
        """The same error, with a name for the position that is its first step."""
        if not self.path:  # the container itself is at fault
            return self
        return UnsupportedValueError(self.why, (names[self.path[0]], *self.path[1:]))

    def __str__(self) -> str:
        steps = "".join(f"[{step!r:.60}]" for step in self.path[:MAX_STEPS])
        steps += "..." if len(self.path) > MAX_STEPS else ""
        return f"at value{steps}, {self.why}." if steps else f"{self.why}."


class BadReferenceError(XComError):
    """What lies in the metadata database is no reference, or one that must not be followed."""


class FormatError(XComError):
    """Stored bytes are not what their reference says they are."""


_READERS = ("polars", "pyarrow", "zipfile", "zlib")
"""Packages that read formats of whole files, and raise errors of their own where they cannot."""

_is_as_pushed: ContextVar[bool] = ContextVar("is_as_pushed", default=False)


@contextlib.contextmanager
def as_pushed(is_known: bool = True) -> Iterator[None]:
    """Decode within the block bytes that are known, by their checksum, to be those that were pushed.

    Then an error is no damage of the data, and :func:`decoding_error` does not say so.
    """
    token = _is_as_pushed.set(is_known)
    try:
        yield
    finally:
        _is_as_pushed.reset(token)


def decoding_error(error: Exception, what: str) -> Exception:
    """Return what an error comes out as that was raised while bytes from the bucket were decoded.

    Bytes that nobody has checked can be wrong in any way, and the message must not hold them: a FormatError.
    Of bytes that are as they were pushed, one as well if the library of the format cannot read them here; any
    other error is one of this program or of a user's class, and comes out as it is.

    :param what: a sentence for the message, without its full stop
    """
    if isinstance(error, (XComError, MemoryError)):
        return error
    kind = type(error).__name__
    # Without the error's own words, which may be values.
    log.debug("%s\n%s%s", what, "".join(traceback.format_tb(error.__traceback__)), kind)
    if not _is_as_pushed.get():
        return FormatError(f"{what} ({kind}).")
    library = type(error).__module__.partition(".")[0]
    if library not in _READERS:
        return error
    reader = f"{library} {getattr(sys.modules[library], '__version__', '')}".strip()
    return FormatError(
        f"It is as it was pushed, and {reader} on this machine cannot read it ({kind}). Pull it with the "
        "release that pushed it."
    )


@contextlib.contextmanager
def format_errors(codec: str) -> Iterator[None]:
    """Raise errors of decoding as :func:`decoding_error` says.

    :param codec: what the content should be
    """
    try:
        yield
    except Exception as error:
        raise decoding_error(error, f"The stored data is no valid {codec:.40}") from None


class MissingColumnError(XComError, KeyError):
    """A stored frame has no column of a label."""

    __str__ = Exception.__str__  # KeyError's puts the message in quotes


class StorageError(XComError):
    """S3 refused or failed a request."""


class DiskError(XComError, OSError):
    """This machine cannot keep a file that was pulled."""


class ObjectMissingError(StorageError):
    """The object a reference points to is not in the bucket."""


class IntegrityError(StorageError):
    """The object in the bucket is not the one that was pushed."""
