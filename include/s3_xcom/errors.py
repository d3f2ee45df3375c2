"""The errors of this package. Their messages hold names, types and addresses, never values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

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


@contextlib.contextmanager
def format_errors(codec: str) -> Iterator[None]:
    """What lies in a bucket can be wrong in any way; its content must not get into the message.

    :param codec: what the content should be
    :raises FormatError: in place of any error of a library's
    """
    try:
        yield
    except XComError:
        raise
    except Exception as error:
        raise FormatError(f"The stored data is no valid {codec:.40} ({type(error).__name__}).") from None


class StorageError(XComError):
    """S3 refused or failed a request."""


class DiskError(XComError, OSError):
    """This machine cannot keep a file that was pulled."""


class ObjectMissingError(StorageError):
    """The object a reference points to is not in the bucket."""


class IntegrityError(StorageError):
    """The object in the bucket is not the one that was pushed."""
