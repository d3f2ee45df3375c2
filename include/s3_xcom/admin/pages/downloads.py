"""Objects as downloads, in pieces: little is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.errors import FormatError, format_errors
from include.s3_xcom.mapped.batches import WIDE_CODEC
from include.s3_xcom.on_airflow.configuration import without_classes
from include.s3_xcom.pull import fetch
from include.s3_xcom.reference import Reference, check
from include.s3_xcom.s3.errors import located
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_BYTES = 1024 * 1024

ROWS_AT_ONCE = 10_000
"""Of a table, as CSV."""


def is_table(reference: Reference) -> bool:
    """Whether there is a CSV of it."""
    if reference.info.codec == WIDE_CODEC:
        return reference.info.layout is not None
    codec = reference.info.codec
    return codec != registry.PICKLE and registry.find(codec).media_type == PARQUET


def as_it_is(store: Store, reference: Reference) -> Iterator[bytes]:
    """The object's bytes.

    :raises BadReferenceError: if the reference must not be followed
    :raises StorageError: if S3 does not give it, also while it is read
    """
    check(reference, store.settings)
    stream = store.open(reference)

    def pieces() -> Iterator[bytes]:
        with stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece

    return pieces()


def as_csv(store: Store, reference: Reference) -> Iterator[bytes]:
    """A table as CSV, with its index where that is no range of numbers. Errors as of :func:`as_it_is`.

    :raises FormatError: if it is no table, or holds objects of classes
    """
    check(reference, store.settings)
    if not is_table(reference):
        raise FormatError(f"Of {reference.info.type}, there is no CSV.")
    with located(reference):
        texts = _texts(store, reference)
        first = next(texts, b"")  # what is wrong shows before anything is sent

    def pieces() -> Iterator[bytes]:
        yield first
        yield from texts

    return pieces()


def _texts(store: Store, reference: Reference) -> Iterator[bytes]:
    from include.s3_xcom.mapped import stored_columns

    if reference.info.codec == WIDE_CODEC:
        parts = iter(fetch(store, reference))
    else:
        parts = stored_columns.in_parts(store, reference, ROWS_AT_ONCE)
    is_first = True
    while True:
        with without_classes(), format_errors(reference.info.codec):
            part = next(parts, None)
            text = b"" if part is None else _csv(part, is_first)
        if part is None:
            return
        yield text
        is_first = False


def _csv(value: Any, with_header: bool) -> bytes:
    """Lines that end in CR and LF (RFC 4180), so that both are quoted where they stand in a text."""
    import pandas as pd
    import pyarrow as pa

    from include.s3_xcom.codecs.parquet import indexes

    if isinstance(value, pa.Table):
        return _csv_of_arrow(value, with_header)
    if isinstance(value, pd.Index):
        levels = {i: pd.Series(indexes.labels_of(value, i), dtype=object) for i in range(value.nlevels)}
        value = pd.DataFrame(levels).set_axis(list(value.names), axis=1)
    elif not isinstance(value, (pd.DataFrame, pd.Series)):
        value = pd.Series(value, name="values")
    has_index = type(value.index) is not pd.RangeIndex
    text = value.to_csv(index=has_index, header=with_header, lineterminator="\r\n")
    return text.encode("utf-8", "surrogatepass")


def _csv_of_arrow(table: pa.Table, with_header: bool) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=with_header))
    return sink.getvalue().to_pybytes()
