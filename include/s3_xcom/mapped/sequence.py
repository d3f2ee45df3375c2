"""Base of mapped sequences. They are read-only, and move data only for the elements asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.codec import Standalone
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.mapped.layout import Planner
from include.s3_xcom.mapped.remote import RemoteElements
from include.s3_xcom.mapped.streams import Spooled, Stream
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.store import Store

CHUNK_ELEMENTS = 1000
"""Elements encoded at a time."""


def lines(values: Iterable[Any], at_once: int = CHUNK_ELEMENTS) -> Iterator[bytes]:
    """Yield values as lines of JSON text.

    :param at_once: values taken before they are encoded
    :raises UnsupportedValueError: if one would come back changed
    """
    source, start = iter(values), 0
    while chunk := list(itertools.islice(source, at_once)):
        try:
            yield from tagged_json.dumps_lines(chunk)
        except UnsupportedValueError as error:
            raise UnsupportedValueError(error.why, (error.path[0] + start, *error.path[1:])) from None
        start += len(chunk)


class Source(Protocol):
    """A source of elements: a value in this process, or an object in S3."""

    def __len__(self) -> int: ...

    def get(self, number: int) -> Any: ...

    def span(self, start: int, stop: int) -> Iterator[Any]:
        return map(self.get, range(start, stop))


@dataclass(frozen=True)
class EncodedSequence:
    """A mapped sequence as the bytes of an object, which come in pieces.

    :param planner: knows the layout once the last piece has come
    :param before_index: bytes between the last block and the index
    """

    codec: str
    suffix: str
    media_type: str
    pieces: Iterator[bytes]
    planner: Planner
    before_index: int = 0

    @property
    def layout(self) -> dict[str, Any]:
        return self.planner.layout(self.before_index).to_json()


class Mapped(Standalone, Sequence):
    """A sequence for ``expand``: each mapped task moves only its element.

    :param source: source of the elements
    :param type: name of what it is, for display
    :param shape: rows and columns, or the length; for display; empty until they are known
    """

    DIMENSIONS = 2
    """Numbers in the shape."""

    def __init__(self, source: Source, type: str, shape: list[int]) -> None:  # noqa: A002
        self._source = source
        self.type = type
        self.shape = shape

    @property
    def stream(self) -> Stream | None:
        """Elements that come while it is pushed; None if they are there already."""
        return self._source if isinstance(self._source, Stream) else None

    @property
    def stored(self) -> RemoteElements | None:
        """Elements in S3; None if the sequence was not pulled."""
        return self._source if isinstance(self._source, RemoteElements) else None

    @classmethod
    def pulled(cls, store: Store, reference: Reference) -> Mapped:
        """Return the sequence that a reference points to."""
        raise NotImplementedError

    def pushed(self, store: Store, reference: Reference) -> None:
        """Read from the object from now on if the elements came during the push: they are nowhere else."""
        if self.stream is not None:
            self._source = type(self).pulled(store, reference)._source

    def encode(self) -> EncodedSequence:
        """Return the sequence as the bytes of an object.

        :raises UnsupportedValueError: if an element would come back changed, at the latest from the pieces
        """
        raise NotImplementedError

    def encoded(self) -> EncodedSequence:
        """Encode it as :meth:`encode` does, or read it from this machine's disk if it was written there."""
        return self.stream.encoded() if isinstance(self.stream, Spooled) else self.encode()

    def __reduce__(self) -> Any:
        if self.stream is not None:
            raise TypeError("Its elements come while it is pushed, and not to another process.")
        if self.stored is None:
            return type(self), (self._source, self.type, self.shape)
        from include.s3_xcom.pull import pull_reference

        return pull_reference, (self.stored.reference,)

    def __len__(self) -> int:
        """Return the number of elements. Elements of an iterator are taken now, and written to this disk."""
        if self.stream is None:
            return len(self._source)
        if self.stream.length is None:
            self._source = Spooled(self.encode())
        return self.stream.length

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._slice(range(*index.indices(len(self))))
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"{self!r} has no element {index}.")
        return self._source.get(number)

    def _slice(self, numbers: range) -> list[Any]:
        if not numbers:
            return []
        low, high = min(numbers), max(numbers)
        elements = [x for i, x in enumerate(self._source.span(low, high + 1), low) if i in numbers]
        return elements if numbers.step > 0 else elements[::-1]

    def __iter__(self) -> Iterator[Any]:
        return self._source.span(0, len(self))

    def __contains__(self, value: object) -> bool:
        return any(_same(element, value) for element in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        if isinstance(other, Mapped) and self.stored and other.stored:
            mine, others = self.stored.reference, other.stored.reference
            if (mine.address, mine.etag) == (others.address, others.etag):
                return True
        return len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None

    def __repr__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.shape) or "not pushed yet"
        return f"{self.type} ({shape})" + (f" at {self.stored.reference.address}" if self.stored else "")


def _same(one: Any, other: Any) -> bool:
    """Return whether two elements are equal; frames and arrays are compared as a whole."""
    if type(one) is not type(other) and (hasattr(one, "__array__") or hasattr(other, "__array__")):
        return False
    if hasattr(one, "equals"):
        return one.equals(other)
    if hasattr(one, "__array__"):
        import numpy as np

        return np.array_equal(one, other)
    return one == other
