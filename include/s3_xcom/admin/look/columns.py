"""Columns of values as a table to show, each with a chart."""

from __future__ import annotations

import datetime
import decimal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from include.s3_xcom.admin.look.shown import ROWS, At, Bars, Column, Table, cell

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHARTED_ROWS = 1000
"""Rows that a chart is made of, at most."""

BINS, FREQUENT = 10, 5


@dataclass(frozen=True)
class Values:
    """Rows of a table, column by column.

    :param columns: label, type and values of each column
    :param index: label and values of each level of the index
    """

    columns: list[tuple[str, str, Sequence[Any]]]
    index: list[tuple[str, Sequence[Any]]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows."""
        for values in [*(column[2] for column in self.columns), *(level[1] for level in self.index)]:
            return len(values)
        return 0

    def with_more(self, other: Values) -> Values:
        """Return these rows followed by those of ``other``, which has the same columns."""
        columns = [(*one[:2], [*one[2], *more[2]]) for one, more in zip(self.columns, other.columns)]
        index = [(one[0], [*one[1], *more[1]]) for one, more in zip(self.index, other.index)]
        return Values(columns, index)


def table(
    values: Values, at: At, of_rows: int | None, of_columns: int, known: Sequence[Column] = ()
) -> Table:
    """Return the first of the rows as a table, with charts of all of them.

    :param at: position of these rows in the whole table
    :param of_rows: number of rows of the whole table
    :param of_columns: number of columns of the whole table
    :param known: facts about the columns from elsewhere, for as many columns or more
    """
    columns = []
    for number, (label, kind, column) in enumerate(values.columns):
        plain = known[number] if number < len(known) else Column(label, kind)
        columns.append(replace(plain, label=label, kind=kind, chart=bars(column)))
    columns += known[len(columns) :]
    cells = [list(map(cell, column[:ROWS])) for _, _, column in values.columns]
    levels = [list(map(cell, level[:ROWS])) for _, level in values.index]
    shown = range(min(ROWS, values.rows))
    rows = [([level[i] for level in levels], [column[i] for column in cells]) for i in shown]
    return Table(
        columns,
        [label for label, _ in values.index],
        rows,
        at.row,
        of_rows,
        at.column,
        of_columns,
        min(values.rows, CHARTED_ROWS),
    )


def of_frame(value: Any) -> Values:
    """Return the values of a DataFrame, Series, Index or array of pandas."""
    import pandas as pd

    from include.s3_xcom.codecs.parquet import indexes

    if isinstance(value, pd.Index):
        value = pd.DataFrame(index=value)
    elif not isinstance(value, (pd.DataFrame, pd.Series)):
        value = pd.Series(value)
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    columns = []
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        values = _as_list(column)
        columns.append((str(frame.columns[i]), _kind(str(column.dtype), values), values))
    head = frame.index[:CHARTED_ROWS]
    index = [
        ("" if name is None else str(name), indexes.labels_of(head, i)) for i, name in enumerate(head.names)
    ]
    return Values(columns, index)


def _kind(dtype: str, values: list[Any]) -> str:
    """Return the type of a column; for objects of one class, the name of that class."""
    kinds = {type(value).__name__ for value in values if cell(value) is not None}
    return kinds.pop() if dtype == "object" and len(kinds) == 1 else dtype


def _as_list(values: pd.Series | pd.Index) -> list[Any]:
    return list(getattr(values, "iloc", values)[:CHARTED_ROWS])


def of_arrow(value: pa.Table, first: int) -> Values:
    """Return the values of a table of pyarrow, with row numbers as the index.

    :param first: number of the first row
    """
    some = value.slice(0, min(CHARTED_ROWS, value.num_rows))  # without columns, slice() makes rows
    columns = [
        (name, str(some.schema.types[i]), arrow_values(some.column(i)))
        for i, name in enumerate(some.schema.names)
    ]
    return Values(columns, [("", range(first, first + some.num_rows))])


def arrow_values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column of pyarrow, as texts where Python has no such values."""
    import pyarrow as pa

    try:
        return column.to_pylist()
    except (ValueError, OverflowError, ImportError, KeyError, pa.ArrowException):
        pass  # Python has no year 10,000, and does not know every time zone
    try:
        return column.cast(pa.string()).to_pylist()
    except pa.ArrowException:
        return ["cannot be shown"] * len(column)


def of_records(records: Sequence[dict[str, Any]], labels: list[str], kinds: list[str], first: int) -> Values:
    """Return some columns of rows that are dicts, with row numbers as the index.

    :param labels: labels of the columns
    :param kinds: types of the columns, for display
    :param first: number of the first row
    """
    columns = [(label, kind, [record.get(label) for record in records]) for label, kind in zip(labels, kinds)]
    return Values(columns, [("", range(first, first + len(records)))])


def bars(values: Sequence[Any]) -> Bars | None:
    """Return a chart of the values: ranges of numbers or moments, otherwise the most frequent values."""
    known = [value for value in values if cell(value) is not None]
    if len(known) < 2:
        return None
    numbers = _numbers(known)
    if numbers is not None and len(set(numbers)) > BINS:
        return _histogram(known, numbers)
    counts = Counter(map(cell, known)).most_common(FREQUENT)
    told = sum(count for _, count in counts)
    return Bars(counts) if counts[0][1] > 1 and told * 5 >= len(known) else None  # others are all but unique


def _numbers(values: list[Any]) -> list[float] | None:
    """Return numbers that order the values; None if their type has none."""
    import numpy as np

    try:
        if all(isinstance(x, (datetime.datetime, datetime.date)) for x in values):
            return [_moment(x) for x in values]
        kinds = (int, float, decimal.Decimal, np.number)
        if all(isinstance(x, kinds) and not isinstance(x, bool) for x in values):
            numbers = list(map(float, values))
            return numbers if np.isfinite(numbers).all() else None
    except (OverflowError, ValueError, TypeError):
        pass
    return None


def _moment(value: datetime.date) -> float:
    if isinstance(value, datetime.datetime):
        naive = (
            value.replace(tzinfo=None) if value.tzinfo is None else value.astimezone(datetime.timezone.utc)
        )
        return naive.replace(tzinfo=datetime.timezone.utc).timestamp()
    return float(value.toordinal())


def _first(pair: tuple[float, Any]) -> float:
    return pair[0]


def _histogram(values: list[Any], numbers: list[float]) -> Bars | None:
    import numpy as np

    try:
        counts, edges = np.histogram(numbers, BINS)
    except ValueError:  # the numbers are too close to each other
        return None
    of_bin = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, BINS - 1)
    named = []
    for number, count in enumerate(counts.tolist()):
        inside = [(x, value) for x, value, own in zip(numbers, values, of_bin) if own == number]
        least, most = (min(inside, key=_first)[1], max(inside, key=_first)[1]) if inside else (None, None)
        named.append((f"{cell(least)} to {cell(most)}" if inside else "none", count))
    return Bars(named, is_histogram=True)
