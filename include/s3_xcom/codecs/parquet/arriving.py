"""A frame decoded while it comes: each row group as soon as its bytes are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.parquet import columns, frames, indexes, tables


def decode(body: memoryview, pulling: Pulling) -> Any:
    """Decode a frame as :func:`frames.decode` does, while its bytes come."""
    file = tables.open_file(body, pulling)
    metadata = file.schema_arrow.metadata or {}
    if frames.PARTS_KEY in metadata or not file.num_row_groups:
        pulling.arriving.wait(0, len(body))
        return frames.from_table(file.read(use_threads=tables.by_threads(len(body))))
    meta = tagged_json.loads(metadata.get(frames.METADATA_KEY, b"null"))
    specs = meta["columns"]
    growing = [_Column(spec, file.metadata.num_rows) for spec in specs]
    of_index = []
    for group in tables.read_groups(file, pulling):
        for column, array in zip(growing, group.columns):
            column.add(array)
        of_index.append(group.select(range(len(specs), group.num_columns)))
    index = indexes.decode_index(pa.concat_tables(of_index), 0, meta["index"])
    values = [growing.pop(0).values() for _ in specs]
    return frames.made_of(values, index, indexes.decode_labels(meta["labels"]), meta)


class _Column:
    """A column that is filled row group by row group: in place if its values are an array of numpy's."""

    def __init__(self, spec: columns.Spec, rows: int) -> None:
        self._spec = spec
        self._array: np.ndarray | None = None
        self._chunks: list[pa.ChunkedArray] = []
        self._rows = 0
        if spec["kind"] == "numpy":
            self._array = np.empty(rows, np.dtype(spec["dtype"]))
        elif spec["kind"] == "object":
            self._array = np.empty(rows, object)

    def add(self, array: pa.ChunkedArray) -> None:
        """Append a row group."""
        if self._array is None:
            self._chunks.append(array)
        else:
            self._array[self._rows : self._rows + len(array)] = columns.decode(array, self._spec)
            self._rows += len(array)

    def values(self) -> columns.Values:
        """Return the values of all row groups."""
        if self._array is not None:
            return self._array
        chunks = [chunk for array in self._chunks for chunk in array.chunks]
        return columns.decode(pa.chunked_array(chunks, self._chunks[0].type), self._spec)
