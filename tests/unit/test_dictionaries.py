"""Columns of texts get a dictionary in Parquet where that makes the file smaller, and only there."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.s3_xcom import codecs
from include.s3_xcom.codecs.parquet import dictionaries
from tests.helpers.same import assert_same

ROWS = 20_000
WORDS = [f"word {number}" for number in range(ROWS // 10)]
MANY = list(itertools.islice(itertools.cycle(WORDS), ROWS))

TEXTS = {
    "all different": ([f"text {i}" for i in range(ROWS)], False),
    "all different, or missing": ([None if i % 3 else f"text {i}" for i in range(ROWS)], False),
    "one in ten, one after the other": (MANY, True),
    "one in ten, in runs": (sorted(MANY), True),
    "one in ten, at random": (random.Random(0).choices(WORDS, k=ROWS), True),
    "few, and mostly missing": ([WORDS[i % 100] if i % 7 == 0 else None for i in range(ROWS)], True),
    "bytes, all different": ([b"%d" % i for i in range(ROWS)], False),
    "numbers and texts, all different": ([i if i % 2 else f"text {i}" for i in range(ROWS)], False),
    "nothing but missing ones among texts": ([*[None] * (ROWS - 1), "text"], True),
}


def has_dictionary(body: bytes) -> bool:
    group = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0)
    return group.column(0).has_dictionary_page


@pytest.mark.parametrize("name", TEXTS)
def test_a_dictionary_is_made_where_texts_repeat(name):
    values, repeats = TEXTS[name]
    frame = pd.DataFrame({"value": pd.Series(values, dtype=object)})
    body = codecs.encode(frame).body
    assert has_dictionary(body) == repeats
    assert_same(frame, codecs.decode("parquet", body))


def test_texts_of_more_than_an_array_holds_are_looked_at_chunk_by_chunk():
    texts = pa.array(["x" * 1_000_000] * 100)
    column = pa.chunked_array([texts.slice(0, 100)] * 110)  # 11 GB, if they were not the same
    assert len(column) > dictionaries.MIN_ROWS
    assert dictionaries.repeats(column)


def test_equal_frames_give_equal_files():
    values = np.random.default_rng(0).integers(0, ROWS, ROWS).astype(str).astype(object)
    bodies = [bytes(codecs.encode(pd.DataFrame({"value": values})).body) for _ in range(2)]
    assert bodies[0] == bodies[1]


def test_a_column_without_rows_and_a_short_one_are_no_matter():
    for values in ([], ["a"], [None] * ROWS):
        frame = pd.DataFrame({"value": pd.Series(values, dtype=object)})
        assert_same(frame, codecs.decode("parquet", codecs.encode(frame).body))
