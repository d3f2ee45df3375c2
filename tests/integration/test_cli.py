"""The command line, as an operator uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from embedded.localstack import LOGIN
from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.__main__ import main
from tests.helpers.release import AIRFLOW_3, dag_bag

SWEEP_DAG = Path(__file__).resolve().parents[2] / "dags/xcom_sweep.py"

FRAME = pd.DataFrame({"place": ["Hualian", "Isangel"], "magnitude": [6.4, 5.6]})


def address_of(task, s3) -> str:
    return f"s3://{s3.name}/{task.object_key()}"


def ids(task) -> list[str]:
    return ["--dag", task.ids["dag_id"], "--run", task.ids["run_id"], "--task", task.ids["task_id"]]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()  # the log of the pushes before
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def orphan(new_task, prefix):
    from airflow.utils.session import create_session

    task = new_task()
    task.push([1, 2, 3])
    with create_session() as session:
        session.execute(text("DELETE FROM xcom WHERE run_id = :run_id"), {"run_id": task.ids["run_id"]})
    return task


def test_ls_tells_what_is_there_and_whether_it_is_referred_to(task, orphan, capsys):
    task.push(FRAME)
    code, out, _ = run(capsys, "ls", "--output", "json")
    assert code == 0
    first, second = sorted(json.loads(out), key=lambda line: line["type"])
    assert (first["type"], first["shape"], first["referenced"]) == ("list", "3", "no")
    assert (second["type"], second["shape"], second["referenced"]) == ("pandas.DataFrame", "2 x 2", "yes")
    assert second["object"].startswith("s3://xcom/deployment-")
    assert set(second) == {"object", "type", "shape", "size", "age", "referenced"}


METADATA = {
    "type": "%1b%5b2J%5bred%5d%0aforged",
    "shape": "4 x %27 x x",
    "codec": "no such",
    "raw-size": "9" * 200,
    "file-name": "..%2f%1b]0;x",
}


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_what_others_wrote_into_the_bucket_is_printed_harmlessly(task, prefix, s3, capsys, output):
    task.push([1])
    for segment in ("[/]", "[red]a", "\x9bz", "a"):
        key = task.object_key().replace("task_id=task", f"task_id={segment}")
        s3.Object(key).put(Body=b"\x1b]0;title\x07text\x1b[2J", Metadata=METADATA)
    code, out, err = run(capsys, "ls", "--output", output)
    assert (code, err) == (0, "")
    assert not set("\x1b\x07\x9b") & set(out)
    assert "no such" not in out
    code, out, err = run(capsys, "show", f"s3://{s3.name}/{key}")
    assert code == 1
    assert not set("\x1b\x07\x9b") & set(out + err)
    s3.Object(key).put(Body=b"\x1b]0;title\x07text\x1b[2J\n", Metadata={**METADATA, "codec": "file"})
    code, out, err = run(capsys, "show", f"s3://{s3.name}/{key}")
    assert code == 0
    assert "\\x1b]0;title\\x07text" in out
    assert not set("\x1b\x07\x9b") & set(out + err)


@pytest.mark.parametrize(
    "codec", ["rows", "batches", "batches.arrow", "items", "items.zip", "parquet", "zip"]
)
@pytest.mark.parametrize("shape", ["", "1", "1 x 1"])
def test_an_object_that_is_not_what_it_says_is_told_in_words(task, prefix, s3, capsys, codec, shape):
    task.push([1])
    key = task.object_key()
    for body in (b"x", b"[]", b"{}", b"PK"):
        s3.Object(key).put(Body=body, Metadata={"codec": codec, "shape": shape, "type": "x%0Aerror: fake"})
        task.push(0)
        code, out, err = run(capsys, "show", f"s3://{s3.name}/{key}")
        assert (code, out) == (1, "")
        assert err.splitlines()[-1].startswith("error: ")
        assert "error: fake" not in err.splitlines()


@pytest.mark.airflow_2("the client within a process, which tests use, takes Latin-1 only")
def test_long_ids_and_keys_are_found_by_show(new_task, capsys):
    task = new_task(dag_id="\u2013" * 100, task_id="t" * 250)
    task.push([1, 2], key="k" * 300)
    task.push([3], key="k" * 299)
    code, out, _ = run(capsys, "show", *ids(task), "--key", "k" * 300)
    assert (code, json.loads(out)) == (0, [1, 2])
    _, out, _ = run(capsys, "ls", *ids(task), "--output", "json")
    assert [line["referenced"] for line in json.loads(out)] == ["yes", "yes"]


@pytest.mark.parametrize("output", ["table", "yaml"])
def test_ls_can_be_narrowed_down(task, orphan, capsys, output):
    task.push(FRAME)
    for arguments in (ids(task), ids(task)[:4]):
        _, out, _ = run(capsys, "ls", *arguments, "--output", output)
        assert "pandas.DataFrame" in out
        assert "list" not in out
    assert "DataFrame" not in run(capsys, "ls", "--dag", "another")[1]
    assert run(capsys, "ls", "--run", "x")[0] == 1


def test_ls_and_show_work_without_the_metadata_database(task, prefix, stack, s3):
    task.push(rows(FRAME))
    environment = {
        **stack.airflow.environment,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nobody:x@127.0.0.1:1/none",
        "AIRFLOW__S3_XCOM__PREFIX": prefix,
        "AIRFLOW__S3_XCOM__CONN_ID": "s3_only",
        "AWS_ACCESS_KEY_ID": LOGIN,
        "AWS_SECRET_ACCESS_KEY": LOGIN,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AIRFLOW_CONN_S3_ONLY": json.dumps({"conn_type": "aws", "extra": {"endpoint_url": stack.s3.url}}),
    }

    def cli(*arguments: str) -> str:
        command = [sys.executable, "-W", "ignore", "-m", "include.s3_xcom", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (line,) = json.loads(cli("ls", "--output", "json"))
    assert (line["type"], line["shape"]) == ("rows", "2 x 2")
    assert "referenced" not in line
    assert "Hualian" in cli("show", address_of(task, s3))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (FRAME, "0  Hualian        6.4"),
        (pd.concat([FRAME] * 50), "... 100 rows in all"),
        (rows(FRAME), "1  Isangel        5.6"),
        (batches(FRAME, 1), "1  Isangel        5.6"),
        (items([{"a": 1}]), '"a": 1'),
        (items([b"\x01" * 10]), "b'\\x01"),
        ({"a": [1, None]}, '"a": [\n    1,'),
        ({"a": (1, 2)}, "{'a': (1, 2)}"),
        ("word " * 1000, "... 5,000 characters in all"),
        (b"\x00\xff" * 50, "starting with 00 ff"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_show_prints_the_start_of_a_value(task, prefix, capsys, s3, value, says):
    task.push(value)
    for arguments in (ids(task), [address_of(task, s3)]):
        code, out, err = run(capsys, "show", *arguments)
        assert (code, err) == (0, err)
        assert says in out
        assert f"s3://xcom/{prefix}/" in err


def test_show_reads_what_no_xcom_refers_to(orphan, capsys):
    _, out, _ = run(capsys, "ls", "--output", "json")
    (line,) = json.loads(out)
    assert "1,\n  2" in run(capsys, "show", line["object"])[1]


@pytest.mark.parametrize(
    "value", [items([{"a": 1}, (2,)]), items([b"1", FRAME]), rows(FRAME), batches(FRAME, 1)]
)
def test_show_reads_a_sequence_that_no_xcom_refers_to(task, prefix, capsys, s3, value):
    from airflow.utils.session import create_session

    task.push(value)
    address = address_of(task, s3)
    whole = run(capsys, "show", address)[1]
    with create_session() as session:
        session.execute(text("DELETE FROM xcom WHERE run_id = :run_id"), {"run_id": task.ids["run_id"]})
    assert run(capsys, "show", address)[1] == whole != ""


def test_show_saves_the_object_as_it_is(task, prefix, capsys, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    task.push(File(tmp_path / "in.csv"))
    assert "a,b\n1,2" in run(capsys, "show", *ids(task))[1]
    out = tmp_path / "out.csv"
    assert run(capsys, "show", *ids(task), "--save", str(out)) == (0, f"{out}\n", "")
    assert out.read_text() == "a,b\n1,2\n"
    task.push(FRAME)
    run(capsys, "show", *ids(task), "--save", str(tmp_path / "frame.parquet"))
    assert pd.read_parquet(tmp_path / "frame.parquet").equals(FRAME)


def test_show_says_what_is_missing(task, prefix, capsys):
    task.push(7)
    code, _, err = run(capsys, "show", *ids(task))
    assert (code, "kept in the metadata database" in err) == (1, True)
    code, _, err = run(capsys, "show", "s3://xcom/elsewhere")
    assert (code, "is no XCom in s3://xcom/" in err) == (1, True)
    assert run(capsys, "show", "--dag", "x")[0] == 1


def test_sweep_says_what_it_would_delete_and_deletes_when_asked_to(task, orphan, capsys):
    task.push([1])
    code, out, _ = run(capsys, "sweep", "--grace", "0s")
    assert code == 0
    assert "2 objects" in out
    assert "1 (7 bytes) without an XCom" in out
    assert "dag_id=a%20dag" in out
    assert "Nothing was deleted" in out
    code, out, _ = run(capsys, "sweep", "--grace", "0s", "--delete")
    assert (code, "1 deleted" in out) == (0, True)
    _, out, _ = run(capsys, "sweep", "--output", "json")
    assert json.loads(out)[0]["objects"] == "1"


@pytest.mark.parametrize("arguments", [["sweep", "--grace", "soon"], ["nothing"], []])
def test_wrong_usage_is_exit_code_2(arguments, capsys, stack):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_help_has_examples_that_run(capsys, stack):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "sweep --delete --grace 48h" in out
    assert "exit codes" in out


def test_the_sweep_dag_is_only_where_tasks_have_the_database(stack):
    bag = dag_bag(SWEEP_DAG)
    assert not bag.import_errors
    assert list(bag.dags) == ([] if AIRFLOW_3 else ["xcom_sweep"])


@pytest.mark.airflow_2("tasks have no database")
def test_the_sweep_dag_is_paused_and_runs(task, orphan, stack):
    dag = dag_bag(SWEEP_DAG).dags["xcom_sweep"]
    assert dag.is_paused_upon_creation
    assert dag.schedule_interval == "@daily"
    task.push([1])
    counts = dag.get_task("sweep").python_callable(params={"grace_hours": 0, "delete": True})
    assert (counts["orphans"], counts["deleted"]) == (1, 1)
    assert os.environ["AIRFLOW__S3_XCOM__PREFIX"].startswith("deployment-")


def test_ls_lists_the_xcoms_whose_object_is_gone(new_task, prefix, s3, capsys):
    lost, kept, other = (new_task(dag_id, "task") for dag_id in ("a dag", "a dag", "another"))
    for task in (lost, kept, other):
        task.push({"a": [1]})
    for task in (lost, other):
        s3.Object(task.object_key()).delete()
    code, out, _ = run(capsys, "ls", "--lost", "--output", "json")
    assert code == 0
    assert {line["object"] for line in json.loads(out)} == {address_of(lost, s3), address_of(other, s3)}
    _, out, _ = run(capsys, "ls", "--lost", "--dag", "a dag", "--output", "json")
    [line] = json.loads(out)
    assert (line["object"], line["type"]) == (address_of(lost, s3), "dict (1)")
    _, out, _ = run(capsys, "ls", "--lost", "--dag", "a dag", "--run", kept.ids["run_id"])
    assert out == "There is nothing.\n"


def test_a_line_of_a_table_is_one_line_however_long(new_task, prefix, s3, capsys):
    task = new_task("dag " * 50, "task " * 40)
    task.push([1])
    _, out, _ = run(capsys, "ls")
    [header, line] = out.splitlines()
    assert header.split() == ["object", "type", "shape", "size", "age", "referenced"]
    assert f"{address_of(task, s3)}  list" in line


def test_an_object_is_printed_as_it_is(task, prefix, capfdbinary):
    task.push({"a": [1]})
    capfdbinary.readouterr()  # the log of the push
    assert main(["show", *ids(task), "--save", "-"]) == 0
    assert capfdbinary.readouterr().out == b'{"a":[1]}'
