"""Mapped sequences, element by element: each as its mapped task gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from include.s3_xcom.admin.look import columns, tables, trees
from include.s3_xcom.admin.look.limited import AskedFile, TooMuchError
from include.s3_xcom.admin.look.shown import ELEMENTS, At, Node, Shown
from include.s3_xcom.admin.look.values import of_value
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import FormatError
from include.s3_xcom.mapped import record_batches
from include.s3_xcom.mapped.block_check import lines_of
from include.s3_xcom.mapped.items import decode_member, member
from include.s3_xcom.mapped.layout import ENTRY_BYTES, Block, Layout, from_entry

_NO_LAYOUT = "No XCom refers to it any more, which alone tells where each element lies."

_AHEAD_BYTES = 8 * 1024 * 1024
"""Bytes of batches read by one request when all batches are read."""


def look_at_rows(file: AskedFile, at: At) -> Shown:
    """Return what to show of ``rows``: a Parquet file that also holds the rows as lines of JSON."""
    layout = _layout(file)
    table = tables.StoredTable.opened(file)
    if layout is None or table is None:
        return tables.look(file, at)
    at = at.within(layout.length, table.count)
    known = table.described(at.columns(table.count))
    try:
        records = _lines(file, layout, at.row, tagged_json.loads)
    except TooMuchError as error:
        values, notes = columns.Values([]), [str(error)]
    else:
        labels = [column.label for column in known]
        values, notes = columns.of_records(records, labels, [column.kind for column in known], at.row), []
    return Shown(notes, table=columns.table(values, at, layout.length, table.count, known))


def look_at_items(file: AskedFile, at: At) -> Shown:
    """Return what to show of ``items`` stored as JSON."""
    layout = _layout(file)
    if layout is None:
        shown = trees.look(file, at)
        shown.notes.append(_NO_LAYOUT)
        return shown
    if not layout.length:
        return Shown(tree=Node("", "no elements"))
    number = _within(at.element, layout)
    try:
        values = _lines(file, layout, number, lambda line: tagged_json.loads(line[1:]))[:ELEMENTS]
    except TooMuchError as error:
        return _too_much(error, number, layout)
    children = trees.of_several([(str(number + i), value) for i, value in enumerate(values)])
    tree = Node("", f"elements {number:,} to {number + len(values) - 1:,}", children)
    return Shown(tree=tree, elements=(number, number + len(values)), of_elements=layout.length)


def look_at_members(file: AskedFile, at: At) -> Shown:
    """Return what to show of ``items`` stored as a ZIP archive."""
    layout = _layout(file)
    if layout is None:
        return Shown([_NO_LAYOUT])
    if not layout.length:
        return Shown(tree=Node("", "no elements"))
    number = _within(at.element, layout)
    try:
        name, data = member(_block(file, layout, number)[1], number)
    except TooMuchError as error:
        return _too_much(error, number, layout)
    shown = of_value(decode_member(name, data), at)
    shown.elements, shown.of_elements = (number, number + 1), layout.length
    return shown


def look_at_wide_batches(file: AskedFile, at: At) -> Shown:
    """Return one batch to show of ``batches`` of a wide frame, which are stored as an Arrow file."""
    layout = _layout(file)
    if layout is None or not layout.length:
        return tables.look_at_arrow(file, at)
    number = _within(at.element, layout)
    try:
        head = file.part(record_batches.MAGIC_BYTES, layout.start)
        _, data = _block(file, layout, number)
    except TooMuchError as error:
        return _too_much(error, number, layout)
    frame = record_batches.load_batch(head, data, number, layout.length, file.reference.info.shape[0])
    shown = of_value(frame, at)
    shown.notes.insert(0, f"Batch {number:,}, of {len(frame):,} rows.")
    shown.elements, shown.of_elements = (number, number + 1), layout.length
    return shown


def wide_batches(file: AskedFile) -> Iterator[pd.DataFrame]:
    """Yield all batches of a wide frame, whose layout is known."""
    layout = Layout.from_json(file.reference.info.layout)
    head = file.part(record_batches.MAGIC_BYTES, layout.start)
    index = file.part(layout.index, layout.index_end)
    read_to = 0
    for number in range(layout.length):
        entry = layout.entry(number) - layout.index
        block = layout.find(number) or from_entry(index[entry : entry + ENTRY_BYTES])
        if block.end > read_to:
            read_to = min(max(block.end, block.offset + _AHEAD_BYTES), file.size())
            file.forget()
            file.fetch([(block.offset, read_to)])
        data = file.part(block.offset, block.end)
        yield record_batches.load_batch(head, data, number, layout.length, file.reference.info.shape[0])


def _too_much(error: TooMuchError, number: int, layout: Layout) -> Shown:
    """Say that one element is too large to show; others may be smaller."""
    return Shown(
        [f"Element {number:,}: {error} Download it."],
        elements=(number, number + 1),
        of_elements=layout.length,
    )


def _layout(file: AskedFile) -> Layout | None:
    fields = file.reference.info.layout
    return None if fields is None else Layout.from_json(fields)


def _within(number: int, layout: Layout) -> int:
    return number if number < layout.length else 0


def _block(file: AskedFile, layout: Layout, number: int) -> tuple[Block, bytes]:
    """Return the block that holds an element, and its bytes."""
    block = layout.find(number)
    if block is None:
        entry = layout.entry(number)
        block = from_entry(file.part(entry, entry + ENTRY_BYTES))
    return block, file.part(block.offset, block.end)


def _lines(file: AskedFile, layout: Layout, number: int, load: Any) -> list[Any]:
    """Return the elements from one to the end of its block."""
    if not layout.length:
        return []
    block, data = _block(file, layout, number)
    lines = lines_of(data, block.first)[number - block.first :]
    try:
        return [load(line) for line in lines]
    except FormatError:  # a line holds a value that is not rebuilt here, such as a class
        return [json.loads(line.lstrip(b" ,")) for line in lines]
