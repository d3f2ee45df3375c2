"""Positions of a mapped sequence's elements in its object.

Elements are stored in blocks. Blocks of similar content are padded to one length, so that a few numbers in
the reference tell where each block starts: one ranged GET reads any element, however many there are. If
lengths differ too much for that, an index within the object tells, which costs a second, small GET.

An example: from byte 10 on, three blocks of 500 elements, of about 60,000 bytes, and one of 480 elements.
The reference holds ``"start": 10, "runs": [[3, 500, 63750], [1, 480, 60010]]``: blocks, elements in each, and
bytes from one block to the next. Element 1,234 is in block 1234 // 500 = 2, which starts at byte
10 + 2 * 63,750 = 127,510, and has the number 1234 % 500 = 234 there.

A block ends in its check, which :mod:`include.s3_xcom.mapped.block_check` writes.

Cost of reading one element of ``rows`` of 100,000 rows (measured; 90 MB/s, 15 ms a round trip):

    with runs and padding       1 request      9 ms    object 7.8 MB    reference 515 bytes
    with runs, no padding       2 requests    17 ms    object 9.3 MB    reference 757 bytes
    with an index alone         2 requests    17 ms    object 9.6 MB    reference 484 bytes
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from include.s3_xcom.errors import BadReferenceError, FormatError
from include.s3_xcom.mapped.block_check import CHECK_BYTES, ending

BLOCK_BYTES = 64 * 1024
"""Bytes of a block of small elements: below this size, S3's latency outweighs the transfer."""

MAX_RUNS = 16
"""Runs of equal blocks in a layout, at most; with so many, a reference stays below 2 KiB."""

MAX_PADDING = 4096
"""Bytes of padding of the first block of a run, at most; later blocks may have twice as many."""

ENTRY_BYTES = 20
"""Bytes of an element's entry in the index: base64 of its block's offset, length, and first element."""


@dataclass(frozen=True)
class Run:
    """Blocks with equal numbers of elements, at equal distances.

    :param stride: bytes from the start of one block to that of the next
    """

    blocks: int
    elements: int
    stride: int


@dataclass(frozen=True)
class Block:
    """Consecutive elements.

    :param offset: position in the object, in bytes
    :param size: bytes, with padding
    :param first: number of its first element
    :param elements: number of its elements; 0 if only reading the block tells
    """

    offset: int
    size: int
    first: int
    elements: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Layout:
    """Positions of the blocks.

    :param length: number of elements
    :param start: position of the first block, in bytes
    :param index: position of the index, in bytes
    :param runs: runs of the blocks that need no index
    :param rest: CRC-32 of the bytes outside the blocks that the codec reads; None if it reads none
    """

    length: int
    start: int
    index: int
    runs: list[Run] = field(default_factory=list)
    rest: int | None = None

    @classmethod
    def from_json(cls, fields: Any) -> Layout:
        """Read what :meth:`to_json` returned.

        :raises BadReferenceError: if :meth:`to_json` cannot have returned it
        """
        try:
            runs = [Run(*numbers) for numbers in fields["runs"]]
            layout = cls(fields["length"], fields["start"], fields["index"], runs, fields.get("rest"))
            numbers = [layout.length, layout.start, layout.index, layout.rest or 0]
            numbers += [number for run in runs for number in asdict(run).values()]
            valid = all(type(number) is int and 0 <= number < 2**63 for number in numbers)
            valid = valid and all(run.elements and run.stride for run in runs)
        except (KeyError, TypeError, AttributeError):
            valid = False
        if not valid:
            raise BadReferenceError(
                "What the metadata database holds for this XCom has no layout that a push writes. Was the "
                "row edited by hand? Clear the task that pushed it, so that it runs again."
            )
        return layout

    def to_json(self) -> dict[str, Any]:
        fields = {**asdict(self), "runs": [list(asdict(run).values()) for run in self.runs]}
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def indexed_from(self) -> int:
        """Number of the first element that only the index finds; the length if there is no index."""
        return sum(run.blocks * run.elements for run in self.runs)

    @property
    def index_end(self) -> int:
        return self.entry(self.length)

    def find(self, number: int) -> Block | None:
        """Return the block that holds an element; None if only the index tells."""
        first, offset = 0, self.start
        for run in self.runs:
            if number < first + run.blocks * run.elements:
                nth = (number - first) // run.elements
                start = first + nth * run.elements
                return Block(offset + nth * run.stride, run.stride, start, run.elements)
            first += run.blocks * run.elements
            offset += run.blocks * run.stride
        return None

    def entry(self, number: int) -> int:
        """Return the position of an element's entry in the index, in bytes."""
        return self.index + ENTRY_BYTES * (number - self.indexed_from)


class Planner:
    """The plan of blocks that are written one after the other.

    :param start: position of the first block, in bytes
    :param pads: whether blocks may be padded; otherwise only blocks of the same size make a run
    :ivar rest: see :class:`Layout`
    """

    def __init__(self, start: int = 0, *, pads: bool = True) -> None:
        self._start = self._end = start
        self._max_padding = MAX_PADDING if pads else 0
        self._length = 0
        self._runs: list[list[int]] = []
        self._entries: list[bytes] = []
        self.rest: int | None = None

    @property
    def length(self) -> int:
        """Number of elements added."""
        return self._length

    @property
    def end(self) -> int:
        """Position of the end of the last block, in bytes."""
        return self._end

    def start_at(self, start: int) -> None:
        """Set the start of the first block, in bytes, if it became known only by writing."""
        self._start = self._end = start

    def skip(self, size: int) -> None:
        """Note the bytes written after the last block.

        :param size: their number
        """
        self._end += size

    @property
    def has_index(self) -> bool:
        """Return whether there are blocks that only the index finds."""
        return bool(self._entries)

    def layout(self, before_index: int = 0) -> Layout:
        """Return the layout of the blocks so far.

        :param before_index: bytes between the last block and the index
        """
        runs = [Run(*run) for run in self._runs]
        return Layout(self._length, self._start, self._end + before_index, runs, self.rest)

    def index(self) -> bytes:
        """Return the index, which is to be written after the last block."""
        return b"".join(self._entries)

    def is_full(self, elements: int, size: int, more: int) -> bool:
        """Return whether a block should be closed before one more element.

        :param elements: number of elements in the block
        :param size: bytes of these elements
        :param more: bytes of the next element
        """
        if elements == 0:
            return False
        _, expected, stride = self._current
        if elements < expected:
            return size + more > stride
        return size + more > BLOCK_BYTES or (elements == expected and self._fills(size))

    def add(self, elements: int, size: int) -> int:
        """Append a block.

        :return: the size in bytes to which it must be padded
        """
        continues = self._current[1] == elements and self._fills(size)
        block = Block(self._end, size, self._length)
        if self._entries or (not continues and len(self._runs) == MAX_RUNS):
            self._entries += [_to_entry(block)] * elements
        elif continues:
            self._runs[-1][0] += 1
            block = Block(self._end, self._runs[-1][2], self._length)
        else:
            padded = size + min(size // 16, self._max_padding)
            if elements > 1:  # these may fill the padded size of the run before
                padded = min(padded, BLOCK_BYTES + MAX_PADDING)
            block = Block(self._end, padded, self._length)
            self._runs.append([1, elements, block.size])
        self._end = block.end
        self._length += elements
        return block.size

    @property
    def _current(self) -> list[int]:
        return [0, 0, 0] if self._entries or not self._runs else self._runs[-1]

    def _fills(self, size: int) -> bool:
        """Return whether a block fits the length of the current run's blocks."""
        stride = self._current[2]
        return stride - 2 * min(stride // 16, self._max_padding) <= size <= stride


def gather(lines: Iterable[bytes], planner: Planner) -> Iterator[bytes]:
    """Write lines, one for each element, as sealed blocks."""
    block: list[bytes] = []
    size = CHECK_BYTES
    for line in lines:
        if planner.is_full(len(block), size, len(line)):
            yield b"".join(sealed(block, len(block), planner))
            block, size = [], CHECK_BYTES
        block.append(line)
        size += len(line)
    if block:
        yield b"".join(sealed(block, len(block), planner))


def sealed(
    pieces: Iterable[bytes | memoryview], elements: int, planner: Planner
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of one block: its content, padding and check.

    :param pieces: the content
    :param elements: number of elements in it
    """
    first, size = planner.length, 0
    crc = first & 0xFFFFFFFF
    for piece in pieces:
        yield piece
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        del piece
    yield ending(crc, planner.add(elements, size + CHECK_BYTES) - size)


_ENTRY = struct.Struct(">QQQ")


def _to_entry(block: Block) -> bytes:
    # 6 + 5 + 4 = 15 bytes, which base64 encodes without padding.
    packed = _ENTRY.pack(block.offset, block.size, block.first)
    return base64.b64encode(packed[2:8] + packed[11:16] + packed[20:24])


def from_entry(entry: bytes) -> Block:
    """Return the block that an entry of the index describes.

    :raises FormatError: if it is no entry
    """
    try:
        raw = base64.b64decode(entry, validate=True)
        return Block(*_ENTRY.unpack(b"\0\0" + raw[:6] + b"\0\0\0" + raw[6:11] + b"\0\0\0\0" + raw[11:]))
    except (ValueError, struct.error):
        raise FormatError("The stored index is damaged.") from None
