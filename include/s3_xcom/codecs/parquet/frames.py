"""pandas' DataFrame and Series as Parquet.

The Parquet is an ordinary one, with the frame's own column names. What it cannot hold (dtypes, labels,
the index) lies beside it, in the key ``s3_xcom`` of its schema's metadata, as tagged JSON.
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
from include.s3_xcom.errors import FormatError, UnsupportedValueError

METADATA_KEY = b"s3_xcom"

PARTS_KEY = b"s3_xcom_parts"
"""In files made of frames that came one after the other: for each its number of rows, and what it is."""


def encode(value: Any) -> memoryview | None:
    """A DataFrame, Series, Index or pandas array as the bytes of a Parquet file.

    :raises UnsupportedValueError: if it would come back changed
    """
    return write(to_table(value)) if _is_pandas(value) else None


def stream(value: Any) -> Iterator[bytes] | None:
    """The same of a large one, piece by piece; None if it is small. Errors as of :func:`encode`."""
    if not _is_pandas(value) or value.size * _CELL_BYTES < tables.STREAMED_BYTES:
        return None
    return write_pieces(to_table(value))


def _is_pandas(value: Any) -> bool:
    is_own = type(value).__module__.partition(".")[0] == "pandas"
    return is_own and isinstance(value, (pd.DataFrame, pd.Series, pd.Index, pd.api.extensions.ExtensionArray))


_CELL_BYTES = 8
"""Of most cells; strings and objects are longer, most often."""


def decode(body: bytes | memoryview, pulling: Pulling) -> Any:
    """Inverse of :func:`encode`.

    :raises FormatError: if the bytes are nothing it writes
    """
    if pulling.arriving is None:
        return from_table(tables.decode(body, pulling))
    from include.s3_xcom.codecs.parquet import arriving

    return arriving.decode(body, pulling)


def to_table(value: Any, encode: indexes.Encode = columns.encode) -> pa.Table:
    """A frame, Series, Index or array as an Arrow table that holds all of it.

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
    """A table as the bytes of a Parquet file.

    :raises UnsupportedValueError: if Parquet has no type for one of its columns
    """
    with _refused_types():
        return tables.write(table, **_options(table))


def write_pieces(table: pa.Table) -> Iterator[bytes]:
    """The same in pieces, a row group each. Errors as of :func:`write`."""
    with _refused_types():
        yield from tables.write_pieces(table, **_options(table))


def write_by_size(table: pa.Table) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a Parquet file: in pieces if the table is large. Errors as of :func:`write`."""
    if table.nbytes < tables.STREAMED_BYTES:
        yield write(table)
    else:
        yield from write_pieces(table)


@contextlib.contextmanager
def _refused_types() -> Iterator[None]:
    """Name the types that Parquet lacks.

    :raises UnsupportedValueError: for them
    """
    try:
        yield
    except pa.ArrowNotImplementedError as error:  # which names the type, and no value
        raise UnsupportedValueError(
            f"Parquet cannot hold it ({error}). Convert it with astype() first"
        ) from None
    except FormatError as error:
        raise UnsupportedValueError(
            f"with its names and attrs it would not be read again ({error})"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise UnsupportedValueError(
            f"Parquet cannot hold it ({type(error).__name__}). Convert it with astype() first"
        ) from None


def _options(table: pa.Table) -> dict[str, Any]:
    # 2.6 is the first version of the format that keeps nanoseconds.
    return {"version": "2.6", "use_dictionary": dictionaries.paths(table) or False}


def slices(table: pa.Table, rows: int, size: int) -> Iterator[pa.Table]:
    """The tables of a frame's batches.

    :param table: of the frame, from :func:`to_table`
    :param rows: of the frame; a table without columns has none
    :param size: rows in each batch
    """
    meta = json.loads(table.schema.metadata[METADATA_KEY])
    levels = meta["index"]["levels"]
    for start in range(0, rows, size):
        part = table.slice(start, size)
        length = min(size, rows - start)
        meta["index"]["levels"] = [indexes.slice_level(level, start, length) for level in levels]
        yield part.replace_schema_metadata({METADATA_KEY: json.dumps(meta).encode()})


def from_table(table: pa.Table, first: int | None = None, labels: Sequence[Any] | None = None) -> Any:
    """Inverse of :func:`to_table`.

    :param first: for some rows of the table that was made, the number of the first of them
    :param labels: of the columns that the table still has; None: all
    :raises FormatError: if to_table() did not make it
    """
    metadata = table.schema.metadata or {}
    if PARTS_KEY in metadata:
        return _from_parts(table, json.loads(metadata[PARTS_KEY]), labels)
    meta = tagged_json.loads(metadata.get(METADATA_KEY, b"null"))
    names = indexes.decode_labels(meta["labels"])
    return _from_table(table, meta, first, None if labels is None else indexes.positions_of(labels, names))


def from_some(table: pa.Table, metadata: dict[bytes, bytes], first: int, positions: list[int]) -> Any:
    """Some rows of some columns of what :func:`to_table` took.

    :param table: of those columns, with those of the index behind them
    :param metadata: of the file
    :param first: number of the first row; all are of one batch, if the file is made of several frames
    :param positions: of the columns, in the file
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
    del table  # with the arrays, each of which is freed when it is decoded
    return made_of([columns.decode(arrays.pop(0), spec) for spec in specs], index, names, meta)


def made_of(values: list[columns.Values], index: pd.Index, names: pd.Index, meta: dict[str, Any]) -> Any:
    """A frame, Series, Index or array of its decoded parts.

    :param names: the labels of the columns
    :param meta: what lies beside the Parquet
    """
    if meta["type"] == "Index":
        return index
    if meta["type"] == "index array":
        return index.array
    if meta["type"] == "array":
        array = values[0]
        # Series.array is pandas' own class for an array of numpy's.
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
    """The frames of a file that is made of several, joined."""
    texts, start, made = parts["texts"], 0, []
    for rows, number in parts["parts"]:
        meta = tagged_json.loads(texts[number])
        names = indexes.decode_labels(meta["labels"])
        positions = None if labels is None else indexes.positions_of(labels, names)
        made.append(_from_table(table.slice(start, rows), meta, None, positions))
        start += rows
    return joined(made)


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames of the same columns and dtypes, one behind the other.

    Where the index of each is a range, theirs is one; otherwise it is made of theirs. pandas.concat() would
    make NaN of other kinds of missing values, and lose the name of a range.
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
    """How many columns the frame in a file has; those of the index stand behind them."""
    return len(json.loads(schema.metadata[METADATA_KEY])["columns"])


def specs_of(metadata: dict[bytes, bytes]) -> list[columns.Spec | None]:
    """Return how each column of a stored frame is stored; None where its parts are in several ways."""
    parts = json.loads(metadata.get(PARTS_KEY, b"{}"))
    texts = parts["texts"] if parts else [metadata[METADATA_KEY]]
    return [_spec_of_all(specs) for specs in zip(*(json.loads(text)["columns"] for text in texts))]


def _spec_of_all(specs: Sequence[columns.Spec]) -> columns.Spec | None:
    with_values = [spec for spec in specs if spec.get("content") != "NoneType"] or list(specs)
    ways = {(spec["kind"], spec.get("content")) for spec in with_values}
    return with_values[0] if len(ways) == 1 else None


def stored_columns(schema: pa.Schema, labels: Sequence[Any] | None) -> tuple[list[str], int]:
    """The names of some columns in a file, with those of the index behind them; and how many columns it is.

    :param schema: of the file
    :param labels: of the columns; None: all
    :raises MissingColumnError: for a label that there is not
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
    """A column's values for a DataFrame, which would guess another dtype for an array of objects."""
    return pd.Series(values, index, dtype=object, copy=False) if values.dtype == object else values


def _as_frame(value: Any) -> tuple[str, pd.DataFrame]:
    if isinstance(value, pd.DataFrame):
        return "DataFrame", value
    if isinstance(value, pd.Index):
        return "Index", pd.DataFrame(index=value)
    if isinstance(value, pd.Series):
        # The name in the file alone: pandas 3 has no labels with lone surrogates but objects.
        is_name = isinstance(value.name, str) and tagged_json.is_unicode(value.name)
        frame = value.to_frame(value.name if is_name else "values")
        return "Series", frame.set_flags(allows_duplicate_labels=value.flags.allows_duplicate_labels)
    if isinstance(value, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):  # which may have a freq
        return "index array", pd.DataFrame(index=pd.Index(value))
    if value.ndim != 1:
        raise UnsupportedValueError("an array of pandas can be pushed if it has one dimension")
    own = value.to_numpy() if isinstance(value.dtype, _NUMPYS_DTYPE) else value
    return "array", pd.Series(own, dtype=own.dtype).to_frame("values")


_NUMPYS_DTYPE = type(pd.Series([0]).array.dtype)
"""The class of dtypes of pandas' own arrays around numpy's, which has another name since pandas 2.1."""
