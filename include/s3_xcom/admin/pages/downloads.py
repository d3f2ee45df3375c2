"""Objects as downloads, in pieces: little is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.errors import FormatError
from include.s3_xcom.on_airflow.configuration import without_classes
from include.s3_xcom.reference import Reference, check
from include.s3_xcom.s3.errors import located
from include.s3_xcom.s3.store import Store

PIECE_BYTES = 1024 * 1024

ROWS_AT_ONCE = 10_000
"""Of a table, as CSV."""


def is_table(reference: Reference) -> bool:
    """Whether there is a CSV of it."""
    codec = reference.info.codec
    return codec != registry.PICKLE and registry.find(codec).media_type == PARQUET


def as_it_is(store: Store, reference: Reference) -> Iterator[bytes]:
    """The object's bytes.

    :raises BadReferenceError: if the reference must not be followed
    :raises StorageError: if S3 does not give it, also while it is read
    """
    check(reference, store.settings)
    stream = store.open(reference, is_whole=True)

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

    parts = stored_columns.in_parts(store, reference, ROWS_AT_ONCE)
    is_first = True
    while True:
        with without_classes():
            part = next(parts, None)
        if part is None:
            return
        yield _csv(part, is_first).encode("utf-8", "surrogatepass")
        is_first = False


def _csv(value: Any, with_header: bool) -> str:
    import pandas as pd

    if isinstance(value, pd.Index):
        value = value.to_frame(index=False)
    elif not isinstance(value, (pd.DataFrame, pd.Series)):
        value = pd.Series(value, name="values")
    has_index = type(value.index) is not pd.RangeIndex
    return value.to_csv(index=has_index, header=with_header)
