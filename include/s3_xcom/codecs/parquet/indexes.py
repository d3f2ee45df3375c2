"""Indexes and column labels: what a table holds of them, what lies beside it, and their names in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import pandas_releases, tagged_json
from include.s3_xcom.codecs.parquet import columns
from include.s3_xcom.errors import MissingColumnError, UnsupportedValueError

MAX_UNSTORED_ROWS = 10_000_000
"""Of an index of several ranges. They take space in memory, but none in the file, and a file without columns
does not tell how many rows it has."""

Encode = Callable[[columns.Values], "tuple[pa.Array, columns.Spec]"]


def encode_index(index: pd.Index, encode: Encode = columns.encode) -> tuple[list[pa.Array], dict[str, Any]]:
    """The arrays of an index, and how it is made of them. A range needs none."""
    arrays, specs = [], []
    for level in _levels(index):
        if type(level) is pd.RangeIndex:
            specs.append({"kind": "range", "range": [level.start, level.stop, level.step]})
            continue
        try:
            array, spec = encode(columns.values_of(level))
        except UnsupportedValueError as error:
            raise error.inside("index") from None
        arrays.append(array)
        specs.append(spec)
    encoded = {
        "multi": isinstance(index, pd.MultiIndex),
        "names": [tagged_json.to_json(name) for name in index.names],
        "levels": specs,
    }
    return arrays, {**encoded, **columns.encode_freq(index)}


def decode_index(table: pa.Table, first: int, spec: dict[str, Any]) -> pd.Index:
    """The index whose arrays start at a column of the table."""
    levels, names = [], spec["names"]
    for level in spec["levels"]:
        if level["kind"] == "range":
            levels.append(pd.RangeIndex(*level["range"]))
        else:
            levels.append(columns.to_index(columns.decode(table.column(first), level)))
            first += 1
    if spec["multi"]:
        return _multi_index(levels, names)
    return columns.with_freq(levels[0].rename(names[0]), spec)


def joined(indexes: list[pd.Index]) -> pd.Index:
    """Indexes of the same dtypes, one behind the other. Index.append() would guess dtypes for objects."""
    levels = [
        columns.to_index(columns.joined([columns.values_of(level) for level in same_levels]))
        for same_levels in zip(*map(_levels, indexes))
    ]
    names = indexes[0].names
    if isinstance(indexes[0], pd.MultiIndex):
        return _multi_index(levels, names)
    return levels[0].rename(names[0])


def _multi_index(levels: list[pd.Index], names: Sequence[Any]) -> pd.MultiIndex:
    """An index of several levels. pandas sorts each, which fails for Decimals that are no numbers."""
    try:
        return pd.MultiIndex.from_arrays(levels, names=names)
    except ArithmeticError:
        codes, values = zip(*map(pd.factorize, levels))
        return pd.MultiIndex(list(map(columns.to_index, values)), codes, names=names)


def slice_level(level: dict[str, Any], start: int, length: int) -> dict[str, Any]:
    if level["kind"] != "range":
        return level
    part = range(*level["range"])[start : start + length]
    return {**level, "range": [part.start, part.stop, part.step]}


def encode_labels(labels: pd.Index) -> dict[str, Any]:
    """Column labels as an index of their own, whose arrays are texts."""
    arrays, spec = encode_index(labels)
    return {**spec, "arrays": [columns.to_text(array) for array in arrays]}


def decode_labels(spec: dict[str, Any]) -> pd.Index:
    """Inverse of :func:`encode_labels`. Where pandas has no dtype ``str`` yet, such labels are objects."""
    if not pandas_releases.HAS_STR:
        spec = {**spec, "levels": [_as_objects(level) for level in spec["levels"]]}
    arrays = [columns.from_text(text) for text in spec["arrays"]]
    table = pa.table(dict(zip(map(str, range(len(arrays))), arrays)))
    return decode_index(table, 0, spec)


def _as_objects(level: columns.Spec) -> columns.Spec:
    is_str = level.get("dtype") == "str"
    return {"kind": "object", "content": "str", "missing": "nan"} if is_str else level


def positions_of(labels: Sequence[Any], names: pd.Index) -> list[int]:
    """Where columns stand, by their labels, in the order asked for.

    :raises MissingColumnError: for a label that there is not
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
    """Names for the index's columns, as pandas gives them in its own Parquet."""
    return [
        name if isinstance(name, str) else f"__index_level_{i}__"
        for i, (name, level) in enumerate(zip(index.names, _levels(index)))
        if type(level) is not pd.RangeIndex
    ]


def unique_names(labels: list[Any]) -> list[str]:
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


def _levels(index: pd.Index) -> list[pd.Index]:
    # Without their names: a number that is a level's name would be taken for that, not for a position.
    nameless = index.set_names([None] * index.nlevels)
    if not isinstance(index, pd.MultiIndex):
        return [nameless]
    levels = list(map(nameless.get_level_values, range(index.nlevels)))
    if len(index) <= MAX_UNSTORED_ROWS:
        return levels
    return [pd.Index(level.to_numpy()) if type(level) is pd.RangeIndex else level for level in levels]
