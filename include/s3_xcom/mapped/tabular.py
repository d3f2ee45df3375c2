"""Frames of other libraries as frames of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TAKEN = "a pandas.DataFrame, pyarrow.Table, pyarrow.RecordBatch or polars.DataFrame"
"""Types that :func:`to_pandas` takes, in words."""


def to_pandas(value: Any) -> pd.DataFrame | None:
    """Return a frame as one of pandas; None for other values, and subclasses, whose type would be lost.

    A frame of pandas stays as it is. Frames of pyarrow and polars get Arrow's dtypes, which keep each value
    as it was, also integers beside NULL; metadata of a schema is left out.
    """
    import pandas as pd

    if not is_frame(value):
        return None
    if type(value) is pd.DataFrame:
        return value
    import pyarrow as pa

    table = value.to_arrow() if hasattr(value, "to_arrow") else value
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    columns = map(pd.arrays.ArrowExtensionArray, table.columns)
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(table.num_rows), copy=False)
    frame.columns = pd.Index(table.column_names, dtype=object)
    return frame


def is_frame(value: Any) -> bool:
    """Return whether :func:`to_pandas` takes a value."""
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) in _FRAMES


_FRAMES = {("pandas", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch"), ("polars", "DataFrame")}
