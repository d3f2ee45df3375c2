"""Arrow types that Parquet takes but pyarrow does not read back: they are stored as types that it does.

======================  =======================================================================
type                    stored as
======================  =======================================================================
dictionary              its values; the dictionary is kept beside the column
fixed_size_list         list
null, within others     bool
decimal of scale < 0    decimal of scale 0
timestamp[s]            int64, if a time is beyond what milliseconds hold
list, struct, map       the same type of the stored types of its values; a map as a list of structs
======================  =======================================================================

An example, whose dictionary is ["b", "a"]::

    fixed_size_list<dictionary<string>>[2]    [["a", "b"], null]    indices 1 0 . .
    list<string>                              [["a", "b"], null]    offsets 0 2 2, values a b
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.s3_xcom.errors import FormatError, UnsupportedValueError

Arrow = TypeVar("Arrow", pa.Array, pa.ChunkedArray)

_MAX_SECONDS = 2**63 // 1000

_MAX_DIGITS = {pa.Decimal128Type: 38, pa.Decimal256Type: 76}

_KEPT = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double"),
    *("string", "large_string", "binary", "large_binary"),
    *("date32[day]", "date64[ms]", "time32[s]", "time32[ms]", "time64[us]", "time64[ns]"),
}
"""Names of types that come back from Parquet; :func:`_is_kept` has the families of types."""


def stored(array: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[pa.Array]]:
    """Return an array as Parquet keeps it, and the dictionaries in it, for :func:`rebuilt`.

    :raises UnsupportedValueError: if it would come back changed
    """
    kind = array.type
    dictionaries: list[pa.Array] = []
    try:
        if _is_changed(kind):
            array = pa.chunked_array([_stored(_in_one(array), dictionaries)])
        if not _is_kept(array.type):
            _try(array)
    except (pa.ArrowException, OSError, FormatError) as error:
        raise UnsupportedValueError(
            f"Arrow's type {kind} does not come back from Parquet ({type(error).__name__}). Convert it with "
            "astype() first"
        ) from None
    return array, dictionaries


def rebuilt(array: pa.ChunkedArray, kind: pa.DataType, dictionaries: list[pa.Array]) -> pa.ChunkedArray:
    """Return an array in its original type. Inverse of :func:`stored`."""
    if not _is_changed(kind):
        return _named_as(array, kind)
    return pa.chunked_array([_rebuilt(chunk, kind, iter(dictionaries)) for chunk in array.chunks], kind)


def _named_as(array: Arrow, kind: pa.DataType) -> Arrow:
    """Return an array with the field names of ``kind``: Parquet renames the fields of some types."""
    return array if str(array.type) == str(kind) else array.cast(kind)


def _in_one(array: pa.ChunkedArray) -> pa.Array:
    """Return a chunked array as one array, in which each dictionary is one.

    :raises pyarrow.ArrowInvalid: if it has more bytes of text than one array holds
    """
    whole = array.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        if whole.num_chunks > 1:
            raise pa.ArrowInvalid
        return whole.chunk(0) if whole.num_chunks else pa.array([], array.type)
    return whole


def _is_changed(kind: pa.DataType, *, is_within: bool = False) -> bool:
    """Return whether a type may be stored as another type."""
    types = pa.types
    if types.is_null(kind):
        return is_within
    if types.is_timestamp(kind):
        return kind.unit == "s"
    if types.is_decimal(kind):
        return kind.scale < 0
    if types.is_dictionary(kind) or types.is_fixed_size_list(kind):
        return True
    return any(_is_changed(child, is_within=True) for child in _children(kind))


def _children(kind: pa.DataType) -> list[pa.DataType]:
    """Return the types that a struct, list or map is made of."""
    if pa.types.is_struct(kind):
        return [kind[i].type for i in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [kind.key_type, kind.item_type]
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return [kind.value_type] if is_list else []


def _is_kept(kind: pa.DataType) -> bool:
    """Return whether arrays of a type are known to come back from Parquet. Other types are tried."""
    types = pa.types
    families = (types.is_timestamp, types.is_duration, types.is_decimal, types.is_fixed_size_binary)
    if str(kind) in _KEPT or any(family(kind) for family in families) or types.is_null(kind):
        return True
    children = _children(kind)
    return bool(children) and all(map(_is_kept, children))


def _stored(array: pa.Array, dictionaries: list[pa.Array]) -> pa.Array:
    kind, types = array.type, pa.types
    if not _is_changed(kind, is_within=True):
        return array
    if types.is_null(kind):
        return pa.nulls(len(array), pa.bool_())
    if types.is_timestamp(kind):
        return stored_seconds(array)
    if types.is_decimal(kind):
        digits = min(kind.precision - kind.scale, _MAX_DIGITS[type(kind)])
        make = pa.decimal128 if isinstance(kind, pa.Decimal128Type) else pa.decimal256
        return array.cast(make(digits, 0))
    if types.is_dictionary(kind):
        dictionaries.append(_searchable(array.dictionary))
        return _stored(array.dictionary_decode(), dictionaries)
    if types.is_struct(kind):
        fields = [_stored(field, dictionaries) for field in array.flatten()]
        names = [kind[i].name for i in range(kind.num_fields)]
        stored_kind = pa.struct([pa.field(name, field.type) for name, field in zip(names, fields)])
        return _struct(stored_kind, fields, array)
    if types.is_map(kind):
        if _is_changed(kind.key_type, is_within=True):  # rebuilding its keys can end the process (pyarrow 25)
            raise pa.ArrowNotImplementedError
        array = array.cast(pa.list_(_entries(kind)))
    values = _stored(_values(array), dictionaries)
    make = pa.large_list if types.is_large_list(kind) else pa.list_
    return _lists(make(values.type), values, array)


def stored_seconds(array: pa.Array) -> pa.Array:
    """Return times in seconds, as integers if one is beyond what milliseconds hold."""
    if array.type.unit != "s":
        return array
    seconds = array.cast(pa.int64())
    limits = pc.min_max(seconds).as_py().values()
    return seconds if any(limit is not None and abs(limit) >= _MAX_SECONDS for limit in limits) else array


def _rebuilt(array: pa.Array, kind: pa.DataType, dictionaries: Iterator[pa.Array]) -> pa.Array:
    types = pa.types
    if not _is_changed(kind, is_within=True):
        return _named_as(array, kind)
    if types.is_null(kind):
        return pa.nulls(len(array))
    if types.is_timestamp(kind) or types.is_decimal(kind):
        return array.cast(kind)
    if types.is_dictionary(kind):
        dictionary = next(dictionaries)
        values = _rebuilt(array, kind.value_type, dictionaries)
        indices = pc.index_in(values, value_set=dictionary).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=kind.ordered)
    if types.is_struct(kind):
        fields = [_rebuilt(field, kind[i].type, dictionaries) for i, field in enumerate(array.flatten())]
        return _struct(kind, fields, array)
    if types.is_map(kind):
        return _lists(kind, _rebuilt(_values(array), _entries(kind), dictionaries), array)
    values = _rebuilt(_values(array), kind.value_type, dictionaries)
    if not types.is_fixed_size_list(kind):
        return _lists(kind, values, array)
    # In a fixed-size list, a null takes as much room as values do.
    is_valid = _is_valid(array)
    starts = (np.cumsum(is_valid) - 1) * kind.list_size
    places = (starts[:, np.newaxis] + np.arange(kind.list_size)).ravel()
    places = pa.array(places, mask=np.repeat(~is_valid, kind.list_size))
    return pa.Array.from_buffers(kind, len(array), [_validity(array)], children=[values.take(places)])


def _entries(kind: pa.MapType) -> pa.StructType:
    return pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])


def _struct(kind: pa.DataType, fields: list[pa.Array], like: pa.Array) -> pa.Array:
    """Return structs of some fields, with nulls where ``like`` has them."""
    return pa.Array.from_buffers(kind, len(like), [_validity(like)], children=fields)


def _lists(kind: pa.DataType, values: pa.Array, like: pa.Array) -> pa.Array:
    """Return lists as long as those of ``like``, with nulls where it has them."""
    is_valid = _is_valid(like)
    if pa.types.is_fixed_size_list(like.type):
        lengths = np.where(is_valid, like.type.list_size, 0)
    else:
        lengths = np.where(is_valid, np.diff(like.offsets.to_numpy()), 0)
    width = "i8" if pa.types.is_large_list(kind) else "i4"
    offsets = pa.py_buffer(np.cumsum([0, *lengths], dtype=width))
    return pa.Array.from_buffers(kind, len(like), [_validity(like), offsets], children=[values])


def _values(array: pa.Array) -> pa.Array:
    """Return the values of all lists that are not null, one after the other."""
    if array.null_count == len(array):  # pyarrow 11 fails to flatten fixed-size lists then
        return pa.array([], array.type.value_type)
    return array.flatten()


def _is_valid(array: pa.Array) -> np.ndarray:
    return array.is_valid().to_numpy(zero_copy_only=False)


def _validity(array: pa.Array) -> pa.Buffer | None:
    return pa.py_buffer(np.packbits(_is_valid(array), bitorder="little")) if array.null_count else None


def _searchable(dictionary: pa.Array) -> pa.Array:
    """Return a dictionary after checking that each of its values can be looked up.

    :raises pyarrow.ArrowException: if one cannot
    """
    found = pc.index_in(dictionary, value_set=dictionary)
    if dictionary.null_count or found.to_pylist() != list(range(len(dictionary))):
        raise pa.ArrowInvalid
    return dictionary


def _try(array: pa.ChunkedArray) -> None:
    """Write an array in two row groups, and check that it is read back equal.

    :raises pyarrow.ArrowException: if it is not
    """
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": array}), sink, version="2.6", row_group_size=max(1, (len(array) + 1) // 2))
    again = rebuilt(pq.read_table(pa.BufferReader(sink.getvalue())).column(0), array.type, [])
    again.validate(full=True)
    # NaN does not equal itself, but its text does.
    if not again.equals(array) and str(again.to_pylist()) != str(array.to_pylist()):
        raise pa.ArrowInvalid
