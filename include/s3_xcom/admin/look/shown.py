"""What is shown of an object: tables, trees, texts and pictures, of which each is bounded."""

from __future__ import annotations

import base64
import functools
import reprlib
import types
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

ROWS, COLUMNS = 50, 30
"""Of a table, at a time."""

CELL_CHARACTERS = 200

ELEMENTS = 50
"""Of a sequence, at a time."""


@dataclass(frozen=True)
class At:
    """From where on something is shown.

    :param row: of a table
    :param column: of a table
    :param element: of a sequence that is no table
    """

    row: int = 0
    column: int = 0
    element: int = 0

    def within(self, rows: int, columns: int) -> At:
        """The same in a table of so many; from the start, where it has no such row or column."""
        return replace(
            self, row=self.row if self.row < rows else 0, column=self.column if self.column < columns else 0
        )

    def columns(self, count: int) -> range:
        """The numbers of the columns that are shown, of so many."""
        return range(self.column, min(self.column + COLUMNS, count))


@dataclass(frozen=True)
class Bars:
    """How often something stands in a column.

    :param bars: what, and how often
    :param is_histogram: whether they are ranges of numbers, in order; otherwise the most frequent values
    """

    bars: list[tuple[str, int]]
    is_histogram: bool = False


@dataclass(frozen=True)
class Plot:
    """Numbers as a picture: one row of them as a line, more as a map of shades.

    :param words: what it is a picture of
    """

    rows: list[list[float]]
    words: str


@dataclass(frozen=True)
class Column:
    """A column of a table. None, or nothing, for what is not known.

    :param kind: its type, for display
    :param nulls: how many are missing, in all rows
    :param least: the smallest value of all rows
    :param most: the largest
    """

    label: str
    kind: str
    nulls: int | None = None
    least: str | None = None
    most: str | None = None
    chart: Bars | None = None


@dataclass(frozen=True)
class Table:
    """Some rows and columns of a table.

    :param index: the labels of the index's levels
    :param rows: for each its index, and its cells; None is a missing one
    :param first: number of the first row
    :param of_rows: how many rows there are in all; None: not known
    :param first_column: number of the first column
    :param of_columns: how many columns there are in all
    :param charted_rows: how many rows the charts are of
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

    :param label: its key or number, with the type of the key where that is no string
    :param text: the value, if it holds no others; otherwise what it is
    :param children: the values in it
    :param left_out: how many more there are
    """

    label: str
    text: str
    children: list[Node] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True)
class Picture:
    """An image of a file.

    :param media_type: one of those that browsers show, and do not run
    """

    media_type: str
    data: bytes
    name: str

    @property
    def url(self) -> str:
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass
class Shown:
    """What is shown of one object.

    :param notes: sentences about what is shown and what is not
    :param elements: of a sequence: the number of the first that is shown, and of the one after the last
    :param of_elements: how many there are in all
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
    """Return what JSON makes of an object that it does not know. Its inverse is :func:`rebuilt`."""
    return vars(value) if is_dataclass(value) else base64.b64encode(value).decode()


def rebuilt(kind: Any, value: Any) -> Any:
    """Return a value of a type from what JSON made of it.

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
    """A value in a few characters; None if it is missing."""
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
"""What is shown as Python writes it, shortened: it may be long."""


def cut(text: str) -> str:
    """Text for a cell."""
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
