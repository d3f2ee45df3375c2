"""Whatever is expanded over comes back equal, element by element and whole, or is refused."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from include.s3_xcom import batches, items, rows
from include.s3_xcom.codecs.parquet import columns
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers import arrow_types, strategies
from tests.helpers.examples import EXAMPLES, examples
from tests.helpers.same import assert_same, assert_same_arrow

pytestmark = pytest.mark.filterwarnings("ignore")

few = examples(EXAMPLES // 4)


def check(task, sequence) -> None:
    task.push(sequence)
    pulled = task.pull()
    assert len(pulled) == len(sequence)
    assert_same(list(pulled), list(sequence))
    assert_same(pulled[1:3], sequence[1:3])
    for number in range(len(sequence)):
        assert_same(task.pull()[number], sequence[number])
    if hasattr(sequence, "to_frame"):
        assert_same(pulled.to_frame(), sequence.to_frame())


@few
@given(strategies.frames(), st.integers(1, 4))
def test_batches_of_any_frame(task, frame, size):
    check(task, batches(frame, size))


@few
@given(strategies.frames(), st.integers(1, 3))
def test_chunks_of_any_frame(task, frame, size):
    if frame.empty:
        return
    chunks = list(batches(frame, size))
    if not push_unless_chunks_differ(task, batches(iter(chunks))):
        return
    pulled = task.pull()
    assert_same(list(pulled), chunks)
    if type(frame.index) is not pd.RangeIndex:
        assert_same(pulled.to_frame().index.tolist(), frame.index.tolist())
    for position in range(frame.shape[1]):
        actual, expected = pulled.to_frame().iloc[:, position], frame.iloc[:, position]
        assert_same(actual.tolist(), expected.tolist())
    if push_unless_chunks_differ(task, batches(iter(chunks), 2)):
        assert sum(map(len, task.pull())) == len(frame)


def push_unless_chunks_differ(task, sequence) -> bool:
    """Of each chunk, only itself is known when it is written: a later one may not fit the first."""
    try:
        task.push(sequence)
    except UnsupportedValueError as error:
        found = re.search("(in|of) the first", error.why)
        event(f"refused: {error.why[:40]}")
        if found is None:
            raise
        return False
    return True


@few
@given(strategies.frames())
def test_rows_of_any_frame(task, frame):
    check(task, rows(frame.set_axis([f"column {i}" for i in range(frame.shape[1])], axis=1)))


@few
@given(st.lists(strategies.values, max_size=6))
def test_items_of_any_list(task, values):
    check(task, items(values))


def arrow_frames() -> Iterator[pd.DataFrame]:
    """Frames of columns of each of Arrow's types, some at a time: of more, batches are not Parquet."""
    found: dict[int, dict[str, pd.api.extensions.ExtensionArray]] = {}
    for name, array in arrow_types.arrays():
        values = pd.arrays.ArrowExtensionArray(pa.chunked_array([array]))
        with contextlib.suppress(UnsupportedValueError):  # which test_arrow_types looks at
            columns.encode(values)
            found.setdefault(len(array), {})[name] = values
    for arrays in found.values():
        items = list(arrays.items())
        for start in range(0, len(items), 50):
            yield pd.DataFrame(dict(items[start : start + 50]))


def assert_same_columns(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(actual.columns) == list(expected.columns)
    for name in expected.columns:
        assert_same_arrow(actual[name].array.__arrow_array__(), expected[name].array.__arrow_array__(), name)


@pytest.mark.parametrize("kind", ["batches", "chunks"])
def test_batches_of_all_arrow_types(task, kind):
    for frame in arrow_frames():
        if kind == "chunks":
            # Times that are far away in some of them only are refused.
            frame = frame[[name for name in frame.columns if "timestamp[s" not in name]]
        parts = list(batches(frame, 2))
        task.push(batches(frame, 2) if kind == "batches" else batches(iter(parts or [frame])))
        pulled = task.pull()
        assert_same_columns(pulled.to_frame(), frame)
        for got, expected in zip(pulled, parts):
            assert_same_columns(got, expected)


def test_rows_of_all_arrow_types(task):
    for frame in arrow_frames():
        plain = frame[[name for name in frame.columns if "[ns" not in name]]
        try:
            expected = list(rows(plain))
        except UnsupportedValueError:
            plain = plain[[name for name in plain.columns if fits_python(plain[[name]])]]
            expected = list(rows(plain))
        task.push(rows(plain))
        pulled = task.pull()
        assert_same_columns(pulled.to_frame(), plain)
        assert str(list(pulled)) == str(expected)


def fits_python(frame: pd.DataFrame) -> bool:
    try:
        list(rows(frame))
    except UnsupportedValueError as error:
        return "rows() gives Python's own values" not in str(error)
    return True


@pytest.mark.parametrize("make", [rows, lambda frame: batches(frame, 2)], ids=["rows", "batches"])
def test_a_frame_without_columns_has_its_rows(task, make):
    check(task, make(pd.DataFrame(index=range(3))))
