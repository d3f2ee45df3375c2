"""Rows and objects of version 1 of the format are read as they were pushed."""

from __future__ import annotations

import zipfile

import pytest

from include.s3_xcom import File
from tests.helpers import kinds
from tests.helpers.format_1 import ARCHIVE, PLAIN
from tests.helpers.frames import FRAME
from tests.helpers.outside import bucket_at
from tests.helpers.release import ANY_CLASS
from tests.helpers.same import assert_same

with zipfile.ZipFile(ARCHIVE) as _archive:
    NAMES = sorted(
        name.removesuffix("/row.json") for name in _archive.namelist() if name.endswith("row.json")
    )

KINDS = {
    f"kind/{name}": make
    for group, makes in kinds.KINDS.items()
    for name, make in makes.items()
    if group != "Refused"
}


@pytest.fixture(scope="module", autouse=True)
def stored(stack):
    """The objects, under their keys."""
    bucket = bucket_at(stack.s3.url, stack.s3.bucket)
    with zipfile.ZipFile(ARCHIVE) as archive:
        keys = {}
        for name in archive.namelist():
            if "/object/" in name:
                key = name.partition("/object/")[2]
                keys[key] = bucket.Object(key).put(Body=archive.read(name))["ETag"]
    yield
    bucket.delete_objects(Delete={"Objects": [{"Key": key} for key in keys]})


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_as_it_was_pushed(task, name, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", ANY_CLASS)
    with zipfile.ZipFile(ARCHIVE) as archive:
        row = archive.read(f"{name}/row.json")
    task.push(0)
    task.set_row(row)
    value = task.pull()
    if name in KINDS:
        kinds.assert_same_kind(name.removeprefix("kind/"), value, KINDS[name])
    elif name == "sequence/rows":
        kinds.assert_same_but_for_releases(value.to_frame(), FRAME)
        assert value[1]["i"] == 2
    elif name in ("sequence/batches", "sequence/chunks"):
        expected = FRAME if name == "sequence/batches" else FRAME.drop(columns="price")
        kinds.assert_same_but_for_releases(value.to_frame(), expected)
        kinds.assert_same_but_for_releases(value[1], expected.iloc[2:])
    elif name == "sequence/wide batches":
        kinds.assert_same_but_for_releases(value[1], kinds.wide_frame().iloc[2:])
    elif name == "sequence/items of bytes":
        kinds.assert_same_but_for_releases(value[1], FRAME)
        assert (value[0], value[3]) == (b"a", "text")
    elif name.startswith("file/"):
        file = value if isinstance(value, File) else value["f"][0]
        assert file.path.read_text() == "a,b\n1,2\n"
    else:
        assert_same(list(value) if name.startswith("sequence/") else value, PLAIN[name])
    assert "unreadable" not in str(task.shown())
