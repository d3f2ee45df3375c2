"""Of a metadata database and its copies, one deletes in the bucket; the others' objects are its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from embedded.postgres import BINARIES
from embedded.processes import Process, as_user, free_port
from include.s3_xcom.admin.command_line import main
from include.s3_xcom.on_airflow import heir
from include.s3_xcom.s3 import database_note
from include.s3_xcom.s3.store import Store
from tests.helpers.release import settle

CLEAR = """
import importlib
from airflow.utils.session import create_session
from tests.helpers.release import XCOM_MODULE, settle, xcom_model
importlib.import_module(XCOM_MODULE)  # which loads the backend
with create_session() as session:
    session.query(xcom_model()).filter_by(run_id={run_id!r}).delete()
settle()
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(heir, "_ours", set())


class Deployment:
    """An Airflow with another metadata database, and the same settings of the backend."""

    def __init__(self, stack, url: str) -> None:
        self._environment = {
            **os.environ,
            **{name: value for name, value in stack.airflow.environment.items() if name not in os.environ},
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            **({"AIRFLOW__CORE__EXECUTOR": "SequentialExecutor"} if url.startswith("sqlite") else {}),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run("-m", "include.s3_xcom", *arguments)

    def clear(self, run_id: str) -> str:
        """Delete the XComs of a run, as tasks and the UI do.

        :return: the log
        """
        done = self.run("-c", CLEAR.format(run_id=run_id))
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def as_superuser(stack, program: str, *arguments: str, **options) -> bytes:
    server = ["-h", str(stack.postgres._data), "-p", str(stack.postgres.port), "-U", "postgres"]
    return run(BINARIES / program, *server, *arguments, **options)


@pytest.fixture
def restore(stack):
    """Makes a database of the same server from a dump of Airflow's."""
    made = []

    def make(name: str = "staging") -> Deployment:
        made.append(name)
        as_superuser(stack, "createdb", "--owner=airflow", name)
        dump = as_superuser(stack, "pg_dump", "airflow")
        as_superuser(stack, "psql", "--quiet", name, input=dump)
        return Deployment(stack, f"{stack.postgres.url('airflow').rpartition('/')[0]}/{name}")

    yield make
    for name in made:
        as_superuser(stack, "dropdb", "--force", name)


@pytest.fixture
def promote(stack):
    """Makes a replica of the server, and promotes it."""
    folder = stack.directory / "replica"
    processes: list[Process] = []

    def make() -> Deployment:
        folder.mkdir()
        folder.chmod(0o777)
        data, port, user = folder / "data", free_port(), stack.postgres._user
        origin = ["-h", str(stack.postgres._data), "-p", str(stack.postgres.port), "-U", "postgres"]
        copy = [BINARIES / "pg_basebackup", *origin, "-D", data, "--write-recovery-conf", "--checkpoint=fast"]
        run(*copy, **as_user(user))
        command = [BINARIES / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", str(data)]
        processes.append(Process("replica", command, {}, folder / "log", user))
        ready = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        processes[0].wait_until(lambda: subprocess.run(ready).returncode == 0, seconds=30)
        run(BINARIES / "pg_ctl", "promote", "-D", data, **as_user(user))
        return Deployment(
            stack, stack.postgres.url("airflow").replace(f":{stack.postgres.port}/", f":{port}/")
        )

    yield make
    for process in processes:
        process.stop(signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def run(*command: object, **options) -> bytes:
    done = subprocess.run(list(map(str, command)), capture_output=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(s3, prefix: str) -> set[str]:
    return {item.key for item in s3.objects.filter(Prefix=f"{prefix}/dag_id=")}


def assert_deletes_nothing(copy: Deployment, task, s3, prefix: str) -> None:
    before = objects(s3, prefix)
    swept = copy.command("sweep", "--delete", "--grace", "0s")
    assert swept.returncode == 1
    assert "Nothing is deleted. This database (PostgreSQL system" in swept.stderr
    assert "python -m include.s3_xcom heir" in swept.stderr
    log = copy.clear(task.ids["run_id"])
    assert "1 XComs are deleted, but not their data in S3" in log
    assert "is not the one that deletes in s3://" in log
    assert objects(s3, prefix) == before


def test_a_restored_dump_deletes_nothing_of_the_originals(new_task, prefix, s3, restore):
    early, late = new_task(), new_task()
    early.push([1])
    assert heir.why_not(Store.configured()) == ""
    staging = restore()
    late.push([2])
    assert_deletes_nothing(staging, early, s3, prefix)
    assert (early.pull(), late.pull()) == ([1], [2])
    early.clear()
    settle()
    assert len(objects(s3, prefix)) == 1


def test_a_promoted_replica_deletes_nothing_of_the_originals(task, prefix, s3, promote):
    assert heir.why_not(Store.configured()) == ""
    task.push([1])
    assert_deletes_nothing(promote(), task, s3, prefix)
    assert task.pull() == [1]


def test_the_heir_deletes_and_the_other_does_no_more(new_task, prefix, s3, restore, capsys):
    gone, kept = new_task(), new_task()
    for task in (gone, kept):
        task.push([1])
    assert heir.why_not(Store.configured()) == ""
    new = restore()
    done = new.command("heir")
    assert done.returncode == 0, done.stderr
    assert "this database deletes here from now on (PostgreSQL system" in done.stdout
    assert "Until now it was another, since 20" in done.stdout
    assert "objects that only its rows refer to are orphans now" in done.stdout
    assert "already, since" in new.command("heir").stdout
    new.clear(gone.ids["run_id"])
    assert len(objects(s3, prefix)) == 1
    heir._ours.clear()  # as in a process that has started since
    assert main(["sweep", "--delete", "--grace", "0s"]) == 1
    assert "is not the one that deletes" in capsys.readouterr().err
    assert main(["heir"]) == 0
    assert "from now on" in capsys.readouterr().out


def test_two_deployments_under_one_prefix_by_mistake(task, prefix, s3, restore):
    assert heir.why_not(Store.configured()) == ""
    other = restore("other")
    task.push([1])
    started = other.command("init")
    assert started.returncode == 3
    assert "NOTHING is deleted. This database" in started.stderr
    assert "set another AIRFLOW__S3_XCOM__PREFIX" in started.stderr
    assert other.command("sweep", "--delete", "--grace", "0s", "--force").returncode == 1
    assert task.pull() == [1]


def test_in_a_bucket_from_before_nothing_is_deleted_until_somebody_says_so(task, prefix, s3, capsys, caplog):
    s3.Object(f"{prefix}/database.json").delete()
    task.push([1])
    assert main(["init"]) == 3
    assert "has no note of the database that deletes there" in capsys.readouterr().err
    task.push([2])
    settle()
    assert len(objects(s3, prefix)) == 2
    assert "run `python -m include.s3_xcom heir`" in caplog.text
    assert main(["sweep", "--grace", "0s"]) == 0
    assert "has no note of the database" in capsys.readouterr().out
    assert main(["heir"]) == 0
    assert main(["sweep", "--delete", "--grace", "0s"]) == 0
    assert task.pull() == [2]
    assert len(objects(s3, prefix)) == 1


def test_init_notes_the_database_where_nothing_lies_yet(prefix, s3, capsys):
    s3.Object(f"{prefix}/database.json").delete()
    assert main(["init"]) == 0
    assert "this database deletes here (PostgreSQL system" in capsys.readouterr().out
    assert b"PostgreSQL system" in s3.Object(f"{prefix}/database.json").get()["Body"].read()


def test_the_bucket_is_asked_once_a_process(new_task, prefix, monkeypatch):
    assert heir.why_not(Store.configured()) == ""
    heir._ours.clear()
    asked = []
    read = database_note.read
    monkeypatch.setattr(database_note, "read", lambda *arguments: asked.append(1) or read(*arguments))
    for task in (new_task(), new_task(), new_task()):
        task.push([1])
        task.clear()
        settle()
    assert asked == [1]


def test_what_somebody_else_wrote_there_is_no_reason_to_delete(task, prefix, s3):
    s3.Object(f"{prefix}/database.json").put(Body=b"not ours")
    assert "somebody else wrote the note" in heir.why_not(Store.configured())


@pytest.mark.parametrize("way", [shutil.copy, shutil.move, None])
def test_a_copy_of_a_file_of_sqlite_is_another_database(stack, tmp_path, way):
    def says(path: Path) -> str:
        deployment = Deployment(stack, f"sqlite:///{path}")
        done = deployment.run("-c", "from include.s3_xcom.on_airflow import heir; print(heir.identity())")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    (tmp_path / "airflow.db").touch()
    before = says(tmp_path / "airflow.db")
    assert before.startswith("SQLite file ")
    if way is None:
        assert says(tmp_path / "airflow.db") == before
    else:
        way(tmp_path / "airflow.db", tmp_path / "other.db")
        assert says(tmp_path / "other.db") != before


def test_a_postgres_that_does_not_say_what_it_is_is_named_with_what_to_do(stack, prefix, capsys):
    function = "FUNCTION pg_control_system()"
    as_superuser(stack, "psql", "airflow", "-c", f"REVOKE EXECUTE ON {function} FROM PUBLIC")
    try:
        assert main(["init"]) == 3
        assert main(["sweep", "--delete"]) == 1
        error = capsys.readouterr().err
        assert main(["sweep"]) == 0
        assert "cannot be told from its copies" in capsys.readouterr().out
    finally:
        as_superuser(stack, "psql", "airflow", "-c", f"GRANT EXECUTE ON {function} TO PUBLIC")
    assert error.count("permission denied for function pg_control_system") == 2
    assert error.count(f"GRANT EXECUTE ON {function}") == 2


@pytest.fixture
def aurora(stack, prefix):
    """A deployment whose database has no functions of the WAL, and says so as Aurora does."""
    function = "public.pg_current_wal_lsn()"
    body = "BEGIN RAISE 'no functions of the WAL here' USING ERRCODE = '55000'; END"
    create = f"CREATE FUNCTION {function} RETURNS pg_lsn LANGUAGE plpgsql AS $${body}$$"
    as_superuser(stack, "psql", "airflow", "-c", create)
    found_first = "options=-csearch_path%3Dpublic%2Cpg_catalog"
    yield Deployment(stack, f"{stack.postgres.url('airflow')}?{found_first}")
    as_superuser(stack, "psql", "airflow", "-c", f"DROP FUNCTION {function}")


def test_a_postgres_that_does_not_say_its_timeline_is_told_by_the_rest(aurora, restore, new_task, s3, prefix):
    task = new_task()
    task.push([1])
    assert aurora.command("heir").returncode == 0
    said = database_note.read(Store.configured().client, Store.configured().settings).database
    assert "timeline" not in said
    assert said.endswith(", database airflow")
    assert "not the one that deletes" in restore().command("sweep", "--delete").stderr
    aurora.clear(task.ids["run_id"])
    assert objects(s3, prefix) == set()


def test_a_row_that_was_copied_or_moved_to_other_ids_keeps_its_object(new_task, s3, prefix):
    from airflow.utils.session import create_session

    old, renamed, last = new_task(), new_task(dag_id="renamed"), new_task(dag_id="last", task_id="other")
    old.push([1])
    for other in (renamed, last):
        other.push(0)
        with create_session() as session:
            copied = "(SELECT value FROM xcom WHERE run_id = :old)"
            ids = {"old": old.ids["run_id"], "new": other.ids["run_id"]}
            session.execute(text(f"UPDATE xcom SET value = {copied} WHERE run_id = :new"), ids)
    for gone in (old, renamed):
        gone.clear()
        settle()
        assert last.pull() == [1]
    last.clear()
    settle()
    assert objects(s3, prefix) == set()
    with create_session() as session:
        assert session.execute(text("SELECT count(*) FROM xcom WHERE dag_id = 'last'")).scalar() == 0
