"""Values in memory, such as the members of an archive."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.admin.look import columns, texts, trees
from include.s3_xcom.admin.look.shown import COLUMNS, At, Shown


def of_value(value: Any) -> Shown:
    """The start of a value of any kind."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        frame = columns.of_frame(value)
        some = columns.Values(frame.columns[:COLUMNS], frame.index)
        return Shown(table=columns.table(some, At(), len(value), len(frame.columns)))
    if module == "numpy" and hasattr(value, "shape") and value.shape:
        from include.s3_xcom.admin.look import arrays

        return arrays.of_array(value, At())
    if type(value).__name__ == "Table" and module == "pyarrow":
        from include.s3_xcom.admin.look import tables

        return tables.of_arrow_table(value, At())
    if isinstance(value, (bytes, bytearray)):
        return Shown([f"{len(value):,} bytes"], text=texts.hexadecimal(bytes(value)))
    if isinstance(value, str):
        return texts.of_text(value.encode("utf-8", "surrogatepass"), is_all=True)
    return Shown(tree=trees.tree(value))
