"""Stored tables: some rows and columns of them, and what Parquet says about all rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom.admin.look import columns
from include.s3_xcom.admin.look.columns import CHARTED_ROWS, Values
from include.s3_xcom.admin.look.limited import MAX_BYTES, WHOLE_BYTES, LimitedFile, TooMuchError
from include.s3_xcom.admin.look.shown import COLUMNS, ROWS, At, Column, Shown, cell
from include.s3_xcom.codecs import arrow
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.parquet import frames
from include.s3_xcom.errors import FormatError, XComError
from include.s3_xcom.mapped.stored_columns import fetch_footer
from include.s3_xcom.reference import human_size

PLAIN_BYTES = 16 * 1024 * 1024
"""What is decoded at most: any row may hold as much as all pages of its columns together."""

SECONDS = 1.0
"""After which a row that lies far within its row group is not looked for any longer."""

MAX_STATISTICS = 20_000
"""How many are read; each takes some microseconds."""


def look(file: LimitedFile, at: At) -> Shown:
    """An object that is a Parquet file."""
    parquet = opened(file)
    if parquet is None:
        return Shown(
            [f"It has so many columns that what they are takes more than {human_size(MAX_BYTES)} to read."]
        )
    rows, metadata = parquet.metadata.num_rows, parquet.metadata.metadata or {}
    count = column_count(parquet.schema_arrow)
    at = At(at.row if at.row < rows else 0, at.column if at.column < count else 0)
    wanted = list(range(at.column, min(at.column + COLUMNS, count)))
    known = described(parquet, wanted)
    group, start = _group_of(parquet.metadata, at.row)
    fitting = _that_fit(file, parquet, group, wanted)
    if fitting is None:
        return _without_rows(known, at, rows, count, "A look reads less than a row of this table takes.")
    table = _rows_of(parquet, group, at.row - start, fitting)
    if table is None:
        return _without_rows(known, at, rows, count, "This row lies too far within its row group.")
    values, notes = _decoded(table, metadata, at.row, fitting)
    while (
        missing := min(ROWS, rows - at.row) - values.rows
    ) > 0 and group + 1 < parquet.metadata.num_row_groups:
        group += 1
        if _that_fit(file, parquet, group, fitting) != fitting:
            break
        more = _rows_of(parquet, group, 0, fitting).slice(0, missing)
        values = values.with_more(_decoded(more, metadata, at.row + values.rows, fitting)[0])
    if len(fitting) < len(wanted):
        notes.append(
            f"Of {len(wanted)} columns, {len(fitting)} are small enough here to be read for a look; "
            "show others by their number."
        )
    return Shown(notes, table=columns.table(values, at, rows, count, known))


def _without_rows(known: list[Column], at: At, rows: int, count: int, why: str) -> Shown:
    return Shown([why], table=columns.table(Values([]), at, rows, count, known))


def opened(file: LimitedFile) -> pq.ParquetFile | None:
    """The file, with its footer read; None if that is too long.

    :raises FormatError: if it is no Parquet
    """
    try:
        if file.size() <= WHOLE_BYTES:
            file.part(0, file.size())
        fetch_footer(file)
        return pq.ParquetFile(pa.PythonFile(file, mode="r"))
    except TooMuchError:
        return None
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"The stored data is no valid Parquet ({type(error).__name__}).") from None


def column_count(schema: pa.Schema) -> int:
    """How many columns a table has, without those of its index."""
    metadata = schema.metadata or {}
    if frames.METADATA_KEY not in metadata:
        return len(schema.names)
    try:
        return frames.column_count(schema)
    except (XComError, KeyError, TypeError, ValueError):
        return len(schema.names)


def described(parquet: pq.ParquetFile, positions: Sequence[int]) -> list[Column]:
    """What Parquet says about some columns: of the smallest and largest value, and of the missing ones."""
    schema, metadata = parquet.schema_arrow, parquet.metadata
    leaves = {parquet.schema.column(i).path: i for i in range(len(parquet.schema))}
    groups = metadata.num_row_groups
    described = []
    for position in positions:
        name, kind = schema.names[position], schema.types[position]
        leaf = leaves.get(name)
        plain = Column(name, str(kind))
        if leaf is not None and groups * len(positions) <= MAX_STATISTICS:
            plain = _with_statistics(
                plain, [metadata.row_group(i).column(leaf).statistics for i in range(groups)]
            )
        described.append(plain)
    return described


def _with_statistics(column: Column, statistics: list[Any]) -> Column:
    if not all(statistics) or not all(each.has_null_count for each in statistics):
        return column
    nulls = sum(each.null_count for each in statistics)
    limits = [(each.min, each.max) for each in statistics if each.has_min_max]
    try:
        least, most = cell(min(low for low, _ in limits)), cell(max(high for _, high in limits))
    except (ValueError, TypeError):
        least = most = None
    return Column(column.label, column.kind, nulls, least, most)


def _group_of(metadata: pq.FileMetaData, row: int) -> tuple[int, int]:
    """The number of the row group that holds a row, and the number of its first row."""
    start = 0
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        if row < start + rows:
            return number, start
        start += rows
    return 0, 0


def _that_fit(file: LimitedFile, parquet: pq.ParquetFile, group: int, wanted: list[int]) -> list[int] | None:
    """As many of some columns as may still be read, and read them; None if not even one may, or the index."""
    if not parquet.metadata.num_row_groups:
        return wanted
    names = parquet.schema_arrow.names
    index = names[column_count(parquet.schema_arrow) :]
    chunks = _chunks(parquet.metadata.row_group(group), {*index, *(names[i] for i in wanted)})
    left = file.bytes_left - sum(chunk.size for name in index for chunk in chunks[name])
    fitting = []
    for position in wanted:
        left -= sum(chunk.size for chunk in chunks[names[position]])
        if left < 0:
            break
        fitting.append(position)
    if left < 0 and not fitting:
        return None
    chosen = [*index, *(names[i] for i in fitting)]
    try:
        file.fetch([(chunk.start, chunk.start + chunk.size) for name in chosen for chunk in chunks[name]])
    except TooMuchError:
        return None
    return fitting


@dataclass(frozen=True)
class _Chunk:
    """Where a column, or a part of a nested one, lies; in bytes.

    :param plain: how long its pages are when they are decompressed
    """

    start: int
    size: int
    plain: int


def _chunks(group: pq.RowGroupMetaData, names: set[str]) -> dict[str, list[_Chunk]]:
    """Where some columns lie in a row group."""
    found: dict[str, list[_Chunk]] = {name: [] for name in names}
    for i in range(group.num_columns):
        column = group.column(i)
        steps = column.path_in_schema.split(".")  # a name may hold dots, too
        for length in range(len(steps), 0, -1):
            name = ".".join(steps[:length])
            if name in found:
                start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
                found[name].append(
                    _Chunk(start, column.total_compressed_size, column.total_uncompressed_size)
                )
                break
    return found


def _rows_of(parquet: pq.ParquetFile, group: int, offset: int, positions: list[int]) -> pa.Table | None:
    """Some rows of a row group, decoded a few at a time; None if they are too far from its start."""
    schema, metadata = parquet.schema_arrow, parquet.metadata
    names = [schema.names[i] for i in positions] + schema.names[column_count(schema) :]
    if not metadata.num_row_groups or not names:
        return schema.empty_table().select(names)
    chunks = _chunks(metadata.row_group(group), set(names))
    plain = sum(chunk.plain for name in names for chunk in chunks[name])
    at_once = max(1, min(CHARTED_ROWS, PLAIN_BYTES // max(1, plain)))
    give_up, taken, kept_bytes, batches = time.monotonic() + SECONDS, 0, 0, []
    for batch in parquet.iter_batches(at_once, row_groups=[group], columns=names, use_threads=False):
        taken += batch.num_rows
        if taken > offset:
            batches.append(batch)
            kept_bytes += sum(map(_plain_bytes, batch.columns))
        is_late = time.monotonic() > give_up
        if is_late and taken <= offset:
            return None
        if kept_bytes >= PLAIN_BYTES or taken >= offset + (ROWS if is_late else CHARTED_ROWS):
            break
    table = pa.Table.from_batches(batches, batches[0].schema) if batches else schema.empty_table()
    skipped = max(0, offset - (taken - table.num_rows))
    return table.select(names).slice(skipped, CHARTED_ROWS)


def _plain_bytes(array: pa.Array) -> int:
    """What the values take at most when each stands for itself."""
    is_dictionary = pa.types.is_dictionary(array.type)
    return len(array) * array.dictionary.nbytes if is_dictionary else array.nbytes


def _decoded(
    table: pa.Table, metadata: dict[bytes, bytes], first: int, positions: list[int]
) -> tuple[Values, list[str]]:
    """The values as they were pushed; as they are stored, where they cannot be rebuilt here."""
    if frames.METADATA_KEY not in metadata:
        return columns.of_arrow(table, first), []
    try:
        return columns.of_frame(frames.from_some(table, metadata, first, positions)), []
    except Exception as error:  # what lies in a bucket can be wrong in any way
        why = "holds objects of classes" if isinstance(error, FormatError) else "cannot be rebuilt here"
        shown = table.select(range(len(positions)))
        return columns.of_arrow(shown, first), [f"It {why}, and is shown as it is stored."]


def look_at_arrow(file: LimitedFile, at: At) -> Shown:
    """An object that is an Arrow file."""
    if file.size() > WHOLE_BYTES:
        return Shown(
            [f"An Arrow file of more than {human_size(WHOLE_BYTES)} has no part that could be shown."]
        )
    try:
        table = arrow.decode(file.part(0, file.size()), Pulling())
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"The stored data is no valid Arrow file ({type(error).__name__}).") from None
    return of_arrow_table(table, at)


def of_arrow_table(table: pa.Table, at: At) -> Shown:
    """A table in memory."""
    count = column_count(table.schema)
    at = At(at.row if at.row < table.num_rows else 0, at.column if at.column < count else 0)
    positions = list(range(at.column, min(at.column + COLUMNS, count)))
    chosen = [*positions, *range(count, table.num_columns)]
    some = table.slice(at.row, CHARTED_ROWS).select(chosen)
    values, notes = _decoded(some, table.schema.metadata or {}, at.row, positions)
    return Shown(notes, table=columns.table(values, at, table.num_rows, count))
