"""Whatever is expanded over comes back equal, element by element and whole, or is refused."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.s3_xcom import batches, items, rows
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers import strategies
from tests.helpers.same import assert_same
from tests.unit.test_properties import EXAMPLES, examples

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


def check_unless_refused(task, sequence) -> None:
    with contextlib.suppress(UnsupportedValueError):
        check(task, sequence)


@few
@given(strategies.frames(), st.integers(1, 4))
def test_batches_of_any_frame(task, frame, size):
    check_unless_refused(task, batches(frame, size))


@few
@given(strategies.frames(), st.integers(1, 3))
def test_chunks_of_any_frame(task, frame, size):
    if frame.empty:
        return
    chunks = list(batches(frame, size))
    with contextlib.suppress(UnsupportedValueError):
        task.push(batches(iter(chunks)))
        pulled = task.pull()
        assert_same(list(pulled), chunks)
        if type(frame.index) is not pd.RangeIndex:
            assert_same(pulled.to_frame().index.tolist(), frame.index.tolist())
        for position in range(frame.shape[1]):
            actual, expected = pulled.to_frame().iloc[:, position], frame.iloc[:, position]
            assert_same(actual.tolist(), expected.tolist())
        task.push(batches(iter(chunks), 2), "cut anew")
        assert sum(map(len, task.pull("cut anew"))) == len(frame)


@few
@given(strategies.frames())
def test_rows_of_any_frame(task, frame):
    check_unless_refused(task, rows(frame.set_axis([f"column {i}" for i in range(frame.shape[1])], axis=1)))


@few
@given(st.lists(strategies.values, max_size=6))
def test_items_of_any_list(task, values):
    check_unless_refused(task, items(values))


@pytest.mark.parametrize("make", [rows, lambda frame: batches(frame, 2)], ids=["rows", "batches"])
def test_a_frame_without_columns_has_its_rows(task, make):
    check(task, make(pd.DataFrame(index=range(3))))
