"""Credentials that cannot be had end no command, push, pull or page in a traceback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from include.s3_xcom import File
from include.s3_xcom.__main__ import main
from include.s3_xcom.admin.pages.site import Site
from include.s3_xcom.errors import SettingError
from include.s3_xcom.s3 import client, ranges
from tests.helpers import without_airflow

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t"
TOLD = "`credential_process` of the AWS profile failed"

pytestmark = pytest.mark.servers("localstack", why="S3 is not asked")


@pytest.fixture
def lose(stack, tmp_path, monkeypatch) -> Callable[[], None]:
    """Have the credentials fail from now on."""

    def fail() -> None:
        process = tmp_path / "process"
        process.write_text(f"#!/bin/sh\necho {SECRET} >&2; exit 1\n")
        process.chmod(0o755)
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        extra = json.dumps({"endpoint_url": stack.s3.url, "region_name": "us-east-1"})
        monkeypatch.setenv("AIRFLOW_CONN_LOST", json.dumps({"conn_type": "aws", "extra": extra}))
        monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", "lost")
        monkeypatch.setattr(client, "_clients", {})

    return fail


@pytest.mark.parametrize(
    "command",
    [["init"], ["ls"], ["sweep"], ["sweep", "--delete"], ["heir"], ["show"], ["show", "--save", "-"]],
    ids=" ".join,
)
def test_each_command_says_so(task, lose, s3, capsys, command):
    task.push([1])
    address = [f"s3://{s3.name}/{task.object_key()}"] if "show" in command else []
    lose()
    capsys.readouterr()
    assert main([*command, *address]) == 1
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("error: Cannot ")
    assert TOLD in last
    assert "s3://xcom" in last
    assert SECRET not in err
    assert "Traceback" not in err


def test_a_push_and_a_pull_say_so(task, lose, caplog):
    task.push([1])
    lose()
    for act in (lambda: task.push([2]), task.pull):
        with pytest.raises(SettingError, match=TOLD) as raised:
            act()
        assert "a dag.task" in str(raised.value)
        assert raised.value.__cause__ is None  # which holds what the process wrote
    assert SECRET not in caplog.text


def test_a_pull_of_a_large_object_says_so(task, lose, tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_bytes(b"1,a\n" * 100_000)
    task.push(File(tmp_path / "data.csv"))
    lose()
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 1000)
    with pytest.raises(SettingError, match=f"s3://xcom.*{TOLD}"):
        task.pull().download(tmp_path / "copy.csv")


def test_a_page_says_so(task, lose):
    task.push([1])
    lose()
    site = Site(may_read=lambda dag_id: True, url=lambda page, **_: page, task_url=str, home_url="")
    answer = site.answer("listing", {})
    assert answer.status == 500
    assert "credential_process" in answer.body
    assert SECRET not in answer.body


def test_a_python_without_airflow_says_so(lose, stack, tmp_path, monkeypatch):
    lose()
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.s3.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    python = without_airflow.make(tmp_path / "venv")
    kept = {n: v for n, v in os.environ.items() if n.startswith(("AWS_", "AIRFLOW__S3_XCOM__"))}
    code = "from include.s3_xcom import find; print(list(find()))"
    done = subprocess.run(
        [python, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert TOLD in done.stderr.splitlines()[-1]
    assert SECRET not in done.stderr


@pytest.mark.airflow_2("Airflow 3 decrypts it in another process")
@pytest.mark.parametrize("locked", ["password", "extra"])
def test_a_connection_that_airflow_cannot_decrypt_is_told(task, monkeypatch, locked):
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from cryptography.fernet import Fernet

    unreadable = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    name = f"locked_{locked}"
    with create_session() as session:
        session.add(Connection(name, "aws", login="AKID", password=SECRET, extra="{}"))
        session.flush()
        column = {"password": Connection._password, "extra": Connection._extra}[locked]
        session.query(Connection).filter(Connection.conn_id == name).update({column: unreadable})
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", name)
    with pytest.raises(SettingError, match=f"Airflow connection '{name}'.* fernet_key"):
        task.push([1])
