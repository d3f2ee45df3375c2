"""Tables, trees, texts and pictures to show of an object. The size of each is bounded."""

from __future__ import annotations

import base64
import functools
import reprlib
import types
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

ROWS, COLUMNS = 50, 30
"""Rows and columns of a table shown on one page."""

CELL_CHARACTERS = 200

ELEMENTS = 50
"""Elements of a sequence shown on one page."""


@dataclass(frozen=True)
class At:
    """The position from which something is shown.

    :param row: row of a table
    :param column: column of a table
    :param element: element of a sequence that is no table
    """

    row: int = 0
    column: int = 0
    element: int = 0

    def within(self, rows: int, columns: int) -> At:
        """Return this position in a table of that size; a row or column beyond its end becomes 0."""
        return replace(
            self, row=self.row if self.row < rows else 0, column=self.column if self.column < columns else 0
        )

    def columns(self, count: int) -> range:
        """Return the numbers of the columns to show in a table of ``count`` columns."""
        return range(self.column, min(self.column + COLUMNS, count))


@dataclass(frozen=True)
class Bars:
    """The frequencies of values in a column.

    :param bars: what occurs, and how often
    :param is_histogram: whether these are ranges of numbers, in order; otherwise the most frequent values
    """

    bars: list[tuple[str, int]]
    is_histogram: bool = False


@dataclass(frozen=True)
class Plot:
    """Numbers as a picture: one row of them as a line, more rows as a map of shades.

    :param words: a phrase that says what it shows
    """

    rows: list[list[float]]
    words: str


@dataclass(frozen=True)
class Column:
    """A column of a table. None, or an empty text, means not known.

    :param kind: its type, for display
    :param nulls: number of missing values in all rows
    :param least: the smallest value of all rows
    :param most: the largest value of all rows
    """

    label: str
    kind: str
    nulls: int | None = None
    least: str | None = None
    most: str | None = None
    chart: Bars | None = None


@dataclass(frozen=True)
class Table:
    """Rows and columns of a table.

    :param index: labels of the levels of the index
    :param rows: index and cells of each row; None is a missing value
    :param first: number of the first row shown
    :param of_rows: number of rows in all; None: not known
    :param first_column: number of the first column shown
    :param of_columns: number of columns in all
    :param charted_rows: number of rows that the charts are made of
    """

    columns: list[Column]
    index: list[str] = field(default_factory=list)
    rows: list[tuple[list[str | None], list[str | None]]] = field(default_factory=list)
    first: int = 0
    of_rows: int | None = None
    first_column: int = 0
    of_columns: int = 0
    charted_rows: int = 0


@dataclass(frozen=True)
class Node:
    """A value in a tree.

    :param label: its key or number, with the type of a key that is no string
    :param text: the value, if it holds no others; otherwise its type
    :param children: the values in it
    :param left_out: number of values in it that are not shown
    """

    label: str
    text: str
    children: list[Node] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True)
class Picture:
    """An image from a file.

    :param media_type: a type that browsers show without running code
    """

    media_type: str
    data: bytes
    name: str

    @property
    def url(self) -> str:
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass
class Shown:
    """The content to show of one object.

    :param notes: sentences about what is shown and what is not
    :param elements: number of the first element shown, and of the one after the last
    :param of_elements: number of elements in all
    """

    notes: list[str] = field(default_factory=list)
    table: Table | None = None
    tree: Node | None = None
    text: str | None = None
    picture: Picture | None = None
    plot: Plot | None = None
    elements: tuple[int, int] | None = None
    of_elements: int | None = None


def plain(value: Any) -> Any:
    """Return what JSON holds for an object that it does not know. :func:`rebuilt` is the inverse."""
    return vars(value) if is_dataclass(value) else base64.b64encode(value).decode()


def rebuilt(kind: Any, value: Any) -> Any:
    """Rebuild a value of a type from what JSON holds.

    :raises TypeError: if it is of another type
    """
    if type(value) is kind:
        return value
    if is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: rebuilt(hints[name], each) for name, each in value.items()})
    arguments = get_args(kind)
    if isinstance(kind, types.UnionType):
        return None if value is None else rebuilt(arguments[0], value)
    if get_origin(kind) is list:
        return [rebuilt(arguments[0], each) for each in value]
    if get_origin(kind) is tuple:
        return tuple(map(rebuilt, arguments, value))
    if kind is bytes:
        return base64.b64decode(value)
    raise TypeError


_hints = functools.cache(get_type_hints)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = CELL_CHARACTERS
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = 20
_short.maxlevel = 6


def cell(value: Any) -> str | None:
    """Return a value in a few characters; None if it is missing."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return cut(f"{len(value):,} bytes: {bytes(value[:32]).hex(' ')}")
    if isinstance(value, str):
        return cut(value[: CELL_CHARACTERS + 1])
    try:
        return cut(_short.repr(value) if isinstance(value, _REPR) else str(value))
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"a {type(value).__name__} that is too long to be shown"


_REPR = (dict, list, tuple, set, frozenset, int)
"""Types that are shown as Python writes them, shortened because they may be long."""


def cut(text: str) -> str:
    """Shorten a text for a cell."""
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
