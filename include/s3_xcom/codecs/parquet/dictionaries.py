"""Which columns have values that repeat: those get a dictionary in a Parquet file.

A dictionary of numbers takes longer to make than it saves. One of texts that are nearly all different takes
as long as all the rest, and makes the file larger.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MIN_ROWS = 10_000
"""Of fewer, either way takes no time."""

SAMPLED, MAX_SAMPLED = 1 / 16, 100_000
"""The share of the rows that is looked at, and how many at most.

What is in a column ten times, is among these more than once in one case of four. And a dictionary, of at most
1 MiB, does not hold more different values than these.
"""

MAX_DIFFERENT = 0.9
"""The share of different values in the sample, above which they count as all different."""


def paths(table: pa.Table) -> list[str]:
    """The columns of Parquet that are to have a dictionary, by their paths in the file."""
    repeated = []
    for field, column in zip(table.schema, table.columns):
        if not _is_text(field.type) or repeats(column):
            repeated += [path for path, kind in _leaves(field) if not _is_number(kind)]
    return repeated


def repeats(column: pa.ChunkedArray) -> bool:
    """Whether values in a column repeat, by a sample of it. Short ones count as such that do."""
    if len(column) < MIN_ROWS:
        return True
    # From each chunk alone: together, texts may be more than the 2 GiB that an array of Arrow's holds.
    samples = [chunk.take(_some_rows(len(chunk))) for chunk in column.chunks]
    sample = pa.chunked_array(samples, column.type).drop_null()
    return pc.count_distinct(sample).as_py() <= MAX_DIFFERENT * len(sample)


@functools.lru_cache(maxsize=1)
def _some_rows(rows: int) -> pa.Array:
    """Numbers of some rows, always the same ones, so that equal frames give equal files."""
    count = min(int(rows * SAMPLED), MAX_SAMPLED)
    return pa.array(np.random.default_rng(0).integers(0, max(1, rows), count))


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """The columns of Parquet that a field is stored in, with their types."""
    path, kind = prefix + field.name, field.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _leaves(kind[i], f"{path}.")
    elif pa.types.is_list(kind):
        for name in ("item", "element"):  # until pyarrow 14, and since
            yield from _leaves(kind.value_field.with_name(name), f"{path}.list.")
    else:
        yield path, kind


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(check(kind) for check in (*checks, types.is_fixed_size_binary))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_integer, types.is_floating, types.is_boolean, types.is_timestamp, types.is_time)
    return any(check(kind) for check in checks)
