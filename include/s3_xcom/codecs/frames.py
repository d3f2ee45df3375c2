"""pandas' DataFrame and Series as Parquet.

The Parquet is an ordinary one, with the frame's own column names. What it cannot hold (dtypes, labels,
the index) lies beside it, in the key ``s3_xcom`` of its schema's metadata, as tagged JSON.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom.codecs import columns, tagged
from include.s3_xcom.codecs.encoded import Encoded
from include.s3_xcom.errors import FormatError, UnsupportedValueError

METADATA_KEY = b"s3_xcom"
CONTENT_TYPE = "application/vnd.apache.parquet"
"""https://www.iana.org/assignments/media-types/application/vnd.apache.parquet"""


def encode(value: pd.DataFrame | pd.Series) -> Encoded:
    """A frame as the bytes of a Parquet file.

    :raises UnsupportedValueError: if it would come back changed
    """
    table = to_table(value)
    sink = pa.BufferOutputStream()
    # 2.6 is the first version of the format that keeps nanoseconds.
    pq.write_table(table, sink, version="2.6")
    body = memoryview(sink.getvalue())
    name = f"pandas.{type(value).__name__}"
    return Encoded("parquet", body, len(body), ".parquet", CONTENT_TYPE, name, list(value.shape))


def decode(body: bytes) -> pd.DataFrame | pd.Series:
    """The frame that :func:`encode` got.

    :raises FormatError: if the bytes are nothing it writes
    """
    try:
        table = pq.read_table(pa.BufferReader(body))
    except pa.ArrowException as error:
        raise FormatError(f"The stored Parquet cannot be read ({type(error).__name__}).") from error
    return from_table(table)


def to_table(value: pd.DataFrame | pd.Series) -> pa.Table:
    """A frame as an Arrow table that holds all of it."""
    frame = value.to_frame("values" if value.name is None else value.name) if _is_series(value) else value
    arrays, specs = [], []
    for i in range(frame.shape[1]):
        try:
            array, spec = columns.encode(columns.values_of(frame.iloc[:, i]))
        except UnsupportedValueError as error:
            raise error.inside(frame.columns[i]) from None
        arrays.append(array)
        specs.append(spec)
    index_arrays, index = _encode_index(frame.index)
    names = _unique_names([*frame.columns, *_index_names(frame.index)[: len(index_arrays)]])
    meta = {
        "type": type(value).__name__,
        "columns": specs,
        "index": index,
        "labels": _encode_labels(frame.columns),
        "attrs": tagged.to_json(value.attrs),
        "duplicate_labels": value.flags.allows_duplicate_labels,
    }
    if _is_series(value):
        meta["name"] = tagged.to_json(value.name)
    metadata = {METADATA_KEY: json.dumps(meta).encode(), **_pandas_metadata(frame, names)}
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(names, [*arrays, *index_arrays])], metadata
    )
    return pa.Table.from_arrays([*arrays, *index_arrays], schema=schema)


def from_table(table: pa.Table) -> pd.DataFrame | pd.Series:
    """The frame that :func:`to_table` got.

    :raises FormatError: if the table is none of its
    """
    meta = tagged.loads((table.schema.metadata or {}).get(METADATA_KEY, b"null"))
    try:
        specs = meta["columns"]
        index = _decode_index(table, len(specs), meta["index"])
        # As Series of their own dtypes: from arrays of objects, pandas would guess other ones.
        values = [columns.decode(table.column(i), spec) for i, spec in enumerate(specs)]
        series = {i: pd.Series(value, dtype=value.dtype, copy=False) for i, value in enumerate(values)}
        frame = pd.DataFrame(series, copy=False) if series else pd.DataFrame(index=index)
        frame.index = index
        frame.columns = _decode_labels(meta["labels"])
        result = frame
        if meta["type"] == "Series":
            result = frame.iloc[:, 0]
            result.name = meta["name"]
        result.attrs.update(meta["attrs"])
        return result if meta["duplicate_labels"] else result.set_flags(allows_duplicate_labels=False)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"The stored Parquet is none of this backend's frames ({type(error).__name__})."
        ) from error


def _is_series(value: Any) -> bool:
    return isinstance(value, pd.Series)


def _encode_index(index: pd.Index) -> tuple[list[pa.Array], dict[str, Any]]:
    names = [tagged.to_json(name) for name in index.names]
    if type(index) is pd.RangeIndex:
        return [], {"kind": "range", "range": [index.start, index.stop, index.step], "names": names}
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    try:
        encoded = [columns.encode(columns.values_of(level)) for level in levels]
    except UnsupportedValueError as error:
        raise error.inside("index") from None
    spec = {"kind": "multi" if isinstance(index, pd.MultiIndex) else "index", "names": names}
    if getattr(index, "freq", None) is not None and not isinstance(index, pd.PeriodIndex):
        spec["freq"] = index.freqstr
    spec["levels"] = [level for _, level in encoded]
    return [array for array, _ in encoded], spec


def _decode_index(table: pa.Table, first: int, spec: dict[str, Any]) -> pd.Index:
    names = spec["names"]
    if spec["kind"] == "range":
        return pd.RangeIndex(*spec["range"], name=names[0])
    levels = [
        columns.to_index(columns.decode(table.column(first + i), level))
        for i, level in enumerate(spec["levels"])
    ]
    if spec["kind"] == "multi":
        return pd.MultiIndex.from_arrays(levels, names=names)
    index = levels[0].rename(names[0])
    if "freq" in spec:
        index.freq = spec["freq"]
    return index


def _encode_labels(labels: pd.Index) -> dict[str, Any]:
    """Column labels as an index of their own, whose arrays are texts."""
    arrays, spec = _encode_index(labels)
    return {**spec, "arrays": [columns.to_text(array) for array in arrays]}


def _decode_labels(spec: dict[str, Any]) -> pd.Index:
    arrays = [columns.from_text(text) for text in spec["arrays"]]
    table = pa.table(dict(zip(map(str, range(len(arrays))), arrays)))
    return _decode_index(table, 0, spec)


def _index_names(index: pd.Index) -> list[str]:
    """Names for the index's columns, as pandas gives them in its own Parquet."""
    return [name if isinstance(name, str) else f"__index_level_{i}__" for i, name in enumerate(index.names)]


def _unique_names(labels: list[Any]) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for label in labels:
        base = name = str(label).encode("utf-8", "replace").decode()
        count = 0
        while name in taken:
            count += 1
            name = f"{base}.{count}"
        taken.add(name)
        names.append(name)
    return names


def _pandas_metadata(frame: pd.DataFrame, names: list[str]) -> dict[bytes, bytes]:
    """What pandas.read_parquet looks for, if pandas itself could write this frame."""
    if not all(isinstance(label, str) for label in frame.columns):
        return {}
    try:
        schema = pa.Schema.from_pandas(frame.iloc[:0])
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        return {}
    if schema.names != names:
        return {}
    meta = json.loads(schema.metadata[b"pandas"])
    if type(frame.index) is pd.RangeIndex:
        bounds = {"start": frame.index.start, "stop": frame.index.stop, "step": frame.index.step}
        meta["index_columns"] = [{**meta["index_columns"][0], **bounds}]
    return {b"pandas": json.dumps(meta).encode()}
