"""Objects as downloads, in pieces, so that little is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator

from include.s3_xcom.admin.look import apart
from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.errors import FormatError
from include.s3_xcom.mapped.batches import WIDE_CODEC
from include.s3_xcom.reference import Reference, check
from include.s3_xcom.s3.body import Body
from include.s3_xcom.s3.errors import located
from include.s3_xcom.s3.ranges import Span
from include.s3_xcom.s3.store import Store

PIECE_BYTES = 1024 * 1024


def is_table(reference: Reference) -> bool:
    """Return whether a CSV of the object can be made."""
    if reference.info.codec == WIDE_CODEC:
        return reference.info.layout is not None
    codec = reference.info.codec
    return codec != registry.PICKLE and registry.find(codec).media_type == PARQUET


def as_it_is(store: Store, reference: Reference) -> Iterator[bytes]:
    """Return the object's bytes, in pieces.

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


def as_csv(store: Store, reference: Reference, for_spreadsheets: bool = False) -> Iterator[bytes]:
    """Return a table as CSV, with its index unless that is a range. Raises what :func:`as_it_is` raises.

    :param for_spreadsheets: whether texts that spreadsheets would take for formulas begin with an apostrophe
    :raises FormatError: if it is no table, holds objects of classes, or takes too much memory or time
    :raises BusyError: if too many are made already
    """
    check(reference, store.settings)
    if not is_table(reference):
        raise FormatError(f"Of {reference.info.type}, there is no CSV.")

    def give(spans: list[Span]) -> tuple[int, Iterator[bytes]]:
        return 0, (chunk for span in spans for chunk in _chunks(store, reference, span))

    texts = apart.run("csv", reference, {"left": 0, "for_spreadsheets": for_spreadsheets}, give)
    with located(reference):
        first = next(texts, b"")  # an error shows before anything is sent

    def pieces() -> Iterator[bytes]:
        yield first
        yield from texts

    return pieces()


def _chunks(store: Store, reference: Reference, span: Span) -> Iterator[bytes]:
    with Body(store, reference, span) as body:
        yield from body.chunks()
