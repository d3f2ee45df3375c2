"""Frames that come one after the other: whatever the columns of a later one hold, it fits or is refused."""

from __future__ import annotations

import datetime
import itertools
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.s3_xcom.codecs.parquet import chunks, frames
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.same import assert_same

UTC = datetime.timezone.utc
WINTER, SUMMER = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2))
MOMENT = datetime.datetime(2024, 1, 1)

CONTENTS = {
    "None": [None, None],
    "NaN": [float("nan"), float("nan")],
    "bool": [True, None],
    "int": [1, None],
    "float": [1.5, None],
    "str": ["a", None],
    "bytes": [b"a", None],
    "date": [MOMENT.date(), None],
    "time": [MOMENT.time(), None],
    "naive": [MOMENT, None],
    "UTC": [MOMENT.replace(tzinfo=UTC), None],
    "offset": [MOMENT.replace(tzinfo=WINTER), None],
    "offsets": [MOMENT.replace(tzinfo=WINTER), MOMENT.replace(tzinfo=SUMMER)],
    "Decimal": [Decimal("1.5"), None],
    "Decimals": [Decimal("1.5"), Decimal("1.25")],
    "long Decimals": [Decimal(10**30), Decimal("1.25")],
    "UUID": [uuid.UUID(int=1), None],
    "dict": [{"a": 1}, None],
    "list": [[1], None],
    "tuple": [(1,), None],
    "several": [1, "a"],
}


def frame(content: str) -> pd.DataFrame:
    values = np.empty(2, dtype=object)
    values[:] = CONTENTS[content]
    return pd.DataFrame({"value": pd.Series(values, dtype=object)})


@pytest.mark.parametrize("first", CONTENTS)
def test_a_later_frame_comes_back_as_it_was_or_is_refused(first):
    for later in CONTENTS:
        alike = chunks.Chunks()
        tables = [alike.table(frame(first))]
        try:
            tables.append(alike.table(frame(later)))
        except UnsupportedValueError:
            assert first != later
            continue
        assert len({str(table.schema.types) for table in tables}) == 1
        for name, table in zip((first, later), tables):
            assert_same(frame(name), frames.from_table(table))


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_missing_in_the_first_may_be_anything_later_on(content):
    alike = chunks.Chunks()
    for name in itertools.chain(["None"], [content] * 2, ["None"]):
        assert_same(frame(name), frames.from_table(alike.table(frame(name))))


def test_a_chunk_that_is_stored_as_another_type_is_refused_by_its_column():
    def chunk(seconds: int) -> pd.DataFrame:
        array = pa.chunked_array([pa.array([seconds], pa.timestamp("s"))])
        return pd.DataFrame({"when": pd.arrays.ArrowExtensionArray(array)})

    alike = chunks.Chunks()
    alike.table(chunk(0))
    with pytest.raises(UnsupportedValueError, match=r"'when'\], it is stored as int64, and as timestamp"):
        alike.table(chunk(2**62))
