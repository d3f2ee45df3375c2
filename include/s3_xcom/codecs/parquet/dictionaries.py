"""Columns whose values repeat: these get a dictionary in a Parquet file.

A dictionary of numbers takes longer to make than it saves. A dictionary of texts that are nearly all
different takes as long as all the rest, and makes the file larger.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MIN_ROWS = 10_000
"""Rows below which a column is not sampled: with so few, both ways are fast."""

SAMPLED, MAX_SAMPLED = 1 / 16, 100_000
"""Share of the rows that is sampled, and most rows sampled.

If each value occurs ten times in a column, one in four of those in the sample is there more than once. And a
dictionary, of at most 1 MiB, does not hold more different values than the sample.
"""

MAX_DIFFERENT = 0.9
"""Share of different values in the sample above which all values count as different."""


def paths(table: pa.Table) -> list[str]:
    """Return the paths in the file of the Parquet columns that get a dictionary."""
    repeated = []
    for field, column in zip(table.schema, table.columns):
        if not _is_text(field.type) or repeats(column):
            repeated += [path for path, kind in _leaves(field) if not _is_number(kind)]
    return repeated


def repeats(column: pa.ChunkedArray) -> bool:
    """Return whether values repeat in a sample of a column. Short columns count as repeating."""
    if len(column) < MIN_ROWS:
        return True
    # From each chunk separately: joined texts may exceed the 2 GiB that one array of Arrow's holds.
    samples = [chunk.take(_some_rows(len(chunk))) for chunk in column.chunks]
    sample = pa.chunked_array(samples, column.type).drop_null()
    return pc.count_distinct(sample).as_py() <= MAX_DIFFERENT * len(sample)


@functools.lru_cache(maxsize=1)
def _some_rows(rows: int) -> pa.Array:
    """Return the numbers of some rows, always the same, so that equal frames give equal files."""
    count = min(int(rows * SAMPLED), MAX_SAMPLED)
    return pa.array(np.random.default_rng(0).integers(0, max(1, rows), count))


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """Yield the paths and types of the Parquet columns that store a field."""
    path, kind = prefix + field.name, field.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _leaves(kind[i], f"{path}.")
    elif pa.types.is_list(kind):
        for name in ("item", "element"):  # the name until pyarrow 14, and the name since
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
