"""Columns of dicts, lists and tuples as Arrow's structs and lists, which standard tools read.

Only dicts with the same keys become structs: Arrow knows no missing key. Their values are columns in turn,
and the elements of all lists are one long column::

    [[1, 2], None, [], [3]]     values 1 2 3; offsets 0 2 2 2 3; null: the second
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pyarrow as pa

from include.s3_xcom.codecs.tagged_json import runs
from include.s3_xcom.errors import FormatError

MAX_DEPTH = 8
"""Containers within containers, at most, that are stored as structs and lists; deeper ones are JSON."""

MAX_FIELDS = 100
"""Fields of a struct, at most. Each is a separate column, which takes some 100 bytes and microseconds."""

MAX_ELEMENTS = 2**31 - 1
"""Elements of all lists of a column, at most: Arrow counts them with 32 bits."""


class NotExactError(Exception):
    """A type of Arrow's that would change an object."""


def encode_dicts(items: list, from_pandas: bool, above: tuple[list, ...]) -> tuple[pa.Array, dict[str, Any]]:
    """Return dicts as structs, as :attr:`.ColumnType.encode` says."""
    from include.s3_xcom.codecs.parquet import object_columns

    present = [item for item in items if type(item) is dict]
    _require_new(present, above)
    names = runs.common_keys(present)
    if not names or len(names) > MAX_FIELDS or "" in names:
        raise NotExactError
    has_nulls = len(present) < len(items)
    nothing = dict.fromkeys(names)
    filled = [item if type(item) is dict else nothing for item in items] if has_nulls else items
    arrays, specs = {}, []
    for name in names:
        array, spec = object_columns.encode_list(
            list(map(operator.itemgetter(name), filled)), (*above, present)
        )
        arrays[name] = _typed(array)
        specs.append(spec)
    return struct(arrays, _validity(items, dict) if has_nulls else None), {"fields": specs}


def decode_dicts(array: pa.ChunkedArray, spec: dict[str, Any]) -> np.ndarray:
    """Decode what :func:`encode_dicts` returned.

    :raises FormatError: if the specification has more or fewer fields
    """
    from include.s3_xcom.codecs.parquet import object_columns

    if len(spec["fields"]) != array.type.num_fields:
        raise FormatError("The stored dicts have other fields than what lies beside them says.")
    names = [array.type[i].name for i in range(array.type.num_fields)]
    columns = [
        object_columns.decode(column, inner).tolist() for column, inner in zip(fields(array), spec["fields"])
    ]
    values = np.empty(len(array), dtype=object)
    values[:] = [dict(zip(names, row)) for row in zip(*columns)]
    values[array.is_null().to_numpy()] = None
    return values


def encode_lists(items: list, from_pandas: bool, above: tuple[list, ...]) -> tuple[pa.Array, dict[str, Any]]:
    """Return lists, or tuples, as Arrow's lists, as :attr:`.ColumnType.encode` says."""
    from include.s3_xcom.codecs.parquet import object_columns

    present = [item for item in items if type(item) in (list, tuple)]
    _require_new(present, above)
    elements = list(itertools.chain.from_iterable(present))
    if len(elements) > MAX_ELEMENTS:
        raise NotExactError
    array, spec = object_columns.encode_list(elements, (*above, present))
    array = _typed(array)
    kind = type(present[0])
    has_nulls = len(present) < len(items)
    sizes = [len(item) if type(item) is kind else 0 for item in items] if has_nulls else map(len, items)
    offsets = np.zeros(len(items) + 1, "i4")
    np.cumsum(np.fromiter(sizes, "i4", len(items)), out=offsets[1:])
    buffers = [_validity(items, kind) if has_nulls else None, pa.py_buffer(offsets)]
    lists = pa.Array.from_buffers(pa.list_(array.type), len(items), buffers, children=[array])
    return lists, {"items": spec}


def decode_lists(array: pa.ChunkedArray, spec: dict[str, Any], kind: type = list) -> np.ndarray:
    """Decode lists that :func:`encode_lists` returned."""
    from include.s3_xcom.codecs.parquet import object_columns

    values = np.empty(len(array), dtype=object)
    at = 0
    for chunk in array.chunks:
        offsets = chunk.offsets.to_numpy()
        first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
        inner = pa.chunked_array([chunk.values.slice(first, last - first)])
        elements = kind(object_columns.decode(inner, spec["items"]).tolist())
        starts = (offsets - first).tolist()
        values[at : at + len(chunk)] = [elements[i:j] for i, j in zip(starts, starts[1:])]  # noqa: RUF007 - Python 3.9 has no pairwise
        at += len(chunk)
    values[array.is_null().to_numpy()] = None
    return values


def decode_tuples(array: pa.ChunkedArray, spec: dict[str, Any]) -> np.ndarray:
    """Decode tuples that :func:`encode_lists` returned."""
    return decode_lists(array, spec, tuple)


def struct(arrays: dict[str, pa.Array], validity: pa.Buffer | None = None) -> pa.StructArray:
    """Return arrays side by side as structs.

    :param validity: one bit for each struct; None: no struct is null
    """
    kind = pa.struct([pa.field(name, array.type) for name, array in arrays.items()])
    length = len(next(iter(arrays.values())))
    return pa.Array.from_buffers(kind, length, [validity], children=list(arrays.values()))


def fields(array: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """Return the arrays within structs, with a null in each where the struct is null."""
    flat = [chunk.flatten() for chunk in array.chunks]
    kinds = [array.type[i].type for i in range(array.type.num_fields)]
    return [pa.chunked_array([chunk[i] for chunk in flat], kind) for i, kind in enumerate(kinds)]


def _require_new(present: list, above: tuple[list, ...]) -> None:
    """Refuse containers within themselves, which never end, or each other, which grow with each level."""
    if len(above) > MAX_DEPTH:
        raise NotExactError
    if above:
        ids = set(map(id, present))
        if not all(ids.isdisjoint(map(id, level)) for level in above):
            raise NotExactError


def _validity(items: list, kind: type) -> pa.Buffer:
    present = np.fromiter((type(item) is kind for item in items), bool, len(items))
    return pa.py_buffer(np.packbits(present, bitorder="little"))


def _typed(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an array that can be within another.

    :raises NotExactError: for texts of more than 2 GiB, which Arrow keeps in several arrays
    """
    if isinstance(array, pa.ChunkedArray):
        raise NotExactError
    # Parquet has no structs and lists of the type null.
    return pa.nulls(len(array), pa.bool_()) if pa.types.is_null(array.type) else array
