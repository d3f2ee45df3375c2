"""Lazy values in other Pythons, as @task.virtualenv and @task.external_python hand them over: by pickle."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from include.s3_xcom import File, batches, items, rows
from tests.helpers.outside import CREDENTIALS

ROOT = Path(__file__).resolve().parents[2]
FRAME = pd.DataFrame({"n": range(5000), "t": ["text"] * 5000})

KINDS = ["rows", "batches", "items", "items of bytes", "file"]

READ = """
import pickle, sys
value = pickle.load(open(sys.argv[1], "rb"))
print(value.path.read_text() if hasattr(value, "path") else repr(value[1]))
"""


def make(kind: str, directory: Path):
    path = directory / "a.csv"
    path.write_text("a,b\n1,2\n")
    return {
        "rows": lambda: rows(FRAME),
        "batches": lambda: batches(FRAME, 2),
        "items": lambda: items([{"n": n} for n in range(1000)]),
        "items of bytes": lambda: items([b"a", b"b" * 10_000]),
        "file": lambda: File(path),
    }[kind]()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_pulled_pickles_small_and_works_in_another_process(task, stack, tmp_path, kind):
    task.push(make(kind, tmp_path))
    pulled = task.pull()
    if kind == "file":
        assert pulled.path.exists()  # the private copy of this process is nothing for the other
    data = pickle.dumps(pulled)
    assert len(data) < 2000
    (tmp_path / "value").write_bytes(data)
    command = [sys.executable, "-W", "ignore", "-c", READ, tmp_path / "value"]
    # A process that is none of Airflow 3's has no connections, unless it says that it has the database.
    environment = {**stack.airflow.environment, "_AIRFLOW_PROCESS_CONTEXT": "server"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    expected = "a,b\n1,2\n" if kind == "file" else repr(pulled[1])
    assert expected in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_pushed_pickles_with_its_data(tmp_path, kind):
    value = make(kind, tmp_path)
    again = pickle.loads(pickle.dumps(value))
    if kind == "file":
        assert again.path.read_text() == "a,b\n1,2\n"
        assert (again.name, again.size) == (value.name, value.size)
    else:
        assert again == value


@pytest.mark.parametrize("kind", KINDS)
def test_copies_refer_to_the_same_object(task, tmp_path, kind):
    task.push(make(kind, tmp_path))
    pulled = task.pull()
    for again in (copy.copy(pulled), copy.deepcopy(pulled)):
        assert type(again) is type(pulled)
        if kind == "file":
            assert again.reference == pulled.reference
        else:
            assert again == pulled


def test_a_python_without_airflow_takes_them_with_what_boto3_finds(task, stack, tmp_path):
    task.push(rows(FRAME))
    (tmp_path / "value").write_bytes(pickle.dumps(task.pull()))
    hide = "import sys; sys.modules['airflow'] = None\n"
    command = [sys.executable, "-W", "ignore", "-c", hide + READ, tmp_path / "value"]
    found_by_boto3 = {name.upper(): value for name, value in CREDENTIALS.items()}
    environment = {**stack.airflow.environment, **found_by_boto3, "AWS_ENDPOINT_URL": stack.s3.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == repr(rows(FRAME)[1]), done.stderr


def test_a_python_without_settings_is_told_what_is_missing(task, stack, tmp_path):
    task.push(rows(FRAME))
    (tmp_path / "value").write_bytes(pickle.dumps(task.pull()))
    command = [sys.executable, "-W", "ignore", "-c", READ, tmp_path / "value"]
    environment = {name: value for name, value in stack.airflow.environment.items() if "S3_XCOM" not in name}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert "SettingError: No bucket is set for XComs" in done.stderr


@pytest.mark.airflow_2("its operator runs in a whole task only")
def test_a_virtualenv_task_takes_them(stack, task, tmp_path):
    """Airflow's own operator, with its script, in a Python of its own."""
    import pendulum
    from airflow import DAG
    from airflow.operators.python import ExternalPythonOperator

    task.push(rows(FRAME))

    def second_row(sequence) -> dict:
        return sequence[1]

    with DAG("virtual", start_date=pendulum.datetime(2026, 1, 1), schedule=None):
        operator = ExternalPythonOperator(
            task_id="x", python=sys.executable, python_callable=second_row, op_args=[task.pull()],
            expect_airflow=False,
        )  # fmt: skip
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        assert operator.execute_callable() == {"n": 1, "t": "text"}
    finally:
        os.environ.clear()
        os.environ.update(before)
