"""Every kind of value through Airflow's own calls, and the settings that change where it goes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from include.s3_xcom import File
from include.s3_xcom.errors import FormatError, SettingError, UnsupportedValueError
from tests.helpers import kinds
from tests.helpers.same import assert_same

KEPT = {
    name: make for group, makes in kinds.KINDS.items() for name, make in makes.items() if group != "Refused"
}


@pytest.fixture(autouse=True)
def admit(monkeypatch):
    classes = "airflow.* tests.helpers.kinds.*"
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", classes)


def reference_of(task) -> dict:
    return json.loads(task.row())


def test_every_kind_comes_back_equal(task):
    for name, make in KEPT.items():
        task.push(make(), key=name)
        assert_same(task.pull(name), make())
        assert task.shown(name) is None or "unreadable" not in str(task.shown(name))


@pytest.mark.parametrize("kind", kinds.KINDS["Refused"])
def test_a_refused_kind_leaves_no_row(task, kind):
    with pytest.raises(UnsupportedValueError, match="Cannot push XCom 'return_value' of a dag"):
        task.push(kinds.KINDS["Refused"][kind]())
    assert task.row() is None


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_json_text_bytes_and_arrays_can_be_compressed(task, s3, monkeypatch, compression):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__COMPRESSION", compression)
    values = {
        "json": [{"n": 1}] * 1000,
        "tagged": [(1, 2)] * 1000,
        "text": "long" * 1000,
        "bytes": bytes(5000),
        "npy": np.zeros(5000),
    }
    for codec, value in values.items():
        task.push(value, key=codec)
        pointer = json.loads(task.row(codec))
        assert (pointer["codec"], pointer["compression"]) == (codec, compression)
        assert pointer["size"] < 500 < pointer["raw_size"]
        assert pointer["key"].endswith({"gzip": ".gz", "zstd": ".zst"}[compression])
        assert s3.Object(pointer["key"]).content_encoding == compression
        assert_same(task.pull(codec), value)
    monkeypatch.delenv("AIRFLOW__S3_XCOM__COMPRESSION")
    assert_same(task.pull("json"), values["json"])


def test_frames_keep_their_own_compression(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__COMPRESSION", "gzip")
    task.push(pd.DataFrame({"a": [1]}))
    assert reference_of(task).get("compression") is None


@pytest.mark.parametrize("setting", [("COMPRESSION", "lz4"), ("INLINE_MAX_BYTES", "1k")])
def test_a_setting_that_makes_no_sense_is_named(task, monkeypatch, setting):
    monkeypatch.setenv(f"AIRFLOW__S3_XCOM__{setting[0]}", setting[1])
    with pytest.raises(SettingError, match=setting[0].lower()):
        task.push([1])


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        {"a": (1, 2)},
        {"__s3_xcom__": 1},
        {"__classname__": "x"},
        "x" * 1500,
        b"\0" * 50,
        {1},
        np.arange(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_small_containers_can_stay_in_the_database(task, s3, monkeypatch, value):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__INLINE_MAX_BYTES", "2000")
    task.push(value)
    prefix = f"xcom/dag_id=a%20dag/run_id={task.ids['run_id'].replace('+', '%2B').replace(':', '%3A')}/"
    stays = not isinstance(value, np.ndarray)
    assert len(list(s3.objects.filter(Prefix=prefix))) == (0 if stays else 1)
    assert_same(task.pull(), value)
    task.push(["x" * 3000])
    assert reference_of(task)["__s3_xcom__"] == "reference"


def test_pickle_is_the_last_resort_and_only_where_airflow_allows_it(task, monkeypatch):
    value = {"a": kinds.ListSubclass([1])}
    monkeypatch.setenv("AIRFLOW__CORE__ENABLE_XCOM_PICKLING", "True")
    task.push([1], key="json")
    assert json.loads(task.row("json"))["codec"] == "json"
    task.push(value)
    assert reference_of(task)["codec"] == "pickle"
    assert reference_of(task)["key"].endswith(".pkl")
    assert_same(task.pull(), value)
    task.push(value, key="again")
    assert_same(task.pull("again"), value)
    monkeypatch.setenv("AIRFLOW__CORE__ENABLE_XCOM_PICKLING", "False")
    with pytest.raises(FormatError, match="enable_xcom_pickling"):
        task.pull()
    assert task.pull("json") == [1]


def test_files_travel_within_values(task, s3, tmp_path):
    for name in ("a.csv", "b.txt"):
        (tmp_path / name).write_text(name * 3)
    task.push({"files": [File(tmp_path / "a.csv"), (File(tmp_path / "b.txt"),)], "n": np.arange(1000)})
    stem = reference_of(task)["key"].removesuffix(".zip")
    assert {item.key.removeprefix(stem) for item in s3.objects.filter(Prefix=stem)} == {
        ".zip",
        ".0.csv",
        ".1.txt",
    }
    pulled = task.pull()
    first, (second,) = pulled["files"]
    assert (first.name, second.name) == ("a.csv", "b.txt")
    assert first.path.read_text() == "a.csv" * 3
    with second.open() as stream:
        assert stream.read() == b"b.txt" * 3


def test_values_with_files_go_to_s3_however_small(task, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__INLINE_MAX_BYTES", "2000")
    (tmp_path / "a.csv").write_text("a")
    task.push([File(tmp_path / "a.csv")])
    assert task.pull()[0].path.read_text() == "a"


def test_a_frame_in_its_own_cell_is_refused(task):
    frame = pd.DataFrame({"a": [None]}, dtype=object)
    frame.at[0, "a"] = {"me": frame}
    for value in (frame, [frame]):
        with pytest.raises(UnsupportedValueError, match="holds itself"):
            task.push(value)


def test_a_file_name_cannot_lead_out_of_a_directory(task, tmp_path):
    (tmp_path / "x.csv").write_text("a")
    file = File(tmp_path / "x.csv")
    file.name = "../../etc/evil\n.csv"
    task.push(file)
    pulled = task.pull()
    assert pulled.name == "evil.csv"
    (tmp_path / "into").mkdir()
    assert pulled.download(tmp_path / "into") == tmp_path / "into/evil.csv"


def test_a_pulled_file_can_be_pushed_again(new_task, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n")
    first, second = new_task(), new_task()
    first.push(File(tmp_path / "x.csv"))
    second.push(first.pull())
    assert second.pull().path.read_text() == "a,b\n"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.csv"):
        File(tmp_path / "gone.csv")
