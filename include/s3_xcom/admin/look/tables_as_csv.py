"""Tables as CSV, in pieces.

Times have one format from the first row to the last: pyarrow derives it from their type, while pandas would
choose one for each piece.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from include.s3_xcom.admin.look.columns import arrow_values
from include.s3_xcom.admin.look.elements import wide_batches
from include.s3_xcom.admin.look.limited import AskedFile
from include.s3_xcom.codecs.parquet import indexes
from include.s3_xcom.mapped import stored_columns
from include.s3_xcom.mapped.batches import WIDE_CODEC

ROWS, CELLS = 10_000, 200_000
"""Rows of a table decoded at a time, and cells made into text at a time."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters of formulas in spreadsheets: https://owasp.org/www-community/attacks/CSV_Injection"""

_Text = Callable[[Any], Any]


def pieces(file: AskedFile, for_spreadsheets: bool) -> Iterator[bytes]:
    """Yield a table as CSV, with its index unless that is a range of numbers.

    :param for_spreadsheets: whether texts are kept from being taken for formulas, and times cut to
        milliseconds, the finest that spreadsheets know
    :raises FormatError: if it is no table, or holds objects of classes
    """
    is_wide = file.reference.info.codec == WIDE_CODEC
    parts = wide_batches(file) if is_wide else stored_columns.in_parts(file, file.reference, ROWS)
    text = _spreadsheet_text if for_spreadsheets else _exact_text
    is_first = True
    for part in parts:
        rows = max(1, CELLS // max((1, *part.shape[1:])))
        for start in range(0, max(1, len(part)), rows):
            if isinstance(part, pa.Table) and not for_spreadsheets:
                yield _csv_of_arrow(part.slice(start, rows), is_first)
            else:
                yield _csv(_as_frame(part, start, rows), is_first, text)
            is_first = False


def _csv_of_arrow(table: pa.Table, with_header: bool) -> bytes:
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=with_header))
    return sink.getvalue().to_pybytes()


def _as_frame(value: Any, start: int, rows: int) -> pd.DataFrame:
    """Return some rows as a frame."""
    if isinstance(value, pa.Table):
        arrays = enumerate(value.slice(start, rows).columns)
        frame = pd.DataFrame({i: pd.Series(arrow_values(array), dtype=object) for i, array in arrays})
        return frame.set_axis(value.column_names, axis=1)
    some = getattr(value, "iloc", value)[start : start + rows]
    if isinstance(some, pd.Index):
        levels = {i: pd.Series(indexes.labels_of(some, i), dtype=object) for i in range(some.nlevels)}
        return pd.DataFrame(levels).set_axis(list(some.names), axis=1)
    if isinstance(some, pd.DataFrame):
        return some
    return some.to_frame() if isinstance(some, pd.Series) else pd.Series(some, name="values").to_frame()


def _csv(frame: pd.DataFrame, with_header: bool, text: _Text) -> bytes:
    """Return lines that end in CR and LF (RFC 4180), so that both are quoted within a text."""
    columns = (frame.iloc[:, i].reset_index(drop=True) for i in range(frame.shape[1]))
    texts = {i: _column_of_texts(column, text) for i, column in enumerate(columns)}
    made = pd.DataFrame(texts, index=range(len(frame)))
    has_index = type(frame.index) is not pd.RangeIndex
    made.index = _index_of_texts(frame.index, text) if has_index else frame.index
    made.columns = _index_of_texts(frame.columns, text)
    lines = made.to_csv(index=has_index, header=with_header, lineterminator="\r\n")
    return lines.encode("utf-8", "surrogatepass")


def _column_of_texts(values: pd.Series, text: _Text) -> pd.Series:
    if values.dtype.kind in "biufc":
        return values
    return pd.Series([text(value) for value in values], dtype=object)


def _index_of_texts(index: pd.Index, text: _Text) -> pd.Index:
    levels = [[text(label) for label in indexes.labels_of(index, i)] for i in range(index.nlevels)]
    names = [text(name) for name in index.names]
    if isinstance(index, pd.MultiIndex):
        return pd.MultiIndex.from_arrays(levels, names=names)
    return pd.Index(levels[0], dtype=object, name=names[0])


def _exact_text(value: Any) -> Any:
    """Return a time as a full text, of one length for all times of its type; other values as they are."""
    if isinstance(value, datetime.datetime) and value is not pd.NaT:
        text = value.isoformat(" ", "microseconds")
        is_finer = isinstance(value, pd.Timestamp) and getattr(value, "unit", "ns") == "ns"
        return f"{text[:26]}{value.nanosecond:03}{text[26:]}" if is_finer else text
    if isinstance(value, datetime.timedelta) and value is not pd.NaT:
        minutes, seconds = divmod(value.seconds, 60)
        sign = "+" if value.days < 0 else ""
        clock = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{value.microseconds:06}"
        return f"{value.days} days {sign}{clock}{getattr(value, 'nanoseconds', 0):03}"
    return value.isoformat("microseconds") if isinstance(value, datetime.time) else value


def _spreadsheet_text(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value is not pd.NaT:
        return value.isoformat(" ", "milliseconds")
    value = _exact_text(value)
    is_formula = not isinstance(value, numbers.Number) and str(value).startswith(_FORMULA)
    return f"'{value}" if is_formula else value
