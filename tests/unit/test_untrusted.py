"""Objects that somebody made to do harm."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tables
from include.s3_xcom.errors import FormatError


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


@pytest.mark.parametrize(("codec", "write"), [("parquet", parquet), ("arrow", tables.encode_arrow)])
def test_a_pickle_in_the_schema_of_an_arrow_file_is_not_run(tmp_path, codec, write):
    named = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Harm(tmp_path / "harm")),
    }
    # Without the stand-in for the type of that name, pyarrow reads this file by unpickling it.
    table = pa.table([[1, 2]], schema=pa.schema([pa.field("a", pa.int64(), metadata=named)]))
    with pytest.raises(FormatError, match="pickled type"):
        codecs.decode(codec, bytes(write(table)), rows=2)
    assert not (tmp_path / "harm").exists()
