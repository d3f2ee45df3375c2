"""Values of each kind of object, and what somebody does to their objects."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from include.s3_xcom import File, batches, items, rows
from tests.helpers.release import settle

FRAME = pd.DataFrame({"n": range(3000), "t": ["text"] * 3000})


def csv(directory: Path) -> File:
    path = directory / "a.csv"
    path.write_bytes(b"1,Hualian\n" * 1000)
    return File(path)


KINDS = {
    "frame": lambda path: FRAME,
    "dict": lambda path: {"a": list(range(5000))},
    "text": lambda path: "text" * 5000,
    "bytes": lambda path: os.urandom(5000),
    "rows": lambda path: rows(FRAME),
    "batches": lambda path: batches(FRAME, 100),
    "items": lambda path: items([{"n": n} for n in range(3000)]),
    "items of bytes": lambda path: items([os.urandom(100)] * 300),
    "file": lambda path: csv(path),
    "files in a dict": lambda path: {"a": csv(path)},
}


def key_of(task: Any, kind: str) -> str:
    """The key of the object with the data that a task pushed."""
    key = task.object_key()
    return re.sub(r"json$", "0.csv", key) if kind == "files in a dict" else key


def alter(s3: Any, key: str) -> None:
    """Flip one bit of an object."""
    stored = s3.Object(key)
    body = bytearray(stored.get()["Body"].read())
    body[len(body) // 3] ^= 1
    stored.put(Body=bytes(body))


def stored_of(task: Any, s3: Any) -> list[str]:
    """The keys of the objects of a task's run."""
    settle()
    run = task.ids["run_id"].replace("+", "%2B").replace(":", "%3A")
    return [item.key for item in s3.objects.all() if f"run_id={run}/" in item.key]
