"""Columns of all of Arrow's types, and of types made of them, come back as they were, or are refused."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from include.s3_xcom import codecs
from include.s3_xcom.codecs.parquet import columns, tables
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers import arrow_types
from tests.helpers.same import assert_same_arrow

MAX_REFUSED = 8
"""Lists of nothing but null in maps, which pyarrow does not look into."""


def column(array: pa.Array) -> pd.arrays.ArrowExtensionArray:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([array]))


@pytest.fixture(scope="module")
def kept() -> list[pd.DataFrame]:
    """Frames of the columns that are not refused, each with columns of one length."""
    found: dict[int, dict[str, pd.arrays.ArrowExtensionArray]] = {}
    refused = []
    for name, array in arrow_types.arrays():
        try:
            columns.encode(column(array))
        except UnsupportedValueError as error:
            assert "does not come back from Parquet" in str(error)  # noqa: PT017
            refused.append(name)
        else:
            found.setdefault(len(array), {})[name] = column(array)
    assert len(refused) <= MAX_REFUSED, refused
    return [pd.DataFrame(arrays) for arrays in found.values()]


def test_there_are_many(kept):
    assert sum(frame.shape[1] for frame in kept) > 2500


@pytest.mark.parametrize("way", ["in one row group", "in several row groups"])
def test_they_come_back(kept, way, monkeypatch):
    for frame in kept:
        if way == "in one row group":
            encoded = codecs.encode(frame)
            body = bytes(encoded.body)
        else:
            monkeypatch.setattr(tables, "STREAMED_BYTES", 0)
            monkeypatch.setattr(tables, "GROUP_BYTES", 1)
            monkeypatch.setattr(tables, "COLUMN_BYTES", 1)
            body = b"".join(codecs.stream(frame).pieces)
        again = codecs.decode("parquet", body)
        for name in frame.columns:
            assert_same_arrow(again[name].array.__arrow_array__(), frame[name].array.__arrow_array__(), name)
