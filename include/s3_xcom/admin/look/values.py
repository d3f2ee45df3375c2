"""Values in memory to show, such as the members of an archive."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.admin.look import columns, texts, trees
from include.s3_xcom.admin.look.shown import At, Shown


def of_value(value: Any, at: At) -> Shown:
    """Return what to show of any value.

    :param at: position from which a table is shown
    """
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        return _of_pandas(value, at)
    if module == "numpy" and hasattr(value, "shape") and value.shape:
        from include.s3_xcom.admin.look import arrays

        return arrays.of_array(value, at)
    if type(value).__name__ == "Table" and module == "pyarrow":
        from include.s3_xcom.admin.look import tables

        return tables.of_arrow_table(value, at)
    if isinstance(value, (bytes, bytearray)):
        return Shown([f"{len(value):,} bytes"], text=texts.hexadecimal(bytes(value)))
    if isinstance(value, str):
        return texts.of_text(value.encode("utf-8", "surrogatepass"), is_all=True)
    return Shown(tree=trees.tree(value))


def _of_pandas(value: Any, at: At) -> Shown:
    rows, count = len(value), value.shape[1] if len(value.shape) > 1 else 1
    at = at.within(rows, count)
    some = value.iloc[at.row :] if hasattr(value, "iloc") else value[at.row :]
    if len(value.shape) > 1:
        some = some.iloc[:, at.columns(count)]
    return Shown(table=columns.table(columns.of_frame(some), at, rows, count))
