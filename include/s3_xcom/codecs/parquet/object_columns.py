"""Columns of Python objects as Arrow arrays.

A column of one type, and at most one kind of missing value, gets Arrow's type for it where that tells all of
each object; :mod:`.object_types` lists the types. One of several scalar types gets a struct with a field for
each::

    [7, "a", None, 8]       int: 7, null, null, 8    str: null, "a", null, null    null: the third

Any other is an array of strings, each the JSON text of one object
(:mod:`include.s3_xcom.codecs.tagged_json`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.parquet import nested_columns, object_types
from include.s3_xcom.codecs.parquet.object_types import NotExactError, Spec
from include.s3_xcom.errors import UnsupportedValueError

_MISSING = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT}
_MISSING_NAMES = {type(value): name for name, value in _MISSING.items()}

_REFUSALS = (NotExactError, UnsupportedValueError, pa.ArrowException, OverflowError, ValueError)
"""What an encoder raises where Arrow's type does not hold the objects, such as an integer beyond 64 bits."""


def encode(values: np.ndarray) -> tuple[pa.Array, Spec]:
    """Python objects as Arrow, and the specification that decoding needs.

    :raises UnsupportedValueError: if one of them cannot be pushed; the path has its position
    """
    array, spec = encode_list(values.tolist())
    return array, {"kind": "object", **spec}


def decode(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    """Inverse of :func:`encode`."""
    content = spec["content"]
    if content == "json":
        return object_types.objects(_decode_texts(array))
    missing = spec.get("missing", "None")
    if content == "mixed":
        return _decode_mixed(array, spec["fields"], _MISSING[missing])
    values = object_types.BY_NAME[content].decode(array, spec)
    if not values.flags.writeable:  # pandas 3 gives a view
        values = values.copy()
    if array.null_count and (missing != "None" or content in object_types.NUMBERS):
        values[array.is_null().to_numpy()] = _MISSING[missing]
    return values


def _decode_texts(array: pa.ChunkedArray) -> list:
    values = []
    for texts in array.fill_null("null").chunks:  # there are nulls where a dict around it is one
        whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
        values += tagged_json.loads_many(pc.binary_join(whole, ",")[0].as_py(), len(texts))
    return values


def encode_list(items: list, above: tuple[list, ...] = ()) -> tuple[pa.Array, Spec]:
    """As :func:`encode`, for a list.

    :param above: the containers that the objects lie in, level by level
    """
    contents, missing = _sort_types(items)
    if len(missing) <= 1:
        try:
            array, spec = _encode_sorted(items, above, contents)
        except _REFUSALS:
            pass
        else:
            return array, {"missing": next(iter(missing), "None"), **spec}
    return pa.array(tagged_json.dumps_many(items), pa.string()), {"content": "json"}


def _encode_sorted(items: list, above: tuple[list, ...], contents: set[type]) -> tuple[pa.Array, Spec]:
    """Objects of some types and one kind of missing value.

    :raises NotExactError: where Arrow's types would change one; others: see ``_REFUSALS``
    """
    if len(contents) > 1:
        return _encode_mixed(items, contents)
    content = next(iter(contents), type(None))
    column_type = object_types.BY_TYPE.get(content)
    if column_type is None:
        raise NotExactError
    array, spec = column_type.encode(items, above)
    return array, {"content": column_type.name, **spec}


def _encode_mixed(items: list, contents: set[type]) -> tuple[pa.Array, Spec]:
    """Objects of several types as structs, each with one field that is not null."""
    if not contents <= object_types.SCALARS:
        raise NotExactError
    kinds = sorted(contents, key=lambda kind: kind.__name__)
    of_missing = len(kinds)
    numbers = {**dict.fromkeys(_MISSING_NAMES, of_missing), **{kind: i for i, kind in enumerate(kinds)}}
    which = np.frombuffer(bytes(map(numbers.__getitem__, map(type, items))), "u1")
    values = object_types.objects(items)
    arrays, specs = {}, {}
    for number, kind in enumerate(kinds):
        column_type = object_types.BY_TYPE[kind]
        own = np.where(which == number, values, None).tolist()
        arrays[column_type.name], specs[column_type.name] = column_type.encode(own, ())
    is_there = which != of_missing
    validity = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    return nested_columns.struct(arrays, validity), {"content": "mixed", "fields": specs}


def _decode_mixed(array: pa.ChunkedArray, specs: dict[str, Spec], missing: object) -> np.ndarray:
    values = np.full(len(array), missing, dtype=object)
    for field, (name, spec) in zip(nested_columns.fields(array), specs.items()):
        is_there = field.is_valid()
        own = object_types.BY_NAME[name].decode(field.filter(is_there), spec)
        values[is_there.to_numpy()] = own
    return values


def _sort_types(items: list) -> tuple[set[type], set[str]]:
    """The types of the objects, and apart from them the kinds of missing values."""
    types = set(map(type, items))
    contents = types - set(_MISSING_NAMES)
    missing = types & set(_MISSING_NAMES)
    if float in types and (not contents or any(type(x) is float and x == x for x in items)):
        contents.add(float)  # numbers among which NaN is one more
        missing.discard(float)
    return contents, {_MISSING_NAMES[kind] for kind in missing}
