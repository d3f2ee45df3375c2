"""Batches of a wide frame: an Arrow IPC file with one record batch for each batch.

Parquet repeats the schema and describes each column in every file, with 500 bytes a column: more than the
data, if there are many columns and few rows. Here the schema is stored once, and a column of a batch costs
some 60 bytes::

    ARROW1 | schema, dictionaries | batch 0 | batch 1 | ... | schema, dictionaries, index | footer
           |<------- head ------->|<-block->|

If blocks have so many sizes that there is an index, the head is stored again before it. So a batch is read by
two requests, one for the head and the index after it, one for the block. Head and block together are an Arrow
stream. https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from include.s3_xcom.codecs.codec import ARROW
from include.s3_xcom.codecs.parquet import frames
from include.s3_xcom.codecs.sink import Sink
from include.s3_xcom.errors import FormatError
from include.s3_xcom.mapped.batches import WIDE_CODEC
from include.s3_xcom.mapped.block_check import AlteredError
from include.s3_xcom.mapped.layout import BLOCK_BYTES, ENTRY_BYTES, Block, Planner, from_entry
from include.s3_xcom.mapped.remote import RemoteElements
from include.s3_xcom.mapped.sequence import EncodedSequence
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd

PARQUET_COLUMN_BYTES = 500
"""Bytes that Parquet writes about each column of a batch."""

T = TypeVar("T")

_CHECK = b"s3_xcom_check"
"""Key in a record batch's metadata of its check, a decimal number. pyarrow 10 has no such metadata."""

_HAS_CHECKS = hasattr(pa.ipc.RecordBatchStreamReader, "read_next_batch_with_custom_metadata")

MAGIC_BYTES = 8
"""Bytes before the messages of an Arrow file; the messages are those of a stream."""

_LENGTH = struct.Struct("<4xi")
_END = b"\xff\xff\xff\xff\0\0\0\0"


def as_record_batch(table: pa.Table, batches: int) -> pa.RecordBatch | None:
    """Return a table as one record batch; None if Parquet would describe its columns in little space.

    :param table: table of a frame, from :func:`frames.to_table`
    :param batches: number of batches it will have
    """
    description = PARQUET_COLUMN_BYTES * table.num_columns
    if not batches or description < BLOCK_BYTES / 2 or description * 4 < table.nbytes / batches:
        return None
    columns = table.combine_chunks().columns
    if any(column.num_chunks != 1 for column in columns):  # texts of more than 2 GiB
        return None
    return pa.RecordBatch.from_arrays([column.chunk(0) for column in columns], schema=table.schema)


def encode(rows: pa.RecordBatch, size: int) -> EncodedSequence:
    """Return a table in batches, as the bytes of an object.

    :param rows: the whole table, from :func:`as_record_batch`
    :param size: rows in each batch
    """
    planner = Planner(pads=False)  # padding would shift the offsets that the writer counts
    sink = Sink()

    def pieces() -> Iterator[bytes]:
        with pa.ipc.new_file(sink, rows.schema) as writer:
            # Dictionaries come before the first record batch, so an empty one puts them into the head.
            writer.write_batch(rows.slice(0, 0))
            head = sink.take()
            planner.start_at(len(head))
            planner.rest = zlib.crc32(head[MAGIC_BYTES:])
            yield head
            for number, first in enumerate(range(0, rows.num_rows, size)):
                batch = rows.slice(first, size)
                writer.write_batch(batch, **_checked(batch, number))
                planner.add(1, sink.tell() - planner.end)
                yield sink.take()
            if planner.has_index:
                planner.skip(sink.write(head[MAGIC_BYTES:]))
                sink.write(planner.index())
        yield sink.take()

    return EncodedSequence(WIDE_CODEC, ".arrow", ARROW, pieces(), planner)


class RecordBatches(RemoteElements):
    """The batches of one object.

    :param rows: rows of the frame
    """

    def __init__(self, store: Store, reference: Reference, rows: int) -> None:
        super().__init__(store, reference, lambda block, first: [block], self._load_batch)
        self._rows = rows
        self._head = b""

    def _find(self, number: int) -> Block:
        block = self.layout.find(number)
        if block is None:
            # One request reads the head and the entry of the index.
            length = self.layout.start - MAGIC_BYTES
            entry = self.layout.entry(number)
            data = self.part(self.layout.index - length, entry + ENTRY_BYTES)
            self._head, block = data[:length], from_entry(data[-ENTRY_BYTES:])
        return block

    def _load_batch(self, block: bytes, number: int) -> pd.DataFrame:
        self._head = self._head or self.part(MAGIC_BYTES, self.layout.start)
        if zlib.crc32(self._head) != self.layout.rest:
            raise AlteredError
        return load_batch(self._head, block, number, len(self), self._rows)


def load_batch(head: bytes, block: bytes, number: int, batches: int, rows: int) -> pd.DataFrame:
    """Return one batch.

    :param head: bytes of the head, without the magic number
    :param number: number of the batch
    :param batches: number of batches in the object
    :param rows: rows of the frame
    :raises AlteredError: if the block is not the one that was pushed
    :raises FormatError: if :func:`encode` cannot have written the bytes
    """
    table = pa.Table.from_batches([_read_batch(head, block, number)])
    table.validate(full=True)  # offsets in a damaged file may point outside of its buffers
    if table.num_rows > rows:
        raise FormatError("The stored batch has more rows than were pushed.")
    is_last = number == batches - 1
    return frames.from_table(table, rows - table.num_rows if is_last else number * table.num_rows)


def _read_batch(head: bytes, block: bytes, number: int) -> pa.RecordBatch:
    try:
        with pa.ipc.open_stream(pa.BufferReader(head + block + _END)) as reader:
            if not _HAS_CHECKS:
                return _second(reader)
            batch, noted = _second(reader.iter_batches_with_custom_metadata())
            if noted is not None and noted[_CHECK] != str(_check_of(block, number)).encode():
                raise AlteredError
            return batch
    except (pa.ArrowException, OSError, struct.error) as error:
        raise FormatError(f"The stored batch cannot be read ({type(error).__name__}).") from None


def _second(batches: Iterable[T]) -> T:
    """Return the second of two batches: the first is the empty one of the head.

    :raises AlteredError: if there are not two: a changed byte can make Arrow see the end of the stream
    """
    found = list(batches)
    if len(found) != 2:
        raise AlteredError
    return found[1]


def _checked(batch: pa.RecordBatch, number: int) -> dict[str, Any]:
    """Return the argument that writes a batch with its check."""
    return {"custom_metadata": {_CHECK: str(_check_of(batch.serialize(), number))}} if _HAS_CHECKS else {}


def _check_of(message: bytes | pa.Buffer, number: int) -> int:
    """Return the CRC-32 of a message's body, starting from the number of the batch.

    A message is ``FFFFFFFF``, the length of its metadata in 4 bytes, the metadata, and the body.
    """
    data = memoryview(message).cast("B")
    (length,) = _LENGTH.unpack_from(data)
    return zlib.crc32(data[_LENGTH.size + length :], number)
