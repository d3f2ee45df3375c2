"""Tables as CSV, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from include.s3_xcom.admin.look.elements import wide_batches
from include.s3_xcom.admin.look.limited import AskedFile
from include.s3_xcom.codecs.parquet import indexes
from include.s3_xcom.mapped import stored_columns
from include.s3_xcom.mapped.batches import WIDE_CODEC

ROWS = 10_000
"""Rows of a table that are made text at once."""


def pieces(file: AskedFile) -> Iterator[bytes]:
    """A table as CSV, with its index where that is no range of numbers.

    :raises FormatError: if it is no table, or holds objects of classes
    """
    is_wide = file.reference.info.codec == WIDE_CODEC
    parts = wide_batches(file) if is_wide else stored_columns.in_parts(file, file.reference, ROWS)
    for number, part in enumerate(parts):
        yield _csv(part, with_header=not number)


def _csv(value: Any, with_header: bool) -> bytes:
    """Lines that end in CR and LF (RFC 4180), so that both are quoted where they stand in a text."""
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
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=with_header))
    return sink.getvalue().to_pybytes()
