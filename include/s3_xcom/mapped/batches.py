"""``batches(frame, size)``: a DataFrame in pieces of some rows each.

The object is a Parquet file of the frame that is made of one whole Parquet file a batch
(:mod:`include.s3_xcom.codecs.parquet.joined_files`): a mapped task reads its own batch as one, other tools
read all. For frames of many columns, in batches of few rows, it is an Arrow file
(:mod:`include.s3_xcom.mapped.record_batches`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.s3_xcom import codecs
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.mapped.ahead import ahead
from include.s3_xcom.mapped.layout import Planner
from include.s3_xcom.mapped.remote import RemoteElements
from include.s3_xcom.mapped.sequence import EncodedSequence, Mapped
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd

CODEC, WIDE_CODEC = "batches", "batches.arrow"

_PADDING = b"\0"  # no Parquet file ends in it


class Batches(Mapped):
    """A DataFrame in pieces. Made by :func:`batches`."""

    @classmethod
    def pulled(cls, store: Store, reference: Reference) -> Batches:
        """The sequence that a reference points to."""
        info = reference.info
        if info.codec == WIDE_CODEC:
            from include.s3_xcom.mapped.record_batches import RecordBatches

            return cls(RecordBatches(store, reference, info.shape[0]), info.type, info.shape)

        def load(body: bytes, number: int) -> pd.DataFrame:
            return codecs.decode("parquet", body.rstrip(_PADDING), rows=info.shape[0])

        return cls(RemoteElements(store, reference, lambda body: [body], load), info.type, info.shape)

    def to_frame(self) -> pd.DataFrame:
        """The frame itself, with its dtypes and index.

        :raises StorageError: if S3 does not give it
        """
        stored = self.stored
        if stored is None:
            return self._source.frame.copy()
        return whole(stored.reference.info.codec, stored.store.get(stored.reference), self.shape[0])

    def encode(self) -> EncodedSequence:
        from include.s3_xcom.codecs.parquet import frames, joined_files
        from include.s3_xcom.mapped import record_batches

        # Its numbers are the frame's own, not copied.
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
            offset = 0
            for body in ahead(frames.write, frames.slices(table, len(frame), size)):
                footer.append(body, offset)
                padded = planner.add(1, len(body))
                yield bytes(body).ljust(padded, _PADDING)
                offset += padded
            yield planner.index()
            yield footer.to_bytes()

        return EncodedSequence(CODEC, ".parquet", PARQUET, pieces(), planner)


def whole(codec: str, body: bytes, rows: int | None) -> pd.DataFrame:
    """The frame, from the bytes of the whole object.

    :param rows: of the frame
    :raises FormatError: if they are nothing that a push writes
    """
    if codec == WIDE_CODEC:
        from include.s3_xcom.mapped import record_batches

        return record_batches.whole(body)
    return codecs.decode("parquet", body, rows=rows)


class FrameBatches:
    """The pieces of a frame of this process."""

    def __init__(self, frame: pd.DataFrame, size: int) -> None:
        self.frame = frame
        self.size = size

    def __len__(self) -> int:
        return math.ceil(len(self.frame) / self.size)

    def get(self, number: int) -> pd.DataFrame:
        return self.frame.iloc[number * self.size : (number + 1) * self.size]

    def span(self, start: int, stop: int) -> Iterator[pd.DataFrame]:
        return map(self.get, range(start, stop))


def batches(frame: pd.DataFrame, size: int) -> Batches:
    """A DataFrame in pieces, to expand over: element i is a DataFrame with the i-th ``size`` rows.

    :param size: rows in each piece, at least 1; the last one may have fewer
    :raises TypeError: if it is no DataFrame, or size is no integer
    :raises ValueError: if size is less than 1
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"batches() takes a pandas.DataFrame, not a {type(frame).__name__}.")
    if type(size) is not int:
        raise TypeError(f"batches() takes an int for the size, not a {type(size).__name__}.")
    if size < 1:
        raise ValueError(f"batches() needs at least 1 row in a batch, not {size}.")
    return Batches(FrameBatches(frame, size), f"batches of {size:,} rows", list(frame.shape))
