"""Stored tables: some rows and columns, and what Parquet says about all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom.admin.look import columns
from include.s3_xcom.admin.look.columns import CHARTED_ROWS, Values
from include.s3_xcom.admin.look.limited import MAX_BYTES, WHOLE_BYTES, AskedFile, TooMuchError
from include.s3_xcom.admin.look.shown import ROWS, At, Column, Shown, cell
from include.s3_xcom.codecs import arrow
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.parquet import columns as parquet_columns
from include.s3_xcom.codecs.parquet import frames
from include.s3_xcom.codecs.parquet.tables import span_of
from include.s3_xcom.errors import FormatError
from include.s3_xcom.mapped.stored_columns import fetch_footer, is_frame
from include.s3_xcom.reference import human_size

KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of decoded rows after which no more are decoded."""

DECODED_BYTES = 128 * 1024 * 1024
"""Bytes of rows decoded at once, unless ROWS rows take more."""

MAX_STATISTICS = 20_000
"""Statistics read at most; each takes some microseconds."""


def look(file: AskedFile, at: At) -> Shown:
    """Return what to show of a Parquet file."""
    table = StoredTable.opened(file)
    if table is None:
        words = f"more than {human_size(MAX_BYTES)} to read"
        return Shown([f"It has so many columns that what they are takes {words}."])
    at = at.within(table.rows, table.count)
    wanted = at.columns(table.count)
    values, notes = table.values(at.row, wanted)
    return Shown(notes, table=columns.table(values, at, table.rows, table.count, table.described(wanted)))


class StoredTable:
    """A table in a Parquet file that is read in part.

    :ivar rows: number of its rows
    :ivar count: number of its columns, without those of its index
    """

    def __init__(self, file: AskedFile, parquet: pq.ParquetFile) -> None:
        self._file = file
        self._parquet = parquet
        self._schema = parquet.schema_arrow
        self._metadata = parquet.metadata.metadata or {}
        self._is_frame = is_frame(file.reference)
        self.rows = parquet.metadata.num_rows
        self.count = frames.column_count(self._schema) if self._is_frame else len(self._schema.names)
        self._leaves = _leaves(self._schema)

    @classmethod
    def opened(cls, file: AskedFile) -> StoredTable | None:
        """Open the table by its footer; return None if the footer is too long to read."""
        try:
            if file.size() <= WHOLE_BYTES:
                file.part(0, file.size())
            fetch_footer(file)
            return cls(file, pq.ParquetFile(pa.PythonFile(file, mode="r")))
        except TooMuchError:
            return None
        except (pa.ArrowException, OSError) as error:
            raise FormatError(f"The stored data is no valid Parquet ({type(error).__name__}).") from None

    def described(self, positions: Sequence[int]) -> list[Column]:
        """Return what Parquet says about some columns: smallest and largest value, number of missing ones."""
        groups = [self._parquet.metadata.row_group(i) for i in range(self._parquet.num_row_groups)]
        specs = frames.specs_of(self._metadata) if self._is_frame else []
        described = []
        for position in positions:
            column = Column(self._schema.names[position], str(self._schema.types[position]))
            leaves = self._leaves[position]
            if len(leaves) == 1 and len(groups) * len(positions) <= MAX_STATISTICS:
                spec = specs[position] if specs else {}
                chunks = [group.column(leaves[0]) for group in groups if group.num_rows]
                if spec is not None:
                    column = self._with_statistics(column, chunks, self._schema.types[position], spec)
            described.append(column)
        return described

    def _with_statistics(
        self, column: Column, chunks: list[pq.ColumnChunkMetaData], kind: pa.DataType, spec: dict[str, Any]
    ) -> Column:
        statistics = [chunk.statistics for chunk in chunks]
        # JSON stores the values, and None, as texts: statistics of these say nothing about the values.
        if spec.get("content") == "json" or not all(each and each.has_null_count for each in statistics):
            return column
        # Parquet counts NaN as a number, and counts missing values within lists.
        has_others = pa.types.is_nested(kind) or (pa.types.is_floating(kind) and spec.get("kind") != "numpy")
        nulls = None if has_others else sum(each.null_count for each in statistics)
        least, most = self._limits([each for each in statistics if each.num_values], kind, spec)
        return replace(column, nulls=nulls, least=least, most=most)

    def _limits(
        self, statistics: list[Any], kind: pa.DataType, spec: dict[str, Any]
    ) -> tuple[str | None, str | None]:
        """Return the smallest and the largest value; None if Parquet does not tell both for all rows."""
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        writer = str(self._parquet.metadata.created_by)
        if is_text and not writer.startswith("parquet-cpp-arrow"):  # other writers cut long texts
            return None, None
        try:
            limits = [(each.min, each.max) for each in statistics if each.has_min_max]
            # pyarrow 11 reads a missing limit as an empty text.
            is_known = all(low <= high and not (is_text and "" in (low, high)) for low, high in limits)
            if not limits or len(limits) < len(statistics) or not is_known or not _has_order(kind, spec):
                return None, None
            ends = min(low for low, _ in limits), max(high for _, high in limits)
            if pa.types.is_floating(kind):
                ends = ends[0] + 0.0, ends[1] + 0.0  # the smallest 0.0 is stored as -0.0
            pair = pa.chunked_array([pa.array(ends, kind)])
            values = pd.Series(parquet_columns.decode(pair, spec)) if spec else columns.arrow_values(pair)
            least, most = map(cell, values)
        except (ValueError, TypeError, OverflowError, pa.ArrowException, FormatError):
            return None, None  # Python has no year 10,000, and pandas 1.5 lacks some units of time
        return least, most

    def values(self, row: int, wanted: Sequence[int]) -> tuple[Values, list[str]]:
        """Return rows from ``row`` on, for as many of the ``wanted`` columns as may be read, and notes."""
        if not self._schema.names:
            return self._without_columns(row), []
        group, start = self._group_of(row)
        fitting = self._read(group, wanted)
        if fitting is None:
            return Values([]), ["A look reads less than a row of this table takes."]
        values, notes = self._decoded(self._rows_of(group, row - start, fitting), row, fitting)
        while group + 1 < self._parquet.num_row_groups and values.rows < min(ROWS, self.rows - row):
            group += 1
            if self._read(group, fitting) != fitting:
                break
            more = self._rows_of(group, 0, fitting)
            values = values.with_more(self._decoded(more, row + values.rows, fitting)[0])
        if len(fitting) < len(wanted):
            notes.append(
                f"Of {len(wanted)} columns, {len(fitting)} are small enough here to be read for a look; "
                "show others by their number."
            )
        return values, notes

    def _without_columns(self, row: int) -> Values:
        """Return the rows of a frame without columns, whose index is a range."""
        if not self._is_frame:
            return Values([])
        frame = frames.from_table(self._parquet.read())
        self.rows = len(frame)
        return columns.of_frame(frame[row : row + ROWS])

    def _group_of(self, row: int) -> tuple[int, int]:
        """Return the number of the row group that holds a row, and the number of its first row."""
        start = 0
        for number in range(self._parquet.num_row_groups):
            rows = self._parquet.metadata.row_group(number).num_rows
            if row < start + rows:
                return number, start
            start += rows
        return 0, 0

    def _read(self, group: int, wanted: Sequence[int]) -> list[int] | None:
        """Read as many of the columns as may be read; None if not one of them, or not the index, may be."""
        if not self._parquet.num_row_groups:
            return list(wanted)
        index = list(range(self.count, len(self._schema.names)))
        left, fitting, spans = self._file.bytes_left, [], []
        for position in [*index, *wanted]:
            found = [span_of(chunk) for chunk in self._chunks(group, position)]
            left -= sum(stop - start for start, stop in found)
            if left < 0:
                break
            fitting.append(position)
            spans += found
        if len(fitting) < len(index) or (wanted and len(fitting) == len(index)):
            return None
        try:
            self._file.fetch(spans)
        except TooMuchError:
            return None
        return fitting[len(index) :]

    def _chunks(self, group: int, position: int) -> list[pq.ColumnChunkMetaData]:
        """Return the metadata of the column chunks of a column in a row group."""
        return [self._parquet.metadata.row_group(group).column(leaf) for leaf in self._leaves[position]]

    def _rows_of(self, group: int, offset: int, positions: list[int]) -> pa.Table:
        """Decode some rows of a row group, a few at a time."""
        names = [self._schema.names[i] for i in positions] + self._schema.names[self.count :]
        if not self._parquet.num_row_groups or not names:
            return self._schema.empty_table().select(names)
        # One row may hold all the bytes of a column: a dictionary with one value.
        largest = sum(chunk.total_uncompressed_size for i in positions for chunk in self._chunks(group, i))
        at_once = max(ROWS, min(CHARTED_ROWS, DECODED_BYTES // max(1, largest)))
        taken, kept_bytes, batches = 0, 0, []
        for batch in self._parquet.iter_batches(
            at_once, row_groups=[group], columns=names, use_threads=False
        ):
            taken += batch.num_rows
            if taken > offset:
                batches.append(batch)
                kept_bytes += sum(map(_plain_bytes, batch.columns))
            if kept_bytes >= KEPT_BYTES or taken >= offset + CHARTED_ROWS:
                break
        if not batches:
            return self._schema.empty_table().select(names)
        table = pa.Table.from_batches(batches, batches[0].schema)
        return table.select(names).slice(max(0, offset - (taken - table.num_rows)), CHARTED_ROWS)

    def _decoded(self, table: pa.Table, first: int, positions: list[int]) -> tuple[Values, list[str]]:
        """Return the values as they were pushed, or as they are stored if they cannot be rebuilt here."""
        if not self._is_frame:
            return columns.of_arrow(table, first), []
        try:
            return columns.of_frame(frames.from_some(table, self._metadata, first, positions)), []
        except Exception as error:  # an object in the bucket may be damaged in any way
            why = "holds objects of classes" if isinstance(error, FormatError) else "cannot be rebuilt here"
            shown = table.select(range(len(positions)))
            return columns.of_arrow(shown, first), [f"It {why}, and is shown as it is stored."]


def _leaves(schema: pa.Schema) -> list[range]:
    """Return the numbers of the Parquet columns of each column of a table; nested ones have several."""
    leaves, start = [], 0
    for kind in schema.types:
        count = _count_leaves(kind)
        leaves.append(range(start, start + count))
        start += count
    return leaves


def _count_leaves(kind: pa.DataType) -> int:
    if pa.types.is_struct(kind):
        return sum(_count_leaves(kind[i].type) for i in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _count_leaves(kind.key_type) + _count_leaves(kind.item_type)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return _count_leaves(kind.value_type) if is_list else 1


def _has_order(kind: pa.DataType, spec: dict[str, Any]) -> bool:
    """Return whether the stored form of a column sorts as its values do."""
    types = pa.types
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    moments = (types.is_date, types.is_timestamp, types.is_decimal)
    is_kept = not spec or spec["kind"] in ("numpy", "zoned", "arrow", "object", "extension")
    is_span = str(spec.get("dtype", "")).startswith(("period", "m8", "<m8", ">m8"))
    return is_kept and not is_span and any(check(kind) for check in (*plain, *moments))


def _plain_bytes(array: pa.Array) -> int:
    """Return the most bytes that the values take once a dictionary is expanded."""
    is_dictionary = pa.types.is_dictionary(array.type)
    return len(array) * array.dictionary.nbytes if is_dictionary else array.nbytes


def look_at_arrow(file: AskedFile, at: At) -> Shown:
    """Return what to show of an Arrow file."""
    if file.size() > WHOLE_BYTES:
        return Shown(
            [f"An Arrow file of more than {human_size(WHOLE_BYTES)} has no part that could be shown."]
        )
    return of_arrow_table(arrow.decode(file.part(0, file.size()), Pulling()), at)


def of_arrow_table(table: pa.Table, at: At) -> Shown:
    """Return what to show of a table in memory."""
    count = table.num_columns
    at = at.within(table.num_rows, count)
    some = table.slice(at.row, min(CHARTED_ROWS, table.num_rows)).select(at.columns(count))
    return Shown(table=columns.table(columns.of_arrow(some, at.row), at, table.num_rows, count))
