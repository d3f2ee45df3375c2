"""``rows(frame)``: the rows of a DataFrame, each a dict of Python values.

The object is a Parquet file of the frame. Its rows are stored again between its data and its footer, as lines
of tagged JSON, which readers of Parquet skip: a mapped task reads its row there without pandas.
https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

import datetime
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.errors import UnsupportedValueError, as_pushed
from include.s3_xcom.mapped.block_check import lines_of
from include.s3_xcom.mapped.layout import Planner, gather
from include.s3_xcom.mapped.of_frame import OfFrame
from include.s3_xcom.mapped.remote import RemoteElements
from include.s3_xcom.mapped.sequence import CHUNK_ELEMENTS, EncodedSequence, lines
from include.s3_xcom.mapped.tabular import TAKEN, to_pandas
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.errors import altered
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd


class Rows(OfFrame):
    """The rows of a DataFrame. Made by :func:`rows`."""

    @classmethod
    def pulled(cls, store: Store, reference: Reference) -> Rows:
        """Return the sequence that a reference points to."""
        return cls(
            RemoteElements(store, reference, lines_of, lambda line, _: tagged_json.loads(line)),
            reference.info.type,
            reference.info.shape,
        )

    def _whole(self) -> pd.DataFrame:
        stored = self.stored
        layout = stored.layout
        body = stored.part(0, layout.start) + stored.part(layout.index_end, stored.reference.size)
        if zlib.crc32(body) != layout.rest:
            raise altered(stored.reference)
        with as_pushed():
            return codecs.decode("parquet", body, rows=self.shape[0])

    def encode(self) -> EncodedSequence:
        from include.s3_xcom.codecs.parquet import frames, joined_files

        parquet = frames.write(frames.to_table(self._source.frame))
        cut = joined_files.footer_start(parquet)
        planner = Planner(cut)
        planner.rest = zlib.crc32(parquet)

        def pieces() -> Iterator[bytes]:
            yield parquet[:cut]
            yield from gather(self._lines(), planner)
            yield planner.index()
            yield parquet[cut:]

        return EncodedSequence("rows", ".parquet", PARQUET, pieces(), planner)

    def _lines(self) -> Iterator[bytes]:
        source = self._source
        if not tagged_json.are_plain_names(source.names):
            yield from lines(self)
            return
        first = 0
        for columns, count in source.columns(0, len(source)):
            try:
                texts = tagged_json.dumps_table(source.names, columns)
            except UnsupportedValueError as error:
                raise UnsupportedValueError(error.why, (error.path[0] + first, *error.path[1:])) from None
            yield from (f"{text}\n".encode() for text in texts)
            first += count


class FrameRows:
    """The rows of a frame in this process."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.names = list(frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    def get(self, number: int) -> dict[str, Any]:
        return next(self.span(number, number + 1))

    def span(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        for columns, count in self.columns(start, stop):
            for values in zip(*columns) if columns else [()] * count:
                yield dict(zip(self.names, values))

    def columns(self, start: int, stop: int) -> Iterator[tuple[list[list[Any]], int]]:
        """Yield some rows at a time by columns, with the number of rows."""
        for first in range(start, stop, CHUNK_ELEMENTS):
            part = self.frame.iloc[first : min(first + CHUNK_ELEMENTS, stop)]
            yield [self._python_values(part.iloc[:, i]) for i in range(part.shape[1])], len(part)

    def _python_values(self, column: pd.Series) -> list[Any]:
        try:
            return _python_values(column)
        # Errors of pandas and pyarrow derive from these; an unknown zone is a KeyError.
        except (ValueError, OverflowError, KeyError) as error:
            raise UnsupportedValueError(
                f"rows() gives Python's own values, which cannot hold one of its dtype {column.dtype} "
                f"({type(error).__name__}). Cast the column, or return batches(frame, size)",
                (column.name,),
            ) from None


def rows(frame: Any) -> Rows:
    """Make a sequence of a table's rows to expand over: element i is row i as a dict by column name.

    The values are Python's: None for a missing one, datetime with its zone, int in columns of integers also
    beside None if the dtype keeps integers (``Int64``, ``object``, Arrow's). A Timestamp or Timedelta with
    nanoseconds stays one. ``to_frame()`` gives a DataFrame; of Arrow's dtypes for pyarrow and polars.

    :param frame: a pandas.DataFrame, pyarrow.Table or polars.DataFrame
    :raises TypeError: if it is something else, or the name of a column is no string
    :raises ValueError: if two columns have the same name, or a time of day of Arrow's has nanoseconds
    """
    given, frame = frame, to_pandas(frame)
    if frame is None:
        raise TypeError(f"rows() takes {TAKEN}, not a {type(given).__name__}.")
    others = [label for label in frame.columns if not isinstance(label, str)]
    if others:
        raise TypeError(
            f"rows() needs strings for column names, and these are none: {_listed(others)}. Rename them, "
            "such as by frame.rename(columns=str)."
        )
    twice = [label for label, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise ValueError(
            f"rows() needs a name of its own for each column, and these stand twice: {_listed(twice)}."
        )
    for label in frame.columns:
        if _has_nanoseconds(frame[label]):
            raise ValueError(
                f"rows() gives Python's times, and some in {label!r:.60} have nanoseconds. Cast it."
            )
    return Rows(FrameRows(frame), "rows", list(frame.shape))


def _has_nanoseconds(column: pd.Series) -> bool:
    """Return whether a column has times of day of Arrow's that would lose nanoseconds."""
    kind = getattr(column.dtype, "pyarrow_dtype", None)
    if kind is None or str(kind) != "time64[ns]":
        return False
    import pyarrow as pa

    ticks = column.array.__arrow_array__().cast(pa.int64())
    return any(tick.as_py() % 1000 for tick in ticks if tick.is_valid)


def _listed(labels: list[Any]) -> str:
    return ", ".join(f"{label!r:.60}" for label in labels[:10]) + (", ..." if len(labels) > 10 else "")


_YEARS = range(datetime.MINYEAR, datetime.MAXYEAR + 1)


def _moments(column: pd.Series) -> list[Any] | None:
    """Return the cells of a column of times; None if one has nanoseconds, or it holds no times."""
    import numpy as np
    import pandas as pd

    is_numpys = isinstance(column.dtype, np.dtype) and column.dtype.kind == "M"
    if not is_numpys and not isinstance(column.dtype, pd.DatetimeTZDtype):
        return None
    index = pd.DatetimeIndex(column)
    if not set(index.tz_localize(None).year.dropna().unique()).issubset(_YEARS):
        raise ValueError("a local time is beyond what datetime holds")  # pandas 2.3 would end the process
    return None if (index.nanosecond > 0).any() else index.to_pydatetime().tolist()


def _python_values(column: pd.Series) -> list[Any]:
    """Return the cells of a column as Python's types, with None for missing ones; objects stay the same."""
    import numpy as np
    import pandas as pd

    values = _moments(column) or column.tolist()
    if column.dtype != object and any(isinstance(value, np.generic) for value in values):
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    special: dict[type, Callable[[Any], Any]] = {
        float: lambda x: x if x == x else None,
        complex: lambda x: x if x == x else None,
        type(pd.NA): lambda x: None,
        type(pd.NaT): lambda x: None,
        pd.Timestamp: lambda x: x if x.nanosecond else x.to_pydatetime(),
        pd.Timedelta: lambda x: x if x.nanoseconds else x.to_pytimedelta(),
        memoryview: bytes,  # database drivers give it for binary columns
    }
    kinds = set(map(type, values))
    if kinds.isdisjoint(special):
        return values
    if len(kinds) == 1:
        return list(map(special[kinds.pop()], values))
    return [special[type(x)](x) if type(x) in special else x for x in values]
