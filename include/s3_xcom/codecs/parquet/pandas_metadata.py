"""Metadata that pandas.read_parquet uses in a Parquet file: the index, and dtypes that Parquet lacks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from include.s3_xcom.codecs import pandas_releases

_READ_AS_IT_IS = set(map(np.dtype, ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]))
if not pandas_releases.HAS_STR:
    _READ_AS_IT_IS.add(np.dtype("O"))  # pandas 3 would read objects as texts


def of(frame: pd.DataFrame, names: list[str]) -> dict[bytes, bytes]:
    """Return the metadata of a file; empty if pandas does not need it, or could not write this frame.

    :param names: names of the columns in the file
    """
    if _is_read_as_it_is(frame) or isinstance(frame.columns, pd.MultiIndex):
        return {}
    names_of_index = [name for name in frame.index.names if name is not None]
    if not all(isinstance(label, str) for label in [*frame.columns, *names_of_index]):
        return {}
    try:
        schema = pa.Schema.from_pandas(frame.iloc[:0])
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError):
        return {}
    if schema.names != names:
        return {}
    meta = json.loads(schema.metadata[b"pandas"])
    if type(frame.index) is pd.RangeIndex:
        bounds = {"start": frame.index.start, "stop": frame.index.stop, "step": frame.index.step}
        meta["index_columns"] = [{**meta["index_columns"][0], **bounds}]
    return {b"pandas": json.dumps(meta).encode()}


def _is_read_as_it_is(frame: pd.DataFrame) -> bool:
    """Return whether pandas reads an equal frame from a Parquet file without its metadata."""
    index, labels = frame.index, frame.columns
    is_numbered = type(index) is pd.RangeIndex and (index.start, index.step, index.name) == (0, 1, None)
    is_labelled = type(labels) is pd.Index and labels.name is None and set(map(type, labels)) == {str}
    # Not as a set: hashing a dtype hashes its categories, which is slow or fails.
    are_read = all(isinstance(dtype, np.dtype) and dtype in _READ_AS_IT_IS for dtype in frame.dtypes)
    return is_numbered and is_labelled and not frame.attrs and are_read
