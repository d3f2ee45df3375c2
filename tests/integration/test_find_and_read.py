"""``find`` and ``read``: XComs by what lies in the bucket."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from include.s3_xcom import File, batches, find, items, read, rows
from include.s3_xcom.errors import BadReferenceError, ObjectMissingError, SettingError
from include.s3_xcom.keys import Owner
from include.s3_xcom.push import push
from tests.helpers import without_airflow
from tests.helpers.outside import CREDENTIALS
from tests.helpers.same import assert_same

ROOT = Path(__file__).resolve().parents[2]
FRAME = pd.DataFrame({"n": [1, 2, None], "t": ["a", None, "c"]}, index=["x", "y", "z"])


@pytest.fixture(autouse=True)
def outside(stack, monkeypatch):
    """What boto3 finds in the environment of a notebook."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.s3.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name.upper(), value)


@pytest.mark.parametrize(
    ("pushed", "expected"),
    [
        (FRAME, FRAME),
        (rows(FRAME), FRAME),
        (batches(FRAME, 2), FRAME),
        (items([1, (2, 3)]), [1, (2, 3)]),
        (items([b"a" * 200_000, FRAME]), [b"a" * 200_000, FRAME]),
        ({"a": [1, None]}, {"a": [1, None]}),
        ([{"frame": FRAME}], [{"frame": FRAME}]),
        ("text " * 1000, "text " * 1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_read_by_its_ids(prefix, new_task, pushed, expected):
    task = new_task("a dag: +%", "a task")
    task.push(pushed)
    assert_same(read(dag="a dag: +%", task="a task"), expected)
    assert_same(read(dag="a dag: +%", task="a task", run=task.ids["run_id"]), expected)


def test_it_is_read_by_its_address_whatever_bucket_is_set(prefix, task, monkeypatch):
    task.push(FRAME)
    [found] = find()
    for name in ("BUCKET", "PREFIX"):
        monkeypatch.delenv(f"AIRFLOW__S3_XCOM__{name}")
    assert_same(read(found.address), FRAME)


def test_compressed_values_and_files_are_read(prefix, task, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__COMPRESSION", "gzip")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    task.push(["text"] * 100)
    task.push(File(tmp_path / "a.csv"), key="file")
    task.push({"file": File(tmp_path / "a.csv")}, key="with a file")
    ids = {"dag": task.ids["dag_id"], "task": task.ids["task_id"]}
    assert read(**ids) == ["text"] * 100
    assert read(**ids, key="file").read_csv().to_dict("list") == {"a": [1], "b": [2]}
    assert read(**ids, key="with a file")["file"].path.read_text() == "a,b\n1,2\n"


def test_the_newest_run_is_read_unless_another_is_named(prefix, new_task):
    """Also of those of one second: S3's clock shows no less."""
    tasks = [new_task("dag", "task") for _ in range(4)]
    for number, task in enumerate(tasks):
        task.push([number])
        assert read(dag="dag", task="task") == [number]
    assert read(dag="dag", task="task", run=tasks[0].ids["run_id"]) == [0]
    assert sorted(found.read() for found in find(dag="dag")) == [[0], [1], [2], [3]]
    for number in range(4):
        push([number], Owner("dag", "again", "task", -1, "key"))
        assert read(dag="dag", task="task", key="key") == [number]


def test_find_lists_what_there_is_with_type_and_shape(prefix, task, tmp_path, moved):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    task.push(FRAME)
    task.push({"file": File(tmp_path / "a.csv")}, key="with a file")
    moved.clear()
    found = find(dag=task.ids["dag_id"])
    assert {each.owner.key for each in found} == {"return_value", "with a file"}
    frame = found.to_frame()
    assert set(frame["type"]) == {"pandas.DataFrame", "dict"}
    assert set(frame["shape"]) == {"3 x 2", "1"}
    assert frame["address"].str.startswith("s3://").all()
    assert str(frame["modified"].dtype).startswith("datetime64[")
    assert len(find().to_frame()) == 2
    assert find(task="no such task") == find(dag="no such dag") == []
    assert find(task="no such task").to_frame().empty


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ({"dag": "dag", "task": "none"}, ObjectMissingError, "There is no XCom 'return_value' of dag.none"),
        ({"dag": "dag"}, SettingError, "Give the s3:// address of an object, or dag and task"),
        ({"address": "s3://bucket/key"}, BadReferenceError, "no address of an XCom"),
        (
            {"address": "/dag_id=a/run_id=b/task_id=c/map_index=-1/key-" + "0" * 32},
            BadReferenceError,
            "no address",
        ),
    ],
)
def test_what_cannot_be_read_says_why(prefix, ids, error, words):
    with pytest.raises(error, match=words):
        read(**ids)


def test_of_a_mapped_task_an_index_is_asked_for(prefix, task):
    for number in range(2):
        push([number], Owner("dag", "run", "task", number, "return_value"))
    with pytest.raises(SettingError, match="Give map_index"):
        read(dag="dag", task="task")
    assert read(dag="dag", task="task", map_index=1) == [1]


OUTSIDE = """
import sys
from include.s3_xcom import find, read
frame = read(dag="dag", task="frame")
print(frame.to_json(), len(read(dag="dag", task="rows")), read(dag="dag", task="list"))
print(find(dag="dag").to_frame()["type"].tolist())
assert not [name for name in sys.modules if name.split(".")[0] in ("airflow", "sqlalchemy")]
"""


def test_neither_airflow_nor_a_database_has_to_be_there(prefix, new_task, tmp_path):
    frame = pd.DataFrame({"n": [1, 2], "at": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True)})
    for name, value in {"frame": frame, "rows": rows(frame), "list": [1, "two"]}.items():
        new_task("dag", name).push(value)
    python = without_airflow.make(tmp_path / "venv")
    kept = {n: v for n, v in os.environ.items() if n.startswith(("AWS_", "AIRFLOW__S3_XCOM__"))}
    command = [python, "-W", "error::FutureWarning", "-c", OUTSIDE]
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{frame.to_json()} 2 [1, 'two']"
    missing = subprocess.run([python, "-c", "import airflow"], capture_output=True, text=True, cwd=tmp_path)
    assert "No module named 'airflow'" in missing.stderr
