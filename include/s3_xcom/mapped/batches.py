"""``batches``: a DataFrame in batches of some rows each, or frames as they come.

The object is a Parquet file of the frame that is made of one whole Parquet file per batch
(:mod:`include.s3_xcom.codecs.parquet.joined_files`): a mapped task reads its batch as one file, other tools
read all. For frames of many columns in batches of few rows, it is an Arrow file
(:mod:`include.s3_xcom.mapped.record_batches`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

from include.s3_xcom import codecs
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.errors import as_pushed
from include.s3_xcom.mapped.ahead import ahead
from include.s3_xcom.mapped.block_check import unseal
from include.s3_xcom.mapped.layout import Planner
from include.s3_xcom.mapped.of_frame import OfFrame
from include.s3_xcom.mapped.remote import RemoteElements
from include.s3_xcom.mapped.sequence import EncodedSequence, Source
from include.s3_xcom.mapped.streams import FrameChunks, as_blocks
from include.s3_xcom.mapped.tabular import TAKEN, is_frame, to_pandas
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd

CODEC, WIDE_CODEC = "batches", "batches.arrow"


class Batches(OfFrame):
    """A DataFrame in batches, or the frames of an iterator. Made by :func:`batches`."""

    @classmethod
    def pulled(cls, store: Store, reference: Reference) -> Batches:
        """Return the sequence that a reference points to."""
        info = reference.info
        if info.codec == WIDE_CODEC:
            from include.s3_xcom.mapped.record_batches import RecordBatches

            return cls(RecordBatches(store, reference, info.shape[0]), info.type, info.shape)

        def load(body: bytes, number: int) -> pd.DataFrame:
            return codecs.decode("parquet", body, rows=info.shape[0])

        return cls(
            RemoteElements(store, reference, lambda block, first: [unseal(block, first)], load),
            info.type,
            info.shape,
        )

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the batches, of which a few are in memory at a time. Iterating over it does the same."""
        return iter(self)

    def _whole(self) -> pd.DataFrame:
        store, reference = self.stored.store, self.stored.reference
        body = store.get(reference)
        with as_pushed(reference.sha256 is not None):
            return whole(reference.info.codec, body, self.shape[0])

    def encode(self) -> EncodedSequence:
        from include.s3_xcom.codecs.parquet import frames, joined_files
        from include.s3_xcom.mapped import record_batches

        if self.stream is not None:
            planner = Planner()
            return EncodedSequence(
                CODEC, ".parquet", PARQUET, self.stream.pieces(planner, self._note_shape), planner
            )
        # The numbers of this table are the frame's memory, not a copy.
        frame, size = self._source.frame, self._source.size
        table = frames.to_table(frame)
        wide = record_batches.as_record_batch(table, len(self))
        if wide is not None:
            return record_batches.encode(wide, size)
        planner = Planner()

        def pieces() -> Iterator[bytes]:
            empty = frames.write(table.slice(0, 0))
            if not len(frame):  # pyarrow 19.0.0 cannot read a footer over no files
                yield bytes(empty)
                return
            footer = joined_files.Footer(empty)
            bodies = ahead(frames.write, frames.slices(table, len(frame), size))
            yield from as_blocks(([body] for body in bodies), footer, planner)
            yield planner.index()
            yield footer.to_bytes()

        return EncodedSequence(CODEC, ".parquet", PARQUET, pieces(), planner)

    def _note_shape(self, rows: int, columns: int) -> None:
        self.shape = [rows, columns]


def whole(codec: str, body: bytes, rows: int | None) -> pd.DataFrame:
    """Return the frame from the bytes of the whole object.

    :param rows: rows of the frame
    :raises FormatError: if no push can have written the bytes
    """
    if codec == WIDE_CODEC:
        from include.s3_xcom.codecs.parquet import frames

        return frames.from_table(codecs.decode("arrow", body))
    return codecs.decode("parquet", body, rows=rows)


class FrameBatches(Source):
    """The batches of a frame in this process."""

    def __init__(self, frame: pd.DataFrame, size: int) -> None:
        self.frame = frame
        self.size = size

    def __len__(self) -> int:
        return math.ceil(len(self.frame) / self.size)

    def get(self, number: int) -> pd.DataFrame:
        return self.frame.iloc[number * self.size : (number + 1) * self.size]


def batches(frame: Any, size: int | None = None) -> Batches:
    """Make batches of a table, to expand over: element i is a DataFrame with the i-th ``size`` rows.

    It also takes frames from an iterator, such as those of a query whose result is larger than memory:
    element i is then the i-th frame that has rows. Frames are written as they come, and must have the columns
    and dtypes of the first. One frame at a time is in memory, with the parts that are being sent.

    Frames of pyarrow and polars come back as DataFrames of Arrow's dtypes.

    :param frame: a pandas.DataFrame, pyarrow.Table or polars.DataFrame; or any iterable of them, such as a
        generator, ``hook.get_pandas_df_by_chunks()`` or a ``pyarrow.RecordBatchReader``
    :param size: rows in each batch, at least 1; the last one may have fewer. None, only for an iterable: each
        frame is a batch
    :raises TypeError: if frame is something else, or size is no integer
    :raises ValueError: if size is less than 1
    """
    if size is not None and type(size) is not int:
        raise TypeError(f"batches() takes an int for the size, not a {type(size).__name__}.")
    if size is not None and size < 1:
        raise ValueError(f"batches() needs at least 1 row in a batch, not {size}.")
    whole_frame = to_pandas(frame)
    kind = "batches" if size is None else f"batches of {size:,} rows"
    if whole_frame is None:
        if not isinstance(frame, Iterable) or (isinstance(frame, Sized) and not all(map(is_frame, frame))):
            raise TypeError(f"batches() takes {TAKEN}, or an iterable of them, not a {type(frame).__name__}.")
        return Batches(FrameChunks(frame, size), kind, [])
    if size is None:
        raise TypeError("batches() needs the number of rows in a batch: batches(frame, size).")
    return Batches(FrameBatches(whole_frame, size), kind, list(whole_frame.shape))
