"""Indexes and column labels: their arrays in a table, their metadata, and their names in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import pandas_releases, tagged_json
from include.s3_xcom.codecs.parquet import columns
from include.s3_xcom.errors import MissingColumnError, UnsupportedValueError

MAX_UNUSED = 1000
"""Unused values of a MultiIndex's level stored beyond the number of rows; if there are more, none is."""

FEW_VALUES = 100
"""Values up to which a level is also stored beside its column, whatever their order."""

Encode = Callable[[columns.Values], "tuple[pa.Array, columns.Spec]"]


def encode_index(index: pd.Index, encode: Encode = columns.encode) -> tuple[list[pa.Array], dict[str, Any]]:
    """Return the arrays of an index, and the specification that decoding needs. A range needs no array.

    A level of a MultiIndex is an array of its values, with a null where a label is missing. So that the
    level's values come back, and the codes that point to them, its specification says the order of the
    values::

        levels [5, 2], codes [0, -1, 1]     [5, null, 2]     "order": an Arrow array of 5 and 2, as text

    If there are more values than :data:`FEW_VALUES`, "order" is "appearance" or "sorted", where that is true.
    """
    arrays, specs = [], []
    for level, codes in _levels(index):
        if type(level) is pd.RangeIndex and codes is None:
            specs.append({"kind": "range", "range": _bounds(level)})
            continue
        try:
            array, spec = encode(columns.values_of(level))
        except UnsupportedValueError as error:
            raise error.inside("index") from None
        if codes is not None:
            spec = {**spec, **_order(level, codes, array, spec)}
            array = array.take(pa.array(codes, mask=codes < 0))
            _try(array, spec, level)
        arrays.append(array)
        specs.append(spec)
    encoded = {
        "multi": isinstance(index, pd.MultiIndex),
        "names": [tagged_json.to_json(name) for name in index.names],
        "levels": specs,
    }
    return arrays, {**encoded, **columns.encode_freq(index)}


def _order(level: pd.Index, codes: np.ndarray, array: pa.Array, spec: columns.Spec) -> dict[str, Any]:
    """Return what decoding needs to restore the order of a level's values.

    :param array: the encoded values
    :raises UnsupportedValueError: if a value occurs twice
    """
    present = pd.unique(codes[codes >= 0])
    if type(level) is pd.RangeIndex:
        return {"order": _bounds(level)}
    is_plain = not (pa.types.is_nested(array.type) or spec.get("content") == "json" or array.null_count)
    if len(level) > FEW_VALUES and is_plain and len(present) == len(level):
        if (present[1:] > present[:-1]).all():
            return {"order": "appearance"}
        if level.is_monotonic_increasing:
            return {"order": "sorted"}
    if not level.is_unique:
        raise UnsupportedValueError("a level of it has a value twice. Return frame.reset_index()", ("index",))
    return {"order": columns.to_text(array), **_null(codes, array)}


def _null(codes: np.ndarray, array: pa.Array) -> dict[str, int]:
    """Return the code of a missing value that the level itself holds, as after groupby(dropna=False).

    :raises UnsupportedValueError: if there are missing labels as well
    """
    held = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    if not np.isin(codes, held).any():
        return {}
    if len(held) > 1 or (codes < 0).any():
        raise UnsupportedValueError(
            "a level of it holds a missing value, and labels are missing. Return frame.reset_index()",
            ("index",),
        )
    return {"null": int(held[0])}


_TRIED = (pd.SparseDtype, pd.IntervalDtype)


def _try(array: pa.Array, spec: columns.Spec, level: pd.Index) -> None:
    """Decode a level of a dtype for which pandas cannot look up every value.

    :raises UnsupportedValueError: if it cannot look up a value of this level
    """
    if not isinstance(level.dtype, _TRIED) and type(level.dtype).__name__ != "ArrowDtype":
        return
    try:
        _decode_level(pa.chunked_array([array]), spec)
    except Exception as error:
        raise UnsupportedValueError(
            f"pandas cannot look up values of a level of the dtype {level.dtype} ({type(error).__name__}). "
            "Return frame.reset_index()",
            ("index",),
        ) from None


def decode_index(table: pa.Table, first: int, spec: dict[str, Any]) -> pd.Index:
    """Return the index whose arrays start at a column of the table. Inverse of :func:`encode_index`."""
    names = spec["names"]
    if spec["multi"]:
        decoded = [_decode_level(table.column(first + i), level) for i, level in enumerate(spec["levels"])]
        return _multi_index(decoded, names)
    (level,) = spec["levels"]
    if level["kind"] == "range":
        return pd.RangeIndex(*level["range"], name=names[0])
    index = columns.to_index(columns.decode(table.column(first), level))
    return columns.with_freq(index.rename(names[0]), spec)


def _decode_level(array: pa.ChunkedArray, spec: columns.Spec) -> tuple[pd.Index, np.ndarray]:
    """Return the values of a level, and the code of each row's value."""
    is_valid = array.is_valid()
    # Nulls are left out: they would turn integers into floats.
    values = columns.decode(array.filter(is_valid) if array.null_count else array, spec)
    found, distinct = _factorize(values)
    level, order = columns.to_index(distinct), spec["order"]
    if order == "sorted":
        places = level.argsort()
        level, positions = level.take(places), np.argsort(places)
    elif order == "appearance":
        positions = np.arange(len(level))
    else:
        whole = pd.RangeIndex(*order) if isinstance(order, list) else _from_text(order, spec)
        level, positions = whole, _positions(whole, level)
    codes = np.full(len(array), spec.get("null", -1))
    codes[is_valid.to_numpy()] = positions[found]
    return level, codes


def _from_text(text: str, spec: columns.Spec) -> pd.Index:
    return columns.to_index(columns.decode(columns.from_text(text), spec))


def _positions(whole: pd.Index, values: pd.Index) -> np.ndarray:
    """Return the positions of some values among all values of a level."""
    if not _is_told_by_text(whole.dtype):
        return whole.get_indexer(values)
    numbers = {text: number for number, text in enumerate(tagged_json.dumps_many(list(whole)))}
    return np.array([numbers[text] for text in tagged_json.dumps_many(list(values))], dtype=int)


def _factorize(values: columns.Values) -> tuple[np.ndarray, columns.Values]:
    """Return each value's number among the different values, and these in order of appearance.

    Values differ if they are written differently: 1 and True, 0.0 and -0.0, a text and that text with a NUL
    after it. For pandas' function, these are equal.
    """
    keys = values
    if _is_told_by_text(values.dtype):
        keys = np.array(tagged_json.dumps_many(list(values)), dtype=object)
    elif isinstance(values, np.ndarray) and values.dtype.kind == "f":
        keys = values.view(f"i{values.dtype.itemsize}")
    codes, distinct = pd.factorize(keys, use_na_sentinel=False)
    if keys is values:
        return codes, distinct
    _, first = np.unique(codes, return_index=True)
    return codes, values.take(first)


def _is_told_by_text(dtype: Any) -> bool:
    """Return whether pandas may confuse different values of a dtype, or not find them at all."""
    return getattr(dtype, "kind", "") == "O" and isinstance(
        dtype, (np.dtype, pd.StringDtype, pd.IntervalDtype)
    )


def joined(indexes: list[pd.Index]) -> pd.Index:
    """Join indexes of the same dtypes. Index.append() would guess other dtypes."""
    names = indexes[0].names
    if not isinstance(indexes[0], pd.MultiIndex):
        return columns.to_index(columns.joined(list(map(columns.values_of, indexes)))).rename(names[0])
    return _multi_index([_joined_level(indexes, i) for i in range(indexes[0].nlevels)], names)


def _joined_level(indexes: list[pd.MultiIndex], number: int) -> tuple[pd.Index, np.ndarray]:
    """Return one level of several indexes, each value once, and the codes of all their rows."""
    levels = [index.levels[number] for index in indexes]
    values = columns.joined(list(map(columns.values_of, levels)))
    positions, distinct = _factorize(values)
    starts = np.cumsum([0, *map(len, levels)])
    codes = [
        np.where(index.codes[number] < 0, -1, np.append(positions, -1)[index.codes[number] + start])
        for index, start in zip(indexes, starts)
    ]
    return columns.to_index(distinct), np.concatenate(codes)


def _multi_index(levels: list[tuple[pd.Index, np.ndarray]], names: Sequence[Any]) -> pd.MultiIndex:
    values, codes = zip(*levels)
    return pd.MultiIndex(values, codes, names=names, verify_integrity=False)


def slice_level(level: dict[str, Any], start: int, length: int) -> dict[str, Any]:
    if level["kind"] != "range":
        return level
    part = range(*level["range"])[start : start + length]
    return {**level, "range": [part.start, part.stop, part.step]}


def encode_labels(labels: pd.Index) -> dict[str, Any]:
    """Encode column labels as an index whose arrays are texts."""
    arrays, spec = encode_index(labels)
    return {**spec, "arrays": [columns.to_text(array) for array in arrays]}


def decode_labels(spec: dict[str, Any]) -> pd.Index:
    """Decode what :func:`encode_labels` returned. Before pandas has the dtype ``str``, it becomes object."""
    if not pandas_releases.HAS_STR:
        spec = {**spec, "levels": [_as_objects(level) for level in spec["levels"]]}
    arrays = [columns.from_text(text) for text in spec["arrays"]]
    table = pa.table(dict(zip(map(str, range(len(arrays))), arrays)))
    return decode_index(table, 0, spec)


def _as_objects(level: columns.Spec) -> columns.Spec:
    is_str = level.get("dtype") == "str"
    return {"kind": "object", "content": "str", "missing": "nan"} if is_str else level


def positions_of(labels: Sequence[Any], names: pd.Index) -> list[int]:
    """Return the positions of columns by their labels, in the order asked for.

    :raises MissingColumnError: for a label that does not exist
    """
    positions = []
    for label in labels:
        found = [position for position, name in enumerate(names) if _is_label(name, label)]
        if not found:
            raise MissingColumnError(f"There is no column {label!r:.60}.")
        positions += found
    return positions


def _is_label(name: Any, label: Any) -> bool:
    label = label.item() if isinstance(label, np.generic) else label
    if type(name) is float and type(label) is float and name != name:
        return label != label
    return type(name) is type(label) and (name is label or bool(name == label))


def index_names(index: pd.Index) -> list[str]:
    """Return names for the index's columns, as pandas names them in Parquet."""
    if type(index) is pd.RangeIndex:
        return []
    return [name if isinstance(name, str) else f"__index_level_{i}__" for i, name in enumerate(index.names)]


def unique_names(labels: list[Any]) -> list[str]:
    """Return a name in the file for each label: the label, with a number after it if it is taken."""
    names: list[str] = []
    taken: set[str] = set()
    counts: dict[str, int] = {}  # the last number tried, so that many equal labels take linear time
    for label in labels:
        base = name = _text_of(label).encode("utf-8", "replace").decode()
        while name in taken:
            counts[base] = counts.get(base, 0) + 1
            name = f"{base}.{counts[base]}"
        taken.add(name)
        names.append(name)
    return names


def _text_of(label: Any) -> str:
    try:
        return str(label)
    except ValueError:  # the integer has too many digits
        return "column"


def _levels(index: pd.Index) -> list[tuple[pd.Index, np.ndarray | None]]:
    """Return the values of each level of a MultiIndex with its codes; or another index, and None."""
    # Names are removed: a level whose name is a number would be found by it, not by its position.
    nameless = index.set_names([None] * index.nlevels)
    if not isinstance(index, pd.MultiIndex):
        return [(nameless, None)]
    return [_without_many_unused(*each) for each in zip(nameless.levels, nameless.codes)]


def _without_many_unused(level: pd.Index, codes: np.ndarray) -> tuple[pd.Index, np.ndarray]:
    """Return a level without its unused values if these outnumber the rows by far."""
    used = np.unique(codes[codes >= 0])
    if len(level) - len(used) <= len(codes) + MAX_UNUSED or type(level) is pd.RangeIndex:
        return level, codes
    return level.take(used), np.where(codes < 0, -1, np.searchsorted(used, codes))


def labels_of(index: pd.Index, number: int) -> list[Any]:
    """Return the labels of one level, None where one is missing.

    get_level_values() would turn integers into floats then.
    """
    if not isinstance(index, pd.MultiIndex):
        return list(index)
    level, codes = index.levels[number], index.codes[number]
    return [None if code < 0 else level[code] for code in codes]


def _bounds(index: pd.RangeIndex) -> list[int]:
    return [index.start, index.stop, index.step]
