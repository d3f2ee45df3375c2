"""Columns of a stored frame, read from S3 without the others; and the object as a dataset of pyarrow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import FormatError, format_errors
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.ranges import RangedFile, Span
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset
    import pyarrow.parquet as pq

PART_BYTES = 16 * 1024 * 1024
"""Bytes of the rows decoded at a time if a frame is read a few rows at a time."""

TAIL_BYTES = 64 * 1024
"""Bytes read first, from the end of an object: usually they hold all of the footer."""


def to_frame(store: Store, reference: Reference, labels: Sequence[Any]) -> pd.DataFrame:
    """Read some columns of a frame, with its index.

    :raises MissingColumnError: for a column that does not exist
    :raises StorageError: if S3 does not give it
    """
    from include.s3_xcom.codecs.parquet import frames

    with RangedFile(store, reference) as file, _opened(file, reference) as parquet:
        names, _ = frames.stored_columns(parquet.schema_arrow, labels)
        return frames.from_table(_read(file, parquet, names), labels=labels)


def to_arrow(store: Store, reference: Reference, labels: Sequence[Any] | None) -> pa.Table:
    """Read columns of a frame as they are stored, without the index. Raises what :func:`to_frame` raises.

    :param labels: labels of the columns; None: all
    """
    from include.s3_xcom.codecs.parquet import frames

    with RangedFile(store, reference) as file, _opened(file, reference) as parquet:
        names, count = frames.stored_columns(parquet.schema_arrow, labels)
        return _read(file, parquet, names).select(range(count)).replace_schema_metadata(None)


def is_frame(reference: Reference) -> bool:
    """Return whether a Parquet file holds a frame. A table may keep the metadata of one, so ask its codec."""
    return reference.info.codec in ("parquet", "rows", "batches")


def in_parts(file: RangedFile, reference: Reference, rows: int) -> Iterator[Any]:
    """Yield a frame, or a table of pyarrow's, a few rows at a time; at least once, even without rows.

    :param file: the object that the reference points to
    :param rows: rows at a time, at most
    """
    from include.s3_xcom.codecs.parquet import frames

    holds_frame = is_frame(reference)
    with _opened(file, reference) as parquet:
        metadata, first = parquet.metadata.metadata or {}, 0
        positions = list(range(frames.column_count(parquet.schema_arrow))) if holds_frame else []
        for table in _tables(file, parquet, rows):
            yield frames.from_some(table, metadata, first, positions) if holds_frame else table
            first += table.num_rows
        if not first:
            table = parquet.read(use_threads=False)
            yield frames.from_table(table) if holds_frame else table


def _tables(file: RangedFile, parquet: pq.ParquetFile, rows: int) -> Iterator[pa.Table]:
    import pyarrow as pa

    from include.s3_xcom.codecs.parquet import tables

    by_threads = tables.by_threads(file.size())
    names = set(parquet.schema_arrow.names)
    for number in range(parquet.metadata.num_row_groups):
        spans = list(_spans(parquet.metadata, names, [number]))
        file.forget()
        file.fetch([(min(start for start, _ in spans), max(stop for _, stop in spans))] if spans else [])
        group = parquet.metadata.row_group(number)
        fitting = min(rows, max(1, PART_BYTES * group.num_rows // max(1, group.total_byte_size)))
        for batch in parquet.iter_batches(fitting, row_groups=[number], use_threads=by_threads):
            yield pa.Table.from_batches([batch])


def dataset(store: Store, reference: Reference, is_parquet: bool) -> pyarrow.dataset.Dataset:
    """Return the object as a dataset, which reads what a query of it needs.

    :param is_parquet: whether it is a Parquet file, or one of Arrow's
    """
    import pyarrow.dataset as ds
    from pyarrow import fs

    from include.s3_xcom.mapped.file_system import OneObject

    one = OneObject(store, reference, is_parquet)
    kind = "parquet" if is_parquet else "ipc"
    return ds.dataset(reference.key, format=kind, filesystem=fs.PyFileSystem(one))


@contextlib.contextmanager
def _opened(file: RangedFile, reference: Reference) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fetch_footer(file)
    with format_errors(reference.info.codec):
        yield pq.ParquetFile(pa.PythonFile(file, mode="r"))


def fetch_footer(file: RangedFile) -> None:
    """Read the footer of a Parquet file.

    :raises FormatError: if it has none
    """
    from include.s3_xcom.codecs.parquet import joined_files

    size = file.size()
    tail = max(0, size - TAIL_BYTES)
    start = tail + joined_files.footer_start(file.part(tail, size))
    if start < 0:
        raise FormatError("The stored data is no valid Parquet.")
    if start < tail:
        file.fetch([(start, size)])


def _read(file: RangedFile, parquet: pq.ParquetFile, names: list[str]) -> pa.Table:
    from include.s3_xcom.codecs.parquet import tables

    groups = range(parquet.metadata.num_row_groups)
    file.fetch(list(_spans(parquet.metadata, set(names), groups)))
    return parquet.read(columns=names, use_threads=tables.by_threads(file.size())).select(names)


def _spans(metadata: pq.FileMetaData, names: set[str], groups: Iterable[int]) -> Iterator[Span]:
    """Yield the ranges of some columns in some row groups."""
    from include.s3_xcom.codecs.parquet import tables

    for i in groups:
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            column = group.column(j)
            path = column.path_in_schema
            if path in names or any(path.startswith(f"{name}.") for name in names):
                yield tables.span_of(column)
