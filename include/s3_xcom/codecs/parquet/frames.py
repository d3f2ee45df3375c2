"""DataFrame and Series of pandas as Parquet.

The Parquet is an ordinary file with the frame's column names. What Parquet cannot hold (dtypes, labels, the
index) is tagged JSON in the key ``s3_xcom`` of its schema's metadata.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.parquet import columns, dictionaries, indexes, pandas_metadata, tables
from include.s3_xcom.codecs.tagged_json.tags import is_unicode
from include.s3_xcom.errors import UnsupportedValueError

METADATA_KEY = b"s3_xcom"

PARTS_KEY = b"s3_xcom_parts"
"""Key in files made of several frames: it holds the number of rows of each, and its metadata."""


def encode(value: Any) -> memoryview | None:
    """Return a DataFrame, Series, Index or pandas array as the bytes of a Parquet file; None for others.

    :raises UnsupportedValueError: if it would come back changed
    """
    return write(to_table(value)) if _is_pandas(value) else None


def stream(value: Any) -> Iterator[bytes] | None:
    """Return a large value's bytes in pieces; None if it is small. Raises what :func:`encode` raises."""
    if not _is_pandas(value) or value.size * _CELL_BYTES < tables.STREAMED_BYTES:
        return None
    return write_pieces(to_table(value))


def _is_pandas(value: Any) -> bool:
    is_own = type(value).__module__.partition(".")[0] == "pandas"
    return is_own and isinstance(value, (pd.DataFrame, pd.Series, pd.Index, pd.api.extensions.ExtensionArray))


_CELL_BYTES = 8
"""Bytes of most cells; strings and objects are usually longer."""


def decode(body: bytes | memoryview, pulling: Pulling) -> Any:
    """Decode what :func:`encode` returned.

    :raises FormatError: if :func:`encode` cannot have written the bytes
    """
    if pulling.arriving is None:
        return from_table(tables.decode(body, pulling))
    from include.s3_xcom.codecs.parquet import arriving

    return arriving.decode(body, pulling)


def to_table(value: Any, encode: indexes.Encode = columns.encode) -> pa.Table:
    """Return a frame, Series, Index or array as an Arrow table that holds all of it.

    :param encode: makes an array of each column, and then of each level of the index that is no range
    """
    try:
        attrs = tagged_json.to_json(getattr(value, "attrs", {}))
    except UnsupportedValueError as error:
        raise error.inside("attrs") from None
    kind, frame = _as_frame(value)
    arrays, specs = [], []
    for i in range(frame.shape[1]):
        try:
            array, spec = encode(columns.values_of(frame.iloc[:, i]))
        except UnsupportedValueError as error:
            raise error.inside(frame.columns[i]) from None
        arrays.append(array)
        specs.append(spec)
    index_arrays, index = indexes.encode_index(frame.index, encode)
    names = indexes.unique_names([*frame.columns, *indexes.index_names(frame.index)])
    meta = {
        "type": kind,
        "columns": specs,
        "index": index,
        "labels": indexes.encode_labels(frame.columns),
        "attrs": attrs,
        "duplicate_labels": frame.flags.allows_duplicate_labels,
    }
    if kind == "Series":
        meta["name"] = tagged_json.to_json(value.name)
    metadata = {METADATA_KEY: json.dumps(meta).encode(), **pandas_metadata.of(frame, names)}
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(names, [*arrays, *index_arrays])], metadata
    )
    return pa.Table.from_arrays([*arrays, *index_arrays], schema=schema)


def write(table: pa.Table) -> memoryview:
    """Return a table as the bytes of a Parquet file.

    :raises UnsupportedValueError: if Parquet has no type for one of its columns
    """
    with _refused_types():
        return tables.write(table, dictionaries.paths(table) or False)


def write_pieces(table: pa.Table) -> Iterator[bytes]:
    """Write a table in pieces, one for each row group. Raises what :func:`write` raises."""
    with _refused_types():
        yield from tables.write_pieces(table, dictionaries.paths(table) or False)


def write_by_size(table: pa.Table) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a Parquet file, in pieces if it is large. Raises what :func:`write` raises."""
    if table.nbytes < tables.STREAMED_BYTES:
        yield write(table)
    else:
        yield from write_pieces(table)


@contextlib.contextmanager
def _refused_types() -> Iterator[None]:
    """Name the type that Parquet lacks, if writing within the block fails for it.

    :raises UnsupportedValueError: for such a type
    """
    try:
        yield
    except pa.ArrowNotImplementedError as error:  # its text names the type, and no value
        raise UnsupportedValueError(
            f"Parquet cannot hold it ({error}). Convert it with astype() first"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise UnsupportedValueError(
            f"Parquet cannot hold it ({type(error).__name__}). Convert it with astype() first"
        ) from None


def slices(table: pa.Table, rows: int, size: int) -> Iterator[pa.Table]:
    """Yield the tables of a frame's batches.

    :param table: table of the frame, from :func:`to_table`
    :param rows: rows of the frame, which a table without columns does not tell
    :param size: rows of each batch
    """
    meta = json.loads(table.schema.metadata[METADATA_KEY])
    levels = meta["index"]["levels"]
    for start in range(0, rows, size):
        part = table.slice(start, size)
        length = min(size, rows - start)
        meta["index"]["levels"] = [indexes.slice_level(level, start, length) for level in levels]
        yield part.replace_schema_metadata({METADATA_KEY: json.dumps(meta).encode()})


def from_table(table: pa.Table, first: int | None = None, labels: Sequence[Any] | None = None) -> Any:
    """Rebuild what :func:`to_table` took.

    :param first: number of the first row, if the table holds only some rows
    :param labels: labels of the columns that the table still has; None: all
    :raises FormatError: if to_table() did not make it
    """
    metadata = table.schema.metadata or {}
    if PARTS_KEY in metadata:
        return _from_parts(table, json.loads(metadata[PARTS_KEY]), labels)
    meta = tagged_json.loads(metadata.get(METADATA_KEY, b"null"))
    names = indexes.decode_labels(meta["labels"])
    return _from_table(table, meta, first, None if labels is None else indexes.positions_of(labels, names))


def from_some(table: pa.Table, metadata: dict[bytes, bytes], first: int, positions: list[int]) -> Any:
    """Rebuild some rows of some columns of what :func:`to_table` took.

    :param table: those columns, followed by those of the index
    :param metadata: metadata of the file
    :param first: number of the first row; all rows are of one batch if the file is made of several frames
    :param positions: positions of the columns in the file
    """
    text = metadata.get(METADATA_KEY, b"null")
    if PARTS_KEY in metadata:
        parts = json.loads(metadata[PARTS_KEY])
        for rows, number in parts["parts"]:
            if first < rows:
                text = parts["texts"][number]
                break
            first -= rows
    return _from_table(table, tagged_json.loads(text), first, positions)


def _from_table(
    table: pa.Table, meta: dict[str, Any], first: int | None = None, positions: list[int] | None = None
) -> Any:
    if first is not None:
        levels = meta["index"]["levels"]
        meta["index"]["levels"] = [indexes.slice_level(level, first, table.num_rows) for level in levels]
    specs, names = meta["columns"], indexes.decode_labels(meta["labels"])
    if positions is not None:
        specs, names = [specs[i] for i in positions], names[positions]
    index = indexes.decode_index(table, len(specs), meta["index"])
    arrays = table.columns[: len(specs)]
    del table  # the arrays are the last references: each is freed once it is decoded
    return made_of([columns.decode(arrays.pop(0), spec) for spec in specs], index, names, meta)


def made_of(values: list[columns.Values], index: pd.Index, names: pd.Index, meta: dict[str, Any]) -> Any:
    """Return a frame, Series, Index or array made of decoded columns.

    :param names: labels of the columns
    :param meta: metadata of the file
    """
    if meta["type"] == "Index":
        return index
    if meta["type"] == "index array":
        return index.array
    if meta["type"] == "array":
        array = values[0]
        # Series.array is the class that pandas has for an array of numpy's.
        return pd.Series(array, dtype=array.dtype, copy=False).array if type(array) is np.ndarray else array
    frame = pd.DataFrame({i: _as_is(value, index) for i, value in enumerate(values)}, index=index, copy=False)
    frame.columns = names
    result = frame
    if meta["type"] == "Series":
        result = frame.iloc[:, 0]
        result.name = meta["name"]
    result.attrs.update(meta["attrs"])
    return result if meta["duplicate_labels"] else result.set_flags(allows_duplicate_labels=False)


def _from_parts(table: pa.Table, parts: dict[str, Any], labels: Sequence[Any] | None) -> pd.DataFrame:
    """Rebuild the frames of a file that is made of several, and join them."""
    texts, start, made = parts["texts"], 0, []
    for rows, number in parts["parts"]:
        meta = tagged_json.loads(texts[number])
        names = indexes.decode_labels(meta["labels"])
        positions = None if labels is None else indexes.positions_of(labels, names)
        made.append(_from_table(table.slice(start, rows), meta, None, positions))
        start += rows
    return joined(made)


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join frames of the same columns and dtypes.

    Indexes that are all ranges make one range; other indexes are joined. pandas.concat() would make NaN of
    other kinds of missing values, and lose the name of a range.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if all(type(part.index) is pd.RangeIndex for part in parts):
        index: pd.Index = pd.RangeIndex(sum(map(len, parts)), name=first.index.name)
    else:
        index = indexes.joined([part.index for part in parts])
    values = {}
    for i in range(first.shape[1]):
        whole = columns.joined([columns.values_of(part.iloc[:, i]) for part in parts])
        values[i] = _as_is(whole, index)
    frame = pd.DataFrame(values, index=index, copy=False)
    frame.columns = first.columns
    frame.attrs.update(first.attrs)
    may_repeat = first.flags.allows_duplicate_labels or not index.is_unique
    return frame if may_repeat else frame.set_flags(allows_duplicate_labels=False)


def column_count(schema: pa.Schema) -> int:
    """Return the number of columns of the frame in a file; those of the index come after them."""
    return len(json.loads(schema.metadata[METADATA_KEY])["columns"])


def specs_of(metadata: dict[bytes, bytes]) -> list[columns.Spec | None]:
    """Return the specification of each column of a stored frame; None if its batches have several."""
    parts = json.loads(metadata.get(PARTS_KEY, b"{}"))
    texts = parts["texts"] if parts else [metadata[METADATA_KEY]]
    return [_spec_of_all(specs) for specs in zip(*(json.loads(text)["columns"] for text in texts))]


def _spec_of_all(specs: Sequence[columns.Spec]) -> columns.Spec | None:
    with_values = [spec for spec in specs if spec.get("content") != "NoneType"] or list(specs)
    ways = {(spec["kind"], spec.get("content")) for spec in with_values}
    return with_values[0] if len(ways) == 1 else None


def stored_columns(schema: pa.Schema, labels: Sequence[Any] | None) -> tuple[list[str], int]:
    """Return the names in a file of some columns and, after them, of the index; and the number of the former.

    :param schema: schema of the file
    :param labels: labels of the columns; None: all
    :raises MissingColumnError: for a label that does not exist
    """
    meta = tagged_json.loads((schema.metadata or {}).get(METADATA_KEY, b"null"))
    count = len(meta["columns"])
    positions = (
        range(count)
        if labels is None
        else indexes.positions_of(labels, indexes.decode_labels(meta["labels"]))
    )
    return [schema.names[i] for i in positions] + schema.names[count:], len(positions)


def _as_is(values: columns.Values, index: pd.Index) -> Any:
    """Return a column's values so that DataFrame() does not guess another dtype for objects."""
    return pd.Series(values, index, dtype=object, copy=False) if values.dtype == object else values


def _as_frame(value: Any) -> tuple[str, pd.DataFrame]:
    if isinstance(value, pd.DataFrame):
        return "DataFrame", value
    if isinstance(value, pd.Index):
        return "Index", pd.DataFrame(index=value)
    if isinstance(value, pd.Series):
        # Only the name in the file: pandas 3 holds labels with lone surrogates only as objects.
        is_name = isinstance(value.name, str) and is_unicode(value.name)
        frame = value.to_frame(value.name if is_name else "values")
        return "Series", frame.set_flags(allows_duplicate_labels=value.flags.allows_duplicate_labels)
    if isinstance(value, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):  # these may have a freq
        return "index array", pd.DataFrame(index=pd.Index(value))
    if value.ndim != 1:
        raise UnsupportedValueError("an array of pandas can be pushed if it has one dimension")
    own = value.to_numpy() if isinstance(value.dtype, _NUMPYS_DTYPE) else value
    return "array", pd.Series(own, dtype=own.dtype).to_frame("values")


_NUMPYS_DTYPE = type(pd.Series([0]).array.dtype)
"""Class of the dtype of pandas' arrays around numpy's arrays, which was renamed in pandas 2.1."""
