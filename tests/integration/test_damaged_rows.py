"""Rows that no push writes: pulled, shown, deleted and swept without a traceback of our own making."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.errors import BadReferenceError, XComError
from include.s3_xcom.reference import ObjectInfo, Reference
from tests.helpers.frames import FRAME

VALUES = {
    "frame": lambda path: FRAME,
    "list": lambda path: [1, 2],
    "text": lambda path: "text" * 1000,
    "rows": lambda path: rows(FRAME),
    "batches": lambda path: batches(FRAME, 2),
    "items": lambda path: items([1, 2]),
    "items of bytes": lambda path: items([b"a"]),
    "file": lambda path: File(path),
    "files": lambda path: [File(path)],
}


@pytest.fixture(params=VALUES)
def pushed(request, task, tmp_path):
    (tmp_path / "a.csv").write_text("a")
    task.push(VALUES[request.param](tmp_path / "a.csv"))
    return task


def use(task) -> None:
    """All that is done with a value."""
    value = task.pull()
    if isinstance(value, File):
        value.path.read_bytes()
    elif hasattr(value, "stored"):
        repr(value)
        list(value)
        value[0]
        value[-1]
        if hasattr(value, "to_frame"):
            value.to_frame()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
NAMES = (*vars(ObjectInfo("", "")), *Reference.__dataclass_fields__.keys() - {"info"}, "version")
LIKELY = st.sampled_from(
    [[], [0], [1, 2, 3], [10**30, 1], "", "gzip", "zstd", "lz4", "parquet", "rows", "items", "file", "pickle",
     "zip", -1, 0, 10**30, "2026-01-01", "2026-01-01T00:00:00", {"runs": []}, {}, True]
)  # fmt: skip


@given(
    changes=st.dictionaries(st.sampled_from(NAMES), LIKELY | JSON, min_size=1, max_size=2), drop=st.booleans()
)
@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_a_damaged_reference_is_an_error_of_ours_or_harmless(pushed, changes, drop, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "1")
    before = pushed.row()
    reference = json.loads(before)
    damaged = {name: value for name, value in reference.items() if not (drop and name in changes)}
    pushed.set_row(json.dumps(damaged if drop else {**reference, **changes}).encode())
    try:
        use(pushed)
    except XComError:
        pass
    finally:
        assert isinstance(pushed.shown(), str)
        pushed.set_row(before)


@pytest.mark.parametrize("kind", ["rows", "batches", "items"])
@pytest.mark.parametrize("shape", [[], [1], [1, 2], [1, 2, 3]], ids=repr)
def test_a_sequence_without_its_shape_is_a_damaged_row(task, kind, shape):
    task.push(VALUES[kind](None))
    reference = json.loads(task.row())
    if len(shape) == len(reference["shape"]):
        return
    task.set_row(json.dumps({**reference, "shape": shape}).encode())
    with pytest.raises(BadReferenceError, match="Was the row edited by hand"):
        task.pull()


def test_a_damaged_row_can_be_overwritten_and_cleared(task):
    # Airflow since 2.9 fails by itself to clear what is no JSON; the column of Airflow 3 holds nothing else.
    is_cleared = tuple(map(int, version("apache-airflow").split(".")[:2])) < (2, 9)
    no_json = (b"{", b"\xff\xfe", b"[" * 100_000, b'{"__s3_xcom__') if is_cleared else ()
    for damaged in (*no_json, b'{"__s3_xcom__": "reference"}', b'{"__s3_xcom__": 7}'):
        task.push([1])
        task.set_row(damaged)
        assert "unreadable" in str(task.shown()) or task.shown() is not None
        task.push([2])
        assert task.pull() == [2]
        task.set_row(damaged)
        task.clear()
        assert task.row() is None
