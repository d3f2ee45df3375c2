"""Arrays of numpy: a corner of the values, and a picture of the numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from include.s3_xcom.admin.look.limited import AskedFile
from include.s3_xcom.admin.look.shown import At, Column, Plot, Shown, Table, cell
from include.s3_xcom.codecs import npy

CORNER_ROWS, CORNER_COLUMNS = 20, 12
POINTS, PIXELS = 400, 48
"""Most points of a line, and most squares on each side of a map."""


def look(file: AskedFile, at: At) -> Shown:
    """Return what to show of an .npy file."""
    data, _ = file.head()
    shape, is_fortran, dtype, start = npy.read_header(data)
    if math.prod(shape) * dtype.itemsize > len(data) - start and file.reference.info.compression is None:
        data = file.part(0, min(file.size(), file.bytes_left // 2))
    count = min(math.prod(shape), (len(data) - start) // max(1, dtype.itemsize))
    flat = np.frombuffer(data, dtype, count, start) if count else np.empty(0, dtype)
    words = f"{dtype}, {' x '.join(f'{n:,}' for n in shape) or 'one number'}"
    shown = of_array(_beginning(flat, shape, is_fortran), at)
    return Shown([f"An array of {words}.", *shown.notes], table=shown.table, plot=shown.plot)


def of_array(values: np.ndarray, at: At) -> Shown:
    """Return what to show of an array; with more than two dimensions, of its first two-dimensional slice."""
    notes = []
    if values.ndim > 2:
        values = values.reshape(-1, *values.shape[-2:])[0] if values.size else np.empty((0, 0), values.dtype)
        notes.append("It is the first of its two-dimensional parts that is shown.")
    return Shown(notes, table=_corner(np.atleast_1d(values)), plot=_plot(np.atleast_1d(values)))


def _beginning(flat: np.ndarray, shape: tuple[int, ...], is_fortran: bool) -> np.ndarray:
    """Return the beginning of an array from its first numbers: whole rows, or the start of the first row."""
    if len(flat) == math.prod(shape):
        return flat.reshape(shape, order="F" if is_fortran else "C")
    inner = math.prod(shape[:-1] if is_fortran else shape[1:])
    whole = len(flat) // inner
    if not whole:
        start = flat[: shape[0] if is_fortran else shape[-1]]
        return start.reshape(-1, 1) if is_fortran else start.reshape(1, -1)
    if is_fortran:
        return flat[: whole * inner].reshape(*shape[:-1], whole, order="F")
    return flat[: whole * inner].reshape(whole, *shape[1:])


def _corner(values: np.ndarray) -> Table:
    corner = values[:CORNER_ROWS] if values.ndim == 1 else values[:CORNER_ROWS, :CORNER_COLUMNS]
    if corner.dtype.kind in "mM":
        corner = corner.astype(str)
    grid: list[list[Any]] = [[x] for x in corner.tolist()] if corner.ndim == 1 else corner.tolist()
    width = 1 if values.ndim == 1 else corner.shape[1]
    columns = [Column("" if values.ndim == 1 else str(number), "") for number in range(width)]
    rows = [([str(number)], [cell(x) for x in row]) for number, row in enumerate(grid)]
    return Table(columns, [""], rows, of_columns=width)


def _plot(values: np.ndarray) -> Plot | None:
    if values.dtype.kind not in "biuf" or values.size < 2:
        return None
    if 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim == 1:
        return Plot([_spaced(values, POINTS).astype(float).tolist()], f"{len(values):,} numbers, one by one")
    picked = _spaced(np.apply_along_axis(_spaced, 1, _spaced(values, PIXELS), PIXELS), PIXELS)
    words = f"{values.shape[0]:,} x {values.shape[1]:,} numbers, dark where they are large"
    return Plot(picked.astype(float).tolist(), words)


def _spaced(values: np.ndarray, count: int) -> np.ndarray:
    """Pick at most ``count`` of the values, evenly spaced."""
    return values[np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)]
