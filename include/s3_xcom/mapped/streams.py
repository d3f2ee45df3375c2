"""Elements of an iterator, such as the chunks of a query: more than memory holds.

Each is written when it comes. Their number is known once they are pushed; from then on the sequence reads the
stored object.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from include.s3_xcom.codecs.tagged_json.tags import type_name
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.interruptions import handled_within, heard
from include.s3_xcom.mapped.layout import Planner, sealed
from include.s3_xcom.mapped.tabular import TAKEN, to_pandas
from include.s3_xcom.on_airflow.execution_timeout import ExecutionTimeout
from include.s3_xcom.private_files import disk_errors, new_directory, write_all

if TYPE_CHECKING:
    import pandas as pd

    from include.s3_xcom.codecs.parquet.chunks import Chunks
    from include.s3_xcom.codecs.parquet.joined_files import Footer
    from include.s3_xcom.mapped.sequence import EncodedSequence

log = logging.getLogger(__name__)

_READ_BYTES = 1024 * 1024

_END = object()


def as_blocks(
    files: Iterable[Iterable[bytes | memoryview]], footer: Footer, planner: Planner
) -> Iterator[bytes | memoryview]:
    """Write Parquet files as sealed blocks, and note each in the footer over all.

    :param files: pieces of each file; the last piece holds its footer
    """
    for pieces in files:
        start = planner.end
        last: list[bytes | memoryview] = [b""]
        yield from sealed(_noting_last(pieces, last), 1, planner)
        footer.append(last.pop(), start)


def _noting_last(pieces: Iterable[Any], last: list[Any]) -> Iterator[Any]:
    for piece in pieces:
        last[0] = piece
        yield piece


class Stream:
    """Elements of an iterator, which can be taken once.

    :ivar check_length: called with the number of elements whenever one more has come
    :ivar length: number of elements; None until they have come
    """

    length: int | None = None

    def __init__(self, elements: Iterable[Any]) -> None:
        self._elements: Iterable[Any] | None = elements
        self._taking: Iterator[Any] = iter(())
        self._timeout = ExecutionTimeout.running()
        self.check_length: Callable[[int], None] = lambda length: None

    def take(self) -> Iterator[Any]:
        """Yield the elements.

        :raises UnsupportedValueError: the second time
        """
        elements, self._elements = self._elements, None
        if elements is None:
            raise UnsupportedValueError(
                "its elements were taken by a push before, which failed. Make them anew"
            )
        self._taking = self._taken(elements)
        return self._taking

    def _taken(self, elements: Iterable[Any]) -> Iterator[Any]:
        """Yield the elements. A generator is closed at the end; an error of closing it hides no other."""
        with handled_within():
            source = iter(elements)
        try:
            while True:
                with self._timeout.applied() if self._timeout else nullcontext(), handled_within():
                    element = next(source, _END)
                if element is _END:
                    return
                yield element
        finally:
            if inspect.isgenerator(source):
                try:
                    with handled_within():
                        source.close()
                except Exception as error:  # its text may hold values
                    log.warning(
                        "The generator of the elements failed when closed (%s).", type(error).__name__
                    )

    def close(self) -> None:
        """Tell the maker of the elements that no more are wanted, for instance after a push that failed."""
        close = getattr(self._taking, "close", None)
        if close is not None:
            close()

    def refuse(self, *_: Any) -> NoReturn:
        """Say that no element can be read.

        :raises TypeError: always
        """
        raise TypeError("Its elements come while it is pushed. Return it from the task, and pull it.")

    get = span = refuse


class Spooled(Stream):
    """Elements whose number was asked before their push: their bytes are in a file on this machine.

    Airflow 3 asks for it before the push of a result that other tasks are expanded over.

    :param encoded: the sequence; its pieces are taken
    """

    def __init__(self, encoded: EncodedSequence) -> None:
        super().__init__(())
        self._encoded = encoded
        size = 0
        with self._errors(size):
            self._file = new_directory(self) / "elements"
            file = self._file.open("wb", 0)
        with heard(), file:
            for piece in encoded.pieces:
                size += len(piece)
                with self._errors(size):
                    write_all(file, piece)
        self.length = encoded.planner.length

    def _errors(self, size: int) -> Any:
        what = "The elements are counted before they are pushed, and cannot be kept on this machine for that"
        return disk_errors(what, size)

    def encoded(self) -> EncodedSequence:
        """Return the sequence, with its pieces read from the file."""
        return dataclasses.replace(self._encoded, pieces=self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                yield piece


class FrameChunks(Stream):
    """Frames of an iterator.

    :param size: rows to which they are cut again; None: each stays as it is
    """

    def __init__(self, chunks: Iterable[Any], size: int | None) -> None:
        super().__init__(chunks)
        self._size = size

    def pieces(self, planner: Planner, note_shape: Callable[[int, int], None]) -> Iterator[bytes]:
        """Yield the bytes of one Parquet file that is made of one whole file for each frame.

        :param planner: gets a block for each frame
        :param note_shape: called at the end with the numbers of rows and columns
        :raises UnsupportedValueError: for a frame that cannot be pushed, or is not like the first
        """
        import pandas as pd

        from include.s3_xcom.codecs.parquet import chunks, frames, joined_files

        alike = chunks.Chunks()
        with_rows = _as_frames(self.take(), alike)
        first = next(with_rows, pd.DataFrame())
        empty = bytes(frames.write(alike.table(first).slice(0, 0)))
        given = itertools.chain([first] if len(first) else [], with_rows)
        wanted = given if self._size is None else _cut_anew(given, self._size)
        parts, width = _Parts(), first.shape[1]
        footer = joined_files.Footer(empty)
        del first

        def files() -> Iterator[Iterable[bytes | memoryview]]:
            # One at a time: the iterator may reuse one buffer for all frames.
            for table, rows in _tables(wanted, alike):
                self.check_length(len(parts) + 1)
                parts.add(rows, table.schema.metadata[frames.METADATA_KEY])
                yield frames.write_by_size(table)

        yield from as_blocks(files(), footer, planner)
        note_shape(parts.rows, width)
        if not len(parts):
            yield empty
            return
        yield planner.index()
        footer.note(frames.PARTS_KEY, parts.to_json())
        yield footer.to_bytes()


def _as_frames(chunks: Iterator[Any], alike: Chunks) -> Iterator[pd.DataFrame]:
    """Yield frames with rows; if there are none, the first without. That one may have any dtypes."""
    without_rows = None
    has_rows = False
    for number, chunk in enumerate(chunks):
        frame = to_pandas(chunk)
        try:
            if frame is None:
                raise UnsupportedValueError(
                    f"a {type_name(type(chunk))} is no chunk of a table. Yield {TAKEN}"
                )
            if not len(frame):
                without_rows = frame if without_rows is None else without_rows
                continue
            alike.check(frame)
        except UnsupportedValueError as error:
            raise error.inside(number) from None
        has_rows = True
        yield frame
    if without_rows is not None and not has_rows:
        yield without_rows


def _cut_anew(given: Iterator[pd.DataFrame], size: int) -> Iterator[pd.DataFrame]:
    """Yield frames of ``size`` rows each, with consecutive row numbers if their indexes are ranges."""
    import pandas as pd

    from include.s3_xcom.codecs.parquet import frames

    held: list[pd.DataFrame] = []
    count = start = 0
    for frame in itertools.chain(given, [None]):
        if frame is not None:
            held.append(frame.copy())  # the iterator may reuse its buffer
            count += len(frame)
        while count >= size or (frame is None and count):
            whole = frames.joined(held)
            part, held = whole.iloc[:size], [whole.iloc[size:]]
            if type(part.index) is pd.RangeIndex:
                numbers = pd.RangeIndex(start, start + len(part), name=part.index.name)
                part = part.set_axis(numbers, axis=0)
            start += len(part)
            count -= len(part)
            yield part


def _tables(frames: Iterator[pd.DataFrame], alike: Chunks) -> Iterator[Any]:
    for number, frame in enumerate(frames):
        try:
            table = alike.table(frame)
        except UnsupportedValueError as error:
            raise error.inside(number) from None
        yield table, len(frame)


class _Parts:
    """The metadata of each frame of a file. Equal metadata is stored once."""

    def __init__(self) -> None:
        self.rows = 0
        self._numbers: dict[bytes, int] = {}
        self._parts: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, rows: int, meta: bytes) -> None:
        self.rows += rows
        self._parts.append((rows, self._numbers.setdefault(meta, len(self._numbers))))

    def to_json(self) -> bytes:
        import json

        return json.dumps({"texts": [text.decode() for text in self._numbers], "parts": self._parts}).encode()
