"""An error of this program, or of a user's class, is not blamed on the data, and not hidden."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.s3_xcom import batches, codecs, items, rows
from include.s3_xcom.codecs.parquet import columns, object_columns, object_types
from include.s3_xcom.codecs.tagged_json import stdlib
from include.s3_xcom.errors import FormatError, IntegrityError
from include.s3_xcom.s3 import ranges
from tests.helpers import kinds
from tests.helpers.release import ANY_CLASS

FRAME = pd.DataFrame({"x": np.arange(1000) / 7, "n": range(1000)})
SECRET = "s3cr3t"


@pytest.fixture
def fault(monkeypatch):
    """Breaks a function of this program."""

    def inject(module, name: str, error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(module, name, fail)

    return inject


@pytest.mark.parametrize(
    "make",
    [
        lambda: FRAME,
        lambda: {"frame": FRAME},
        lambda: rows(FRAME).to_frame(),
        lambda: batches(FRAME, 100),
        lambda: batches(iter([FRAME])),
        lambda: items([FRAME, b"x"]),
    ],
    ids=["frame", "frame in a dict", "frame", "batches", "chunks", "items"],
)
@pytest.mark.parametrize("error", [TypeError(SECRET), ValueError(SECRET), KeyError(SECRET)], ids=repr)
def test_a_fault_of_a_decoder_comes_out_as_it_is(task, make, error, fault, caplog):
    task.push(make())
    fault(columns, "decode", error)
    with caplog.at_level(logging.DEBUG, "include.s3_xcom.errors"), pytest.raises(type(error)) as raised:
        _ = task.pull()[0]
    assert raised.value is error
    (record,) = [record for record in caplog.records if record.name == "include.s3_xcom.errors"][:1]
    assert "in fail" in record.getMessage()
    assert SECRET not in caplog.text


def test_a_large_frame_that_was_altered_is_that_and_one_that_was_not_shows_the_fault(
    task, fault, monkeypatch, s3
):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 4000)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 8000)
    task.push(FRAME)
    fault(columns, "decode", TypeError("a bug"))
    with pytest.raises(TypeError, match="a bug"):
        task.pull()
    row = json.loads(task.row())
    task.set_row(json.dumps({**row, "sha256": "0" * 64}).encode())
    with pytest.raises(IntegrityError, match="what arrived is not what was pushed"):
        task.pull()


def test_what_a_library_cannot_read_here_is_no_damage(task, fault):
    task.push(FRAME)
    fault(columns, "decode", pa.ArrowNotImplementedError(SECRET))
    with pytest.raises(FormatError) as raised:
        task.pull()
    assert "It is as it was pushed, and pyarrow " in str(raised.value)
    assert "s3://" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_bytes_that_nobody_has_checked_may_be_damaged(fault):
    encoded = codecs.encode(FRAME)
    fault(columns, "decode", TypeError(SECRET))
    with pytest.raises(FormatError, match=r"The stored data is no valid parquet \(TypeError\)"):
        codecs.decode(encoded.codec, bytes(encoded.body))


def test_a_fault_of_an_encoder_is_no_reason_to_store_another_format(fault, monkeypatch):
    broken = object_types.BY_TYPE[str]
    monkeypatch.setitem(object_types.BY_TYPE, str, None)

    def fail(*_: object) -> None:
        raise ValueError("a bug")

    fields = {**vars(broken), "encode": fail}
    monkeypatch.setitem(object_types.BY_TYPE, str, object_types.ColumnType(**fields))
    with pytest.raises(ValueError, match="a bug"):
        object_columns.encode(np.array(["a"], dtype=object))


def test_an_error_of_a_users_class_comes_out_of_the_pull(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", ANY_CLASS)
    task.push([kinds.Money(1)])

    def refuse(data: object, version: int) -> None:
        raise LookupError("no such currency")

    monkeypatch.setattr(kinds.Money, "deserialize", staticmethod(refuse))
    with pytest.raises(LookupError, match="no such currency"):
        task.pull()


@pytest.mark.parametrize(
    "make", [lambda: kinds.Order(1, []), lambda: kinds.Sensor("a"), lambda: kinds.Money(1)]
)
def test_an_object_of_a_newer_version_of_its_class_is_refused(task, make, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", ANY_CLASS)
    kind = type(make())
    name = "version" if kind is kinds.Money else "__version__"
    monkeypatch.setattr(kind, name, 3, raising=False)
    task.push([make()])
    task.push(make(), "alone")
    monkeypatch.setattr(kind, name, 2)
    for key in ("return_value", "alone"):
        with pytest.raises(FormatError, match="has version 2 here, and what was pushed version 3"):
            task.pull(key)
    monkeypatch.setattr(kind, name, 3)
    assert type(task.pull("alone")) is kind


def test_a_tag_that_fails_in_what_nobody_has_checked_is_malformed(task, fault):
    task.push(1.5j)
    fault(stdlib, "as_list", TypeError(SECRET))
    with pytest.raises(FormatError, match=r"malformed complex \(TypeError\)"):
        task.pull()
