"""Errors of this package. Their messages hold names, types and addresses, never values."""

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
"""Steps shown of a path into a value, at most."""


class XComError(Exception):
    """Base of the errors that keep an XCom from being pushed or pulled as it is."""


class SettingError(XComError):
    """A setting or an Airflow connection that is missing or makes no sense."""


class UnsupportedValueError(XComError, TypeError):
    """A value that cannot be pushed without changing it.

    :param why: a phrase about the value that is at fault
    :param path: the steps to it from the value that was pushed
    """

    def __init__(self, why: str, path: tuple[Any, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def inside(self, step: Any) -> UnsupportedValueError:
        """Return a copy of this error with ``step`` in front of its path."""
        return UnsupportedValueError(self.why, (step, *self.path))

    def renamed(self, names: Sequence[Any]) -> UnsupportedValueError:
        """Return a copy of this error whose first step is a name instead of a position."""
        if not self.path:  # the container itself is at fault
            return self
        return UnsupportedValueError(self.why, (names[self.path[0]], *self.path[1:]))

    def __str__(self) -> str:
        steps = "".join(f"[{step!r:.60}]" for step in self.path[:MAX_STEPS])
        steps += "..." if len(self.path) > MAX_STEPS else ""
        return f"at value{steps}, {self.why}." if steps else f"{self.why}."


class BadReferenceError(XComError):
    """A value in the metadata database that is no reference, or one that must not be followed."""


class FormatError(XComError):
    """Stored bytes that are not in the format that their reference says."""


_READERS = ("polars", "pyarrow", "zipfile", "zlib")
"""Packages that read formats of whole files, and raise their own errors if they cannot."""

_is_as_pushed: ContextVar[bool] = ContextVar("is_as_pushed", default=False)


@contextlib.contextmanager
def as_pushed(is_known: bool = True) -> Iterator[None]:
    """Mark the bytes decoded within the block as those that were pushed, which their checksum shows.

    An error is then no damage of the data, and :func:`decoding_error` does not say so.
    """
    token = _is_as_pushed.set(is_known)
    try:
        yield
    finally:
        _is_as_pushed.reset(token)


def decoding_error(error: Exception, what: str) -> Exception:
    """Return the error to raise for one that was raised while bytes from the bucket were decoded.

    Unchecked bytes can be wrong in any way, and the message must not hold them: it is a FormatError. For
    bytes that are as they were pushed, it is a FormatError if the library of the format cannot read them
    here. Any other error is a fault of this program or of a user's class, and is returned as it is.

    :param what: a sentence for the message, without its full stop
    """
    if isinstance(error, (XComError, MemoryError)):
        return error
    kind = type(error).__name__
    # The error's text is left out: it may hold values.
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

    :param codec: name of the format that the content should have
    """
    try:
        yield
    except Exception as error:
        raise decoding_error(error, f"The stored data is no valid {codec:.40}") from None


class MissingColumnError(XComError, KeyError):
    """A label for which a stored frame has no column."""

    __str__ = Exception.__str__  # that of KeyError quotes the message


class StorageError(XComError):
    """A request that S3 refused or failed."""


class DiskError(XComError, OSError):
    """A disk of this machine that cannot keep a file that was pulled."""


class ObjectMissingError(StorageError):
    """An object that a reference points to and the bucket lacks."""


class IntegrityError(StorageError):
    """An object in the bucket that is not the one that was pushed."""
