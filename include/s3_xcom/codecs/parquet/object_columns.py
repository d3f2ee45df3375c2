"""Columns of Python objects as Arrow arrays.

A column of one type, with at most one kind of missing value, gets Arrow's type for it if that keeps all of
each object; :mod:`.object_types` lists the types. Any other column is an array of strings, each the JSON text
of one object (:mod:`include.s3_xcom.codecs.tagged_json`).
"""

from __future__ import annotations

import contextlib
import marshal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.parquet import object_types
from include.s3_xcom.codecs.parquet.object_types import NotExactError, Spec
from include.s3_xcom.errors import UnsupportedValueError

_MISSING = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT}
_MISSING_NAMES = {type(value): name for name, value in _MISSING.items()}

_CONSTANTS = {bool, type(None)}

_FEW = 100

_BEFORE_LETTERS = len(marshal.dumps([]))

_MAX_JOINED = 2**31 // 4
"""Characters of joined texts, of at most 4 bytes each: Arrow's offsets have 32 bits."""

_REFUSALS = (NotExactError, UnsupportedValueError, pa.ArrowException, OverflowError, UnicodeEncodeError)
"""Errors that mean that Arrow's type does not hold the objects.

Examples are an integer beyond 64 bits and a lone surrogate. Any other error is a fault of this program.
"""


def encode(values: np.ndarray) -> tuple[pa.Array, Spec]:
    """Return Python objects as an Arrow array, and the specification that decoding needs.

    :raises UnsupportedValueError: if one cannot be pushed; its path has the object's position
    """
    array, spec = encode_list(values.tolist())
    return array, {"kind": "object", **spec}


def encode_json(values: np.ndarray) -> tuple[pa.Array, Spec]:
    """Return Python objects as JSON, whatever they are. The results are those of :func:`encode`."""
    items = values.tolist()
    return _encode_texts(items, _types(items)), {"kind": "object", "content": "json"}


def decode(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    """Decode what :func:`encode` or :func:`encode_json` returned."""
    content = spec["content"]
    if content == "json":
        return object_types.objects(_decode_texts(array))
    values = object_types.BY_NAME[content].decode(array, spec)
    missing = spec.get("missing", "None")
    if not values.flags.writeable:  # pandas 3 gives a read-only view
        values = values.copy()
    if array.null_count and (missing != "None" or content in object_types.NUMBERS):
        values[array.is_null().to_numpy()] = _MISSING[missing]
    return values


def _decode_texts(array: pa.ChunkedArray) -> list:
    values = []
    for texts in array.fill_null("null").chunks:  # a field is null where the dict around it is null
        whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
        values += tagged_json.loads_many(pc.binary_join(whole, ",")[0].as_py(), len(texts))
    return values


def encode_list(items: list, above: tuple[list, ...] = ()) -> tuple[pa.Array, Spec]:
    """Encode a list as :func:`encode` does.

    :param above: containers that hold the objects, level by level
    """
    types = _types(items)
    contents, missing = _sort_types(items, types)
    if len(contents) <= 1 and len(missing) <= 1:
        content = next(iter(contents), type(None))
        column_type = object_types.BY_TYPE.get(content)
        if column_type is not None:
            try:
                array, spec = column_type.encode(items, not missing <= {"None"}, above)
            except _REFUSALS:
                pass
            else:
                return array, {"content": column_type.name, "missing": next(iter(missing), "None"), **spec}
    return _encode_texts(items, types), {"content": "json"}


def _types(items: list) -> set[type]:
    """Return the types of objects.

    For booleans and None, marshal tells them in a third of the time: it writes one letter for each, and that
    letter for nothing else::

        [True, None, False]    "[" 3 0 0 0 "T" "N" "F"
    """
    if _CONSTANTS.issuperset(map(type, items[:_FEW])):
        with contextlib.suppress(ValueError):  # for objects that it cannot write
            letters = marshal.dumps(items)[_BEFORE_LETTERS:]
            if len(letters) == len(items) and not letters.translate(None, b"TFN"):
                booleans = {bool} if b"T" in letters or b"F" in letters else set()
                return booleans | ({type(None)} if b"N" in letters else set())
    return set(map(type, items))


def _encode_texts(items: list, types: set[type]) -> pa.Array:
    """Return each object's JSON text; texts of scalars are made at once, separated by line breaks."""
    joined = tagged_json.join_scalars(items, types)
    if joined is not None and len(joined) < _MAX_JOINED:
        texts = pc.split_pattern(pa.array([joined]), "\n")[0].values
        longest = pc.max(pc.binary_length(texts)).as_py()
        if longest <= tagged_json.MAX_SHORT or tagged_json.are_plain(items):
            return texts
    return pa.array(tagged_json.dumps_many(items), pa.string())


def _sort_types(items: list, types: set[type]) -> tuple[set[type], set[str]]:
    """Return the types of the objects, and separately the kinds of missing values."""
    contents = types - set(_MISSING_NAMES)
    missing = types & set(_MISSING_NAMES)
    if float in types and (not contents or any(type(x) is float and x == x for x in items)):
        contents.add(float)  # NaN is one of the numbers then
        missing.discard(float)
    return contents, {_MISSING_NAMES[kind] for kind in missing}
