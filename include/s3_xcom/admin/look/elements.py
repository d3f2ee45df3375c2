"""Mapped sequences, element by element: each as the task that is expanded over it gets it."""

from __future__ import annotations

import json
from typing import Any

from include.s3_xcom.admin.look import columns, tables, trees
from include.s3_xcom.admin.look.limited import LimitedFile
from include.s3_xcom.admin.look.shown import ELEMENTS, ROWS, At, Node, Shown
from include.s3_xcom.admin.look.values import of_value
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import FormatError
from include.s3_xcom.mapped.items import load_member
from include.s3_xcom.mapped.layout import ENTRY_BYTES, Block, Layout, from_entry, split_lines

_NO_LAYOUT = "No XCom refers to it any more, which alone tells where each element lies."


def look_at_rows(file: LimitedFile, at: At) -> Shown:
    """An object of ``rows``: a Parquet file, with the rows once more as lines of JSON."""
    layout = _layout(file)
    if layout is None:
        return tables.look(file, at)
    parquet = tables.opened(file)
    number = _within(at.row, layout)
    records = _lines(file, layout, number, tagged_json.loads)
    schema = None if parquet is None else parquet.schema_arrow
    count = (
        len(records[0])
        if schema is None and records
        else 0
        if schema is None
        else tables.column_count(schema)
    )
    at = At(number, at.column if at.column < count else 0)
    wanted = list(range(at.column, min(at.column + tables.COLUMNS, count)))
    known = [] if parquet is None else tables.described(parquet, wanted)
    labels = {label for i, label in enumerate(records[0] if records else ()) if i in wanted}
    some = [{label: value for label, value in record.items() if label in labels} for record in records]
    values = columns.of_records(some, number)
    for i, (column, (label, _, cells)) in enumerate(zip(known, values.columns)):
        values.columns[i] = label, column.kind, cells
    shown = Shown(table=columns.table(values, at, layout.length, count, known))
    shown.elements = number, number + min(len(records), ROWS)
    shown.of_elements = layout.length
    return shown


def look_at_items(file: LimitedFile, at: At) -> Shown:
    """An object of ``items`` as JSON."""
    layout = _layout(file)
    if layout is None:
        shown = trees.look(file, at)
        shown.notes.append(_NO_LAYOUT)
        return shown
    number = _within(at.row, layout)
    values = _lines(file, layout, number, lambda line: tagged_json.loads(line[1:]))[:ELEMENTS]
    children = trees.of_several([(str(number + i), value) for i, value in enumerate(values)])
    shown = Shown(tree=Node("", f"elements {number:,} to {number + len(values) - 1:,}", children))
    if not values:
        shown.tree = Node("", "no elements")
    shown.elements, shown.of_elements = (number, number + len(values)), layout.length
    return shown


def look_at_members(file: LimitedFile, at: At) -> Shown:
    """An object of ``items`` as a ZIP archive."""
    layout = _layout(file)
    if layout is None:
        return Shown([_NO_LAYOUT])
    if not layout.length:
        return Shown(tree=Node("", "no elements"))
    number = _within(at.row, layout)
    _, data = _block(file, layout, number)
    shown = of_value(load_member(data, number))
    shown.elements, shown.of_elements = (number, number + 1), layout.length
    return shown


def _layout(file: LimitedFile) -> Layout | None:
    fields = file.reference.info.layout
    return None if fields is None else Layout.from_json(fields)


def _within(number: int, layout: Layout) -> int:
    return number if number < layout.length else 0


def _block(file: LimitedFile, layout: Layout, number: int) -> tuple[Block, bytes]:
    """The block that holds an element, and its bytes."""
    block = layout.find(number)
    if block is None:
        entry = layout.entry(number)
        block = from_entry(file.part(entry, entry + ENTRY_BYTES))
    return block, file.part(block.offset, block.end)


def _lines(file: LimitedFile, layout: Layout, number: int, load: Any) -> list[Any]:
    """The elements from one on to the end of its block."""
    if not layout.length:
        return []
    block, data = _block(file, layout, number)
    lines = split_lines(data)[number - block.first :]
    try:
        return [load(line) for line in lines]
    except FormatError:  # it holds what is not rebuilt here, such as a class
        return [json.loads(line.lstrip(b" ,")) for line in lines]
