"""Objects that are large, or that little of becomes much in memory."""

from __future__ import annotations

import base64
import functools
import gzip
import io
import json
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.s3_xcom import codecs

MIB = 1024 * 1024

Hostile = dict[str, tuple[bytes, dict[str, str]]]
"""By what they are: the bytes of an object, and its metadata."""

RANGE = {"kind": "range", "range": [0, 30_000_000, 1]}
ONE_ROW = {"multi": False, "names": [None], "levels": [{"kind": "range", "range": [0, 1, 1]}]}
ONE_LABEL = {"multi": False, "names": [None], "levels": [{"kind": "range", "range": [0, 1, 1]}], "arrays": []}
FRAME = {"type": "DataFrame", "index": ONE_ROW, "labels": ONE_LABEL, "attrs": {}, "duplicate_labels": True}
MANY_LABELS = {
    **FRAME,
    "columns": [{"kind": "numpy", "dtype": "<i8"}],
    "labels": {"multi": True, "names": [None, None], "levels": [RANGE, RANGE], "arrays": []},
}


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def compressed_arrow(table: pa.Table, new: Any = pa.ipc.new_file) -> bytes:
    sink = io.BytesIO()
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def archive(member: bytes, name: str = "0.parquet", codec: str = "table") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as written:
        written.writestr(name, member)
        written.writestr("value.json", json.dumps({"__s3_xcom__": "part", "value": name, "codec": codec}))
    return sink.getvalue()


def repeated(text: str, count: int) -> pa.Table:
    """One text many times, of which Parquet keeps one."""
    return pa.table({"t": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, "i4")), [text])})


@functools.lru_cache(maxsize=1)
def unbounded() -> Hostile:
    """Objects that become 2 GiB in memory when they are decoded."""
    of_one_text = parquet(repeated("x" * 95_000, 20_000), compression="zstd", store_schema=False)
    stream = compressed_arrow(pa.table({"values": np.zeros(250_000_000)}), pa.ipc.new_stream)
    category = {
        "kind": "category",
        "ordered": False,
        "categories": base64.b64encode(stream).decode(),
        "spec": {"kind": "numpy", "dtype": "<f8"},
    }
    blob = {"__s3_xcom__": "blob", "value": base64.b64encode(of_one_text).decode(), "codec": "table"}
    pushed = codecs.encode({"s": pd.Series(["x" * 95_000] * 20_000)})
    return {
        "a Series that was pushed": (bytes(pushed.body), {"codec": pushed.codec}),
        "rows times a long value": (archive(of_one_text), {"codec": "zip"}),
        "a blob in JSON": (json.dumps(blob).encode(), {"codec": "tagged"}),
        "a member of another name": (archive(of_one_text, "0.bin"), {"codec": "zip"}),
        "a compressed stream in metadata": (
            parquet(
                pa.table({"a": pa.array([0], pa.int32())}).replace_schema_metadata(
                    {"s3_xcom": json.dumps({**FRAME, "columns": [category]})}
                )
            ),
            {"codec": "parquet"},
        ),
    }


def endless() -> tuple[bytes, dict[str, str]]:
    """A set of numbers with one hash, which takes a minute to make."""
    numbers = [number * (2**61 - 1) for number in range(80_000)]
    text = json.dumps({"__s3_xcom__": "set", "value": numbers}).encode()
    return gzip.compress(text), {"codec": "tagged", "compression": "gzip", "raw-size": str(len(text))}


@functools.lru_cache(maxsize=1)
def large() -> Hostile:
    """Objects that are large, or become so."""
    text = "x" * MIB
    return {
        "a line of JSON": (b'{"a": [' + b"1, " * (64 * MIB // 3) + b"1]}", {"codec": "json"}),
        "a text": (b"x" * (64 * MIB), {"codec": "text"}),
        "deep JSON": (b"[" * 100_000 + b"]" * 100_000, {"codec": "json"}),
        "many small values": (b"[" + b"[]," * 300_000 + b"[]]", {"codec": "tagged"}),
        "5,000 columns": (
            parquet(pa.table({f"column {n}": [n] * 100 for n in range(5000)})),
            {"codec": "table"},
        ),
        "strings of 1 MB": (parquet(pa.table({"t": [str(n) + text for n in range(60)]})), {"codec": "table"}),
        "one string a million times": (parquet(repeated(text, MIB)), {"codec": "table"}),
        "a gzip bomb": (
            gzip.compress(b"x" * (256 * MIB)),
            {"codec": "text", "compression": "gzip", "raw-size": "9"},
        ),
        "a zstd bomb": (
            pa.compress(b"x" * (256 * MIB), "zstd", asbytes=True),
            {"codec": "json", "compression": "zstd", "raw-size": str(256 * MIB)},
        ),
        "an array that is not there": (
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
            + b"\n",
            {"codec": "npy"},
        ),
        "an image of nothing": (
            b"\x89PNG\r\n\x1a\n" + bytes(8 * MIB),
            {"codec": "file", "file-name": "a.png"},
        ),
        "one long text": (
            parquet(pa.table({"t": ["x" * (200 * MIB)]}), compression="zstd"),
            {"codec": "table"},
        ),
        "compressed Arrow": (compressed_arrow(pa.table({"a": np.zeros(30_000_000)})), {"codec": "arrow"}),
        "an archive of much": (
            archive(parquet(pa.table({"a": np.zeros(30_000_000)}), compression="zstd")),
            {"codec": "zip"},
        ),
        "many labels": (
            parquet(pa.table({"a": [1]}).replace_schema_metadata({"s3_xcom": json.dumps(MANY_LABELS)})),
            {"codec": "parquet"},
        ),
        "no Parquet": (bytes(5 * MIB), {"codec": "parquet"}),
        "a footer as long as the file": (
            bytes(8 * MIB) + (8 * MIB - 8).to_bytes(4, "little") + b"PAR1",
            {"codec": "rows"},
        ),
    }
