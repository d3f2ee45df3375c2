"""Objects that somebody made to do harm."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.s3_xcom import codecs
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from include.s3_xcom.mapped.items import from_object
from tests.helpers.same import assert_same, round_trip

UNPICKLES = hasattr(pa, "PyExtensionType") and not hasattr(pa.PyExtensionType, "set_auto_load")


class Harm:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def arrow_file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(("codec", "write"), [("parquet", parquet), ("arrow", arrow_file)])
def test_a_pickle_in_the_schema_of_an_arrow_file_is_not_run(tmp_path, codec, write):
    named = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Harm(tmp_path / "harm")),
    }
    # Without the stand-in for the type of that name, pyarrow before 14.0.1 reads this file by unpickling it.
    table = pa.table([[1, 2]], schema=pa.schema([pa.field("a", pa.int64(), metadata=named)]))
    with pytest.raises(FormatError, match="pickled type") if UNPICKLES else contextlib.suppress(FormatError):
        codecs.decode(codec, write(table), rows=2)
    assert not (tmp_path / "harm").exists()


def test_a_table_that_names_such_a_type_is_refused_or_comes_back():
    named = {"ARROW:extension:name": "arrow.py_extension_type"}
    table = pa.table([[1, 2]], schema=pa.schema([pa.field("a", pa.int64(), metadata=named)]))
    if UNPICKLES:
        with pytest.raises(UnsupportedValueError):
            codecs.encode(table)
    else:
        assert_same(round_trip(table), table)


class Pickled(getattr(pa, "PyExtensionType", pa.ExtensionType)):
    """A user's type, which pyarrow writes as a pickle."""

    def __init__(self) -> None:
        super().__init__(pa.int64())

    def __reduce__(self) -> tuple:
        return Pickled, ()


if UNPICKLES:  # later versions of pyarrow have no such types

    def test_a_column_of_a_pickled_type_is_refused():
        array = pa.ExtensionArray.from_storage(Pickled(), pa.array([1]))
        with pytest.raises(UnsupportedValueError):
            codecs.encode(pa.table({"a": array}))
        with pytest.raises(UnsupportedValueError):
            codecs.encode(pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array]))))


@pytest.mark.parametrize("codec", ["pickle", "tagged", "json", "zip", "rows", "file"])
def test_a_tag_leads_to_no_codec_that_no_push_puts_there(tmp_path, codec):
    data = base64.b64encode(pickle.dumps(Harm(tmp_path / "harm"))).decode()
    text = json.dumps({"__s3_xcom__": "blob", "codec": codec, "value": data})
    with pytest.raises(FormatError):
        codecs.decode("tagged", text.encode())
    assert not (tmp_path / "harm").exists()


def test_a_member_of_an_archive_is_not_unpickled(tmp_path):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("0.pickle.pkl", pickle.dumps(Harm(tmp_path / "harm")))
    with pytest.raises(FormatError):
        from_object("items.zip", sink.getvalue())
    assert not (tmp_path / "harm").exists()
