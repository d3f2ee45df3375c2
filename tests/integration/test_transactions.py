"""S3 is asked while no transaction of the metadata database is open."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.admin.sweep import sweep
from include.s3_xcom.errors import UnsupportedValueError
from include.s3_xcom.s3 import parts, uploads
from include.s3_xcom.s3.store import Store
from tests.helpers.release import xcom_model
from tests.helpers.requests import calling

pytestmark = pytest.mark.airflow_2("tasks of Airflow 3 have no database")

FRAME = pd.DataFrame({"n": range(100)})
LARGE = pd.DataFrame({"n": range(3_000_000)})  # more than one request

IDLE = text(
    "SELECT coalesce(max(extract(epoch from clock_timestamp() - state_change)), 0), count(*) "
    "FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
)


@pytest.fixture
def database(stack) -> Iterator[Any]:
    """The metadata database, seen from outside."""
    from airflow import settings

    engine = create_engine(settings.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def open_during_requests(database) -> Iterator[list[tuple[str, int]]]:
    """The requests to S3, and how many transactions Postgres holds open while each is sent."""
    seen: list[tuple[str, int]] = []

    def note(model: Any, **_: Any) -> None:
        seen.append((model.name, database.execute(IDLE).one()[1]))

    with calling(note, "before-call.s3", hasty=(False, True)):
        yield seen


@pytest.fixture
def impatient(database) -> Iterator[float]:
    """Postgres ends sessions whose transaction is idle for this time, in seconds."""
    from airflow import settings

    name = settings.engine.url.database
    database.execute(text(f'ALTER DATABASE "{name}" SET idle_in_transaction_session_timeout = 300'))
    settings.engine.dispose()
    yield 0.3
    database.execute(text(f'ALTER DATABASE "{name}" RESET idle_in_transaction_session_timeout'))
    settings.engine.dispose()


@pytest.fixture
def session(stack) -> Iterator[Any]:
    """A session of the user's own."""
    from airflow import settings

    with contextlib.closing(sessionmaker(bind=settings.engine)()) as session:
        yield session


def slow_frames(count: int = 5, seconds: float = 0.2) -> Iterator[pd.DataFrame]:
    for _ in range(count):
        time.sleep(seconds)
        yield FRAME


def file(tmp_path) -> File:
    path = tmp_path / "data.csv"
    path.write_bytes(b"1,Hualian\n")
    return File(path)


KINDS = [
    "frame",
    "large frame",
    "dict",
    "rows",
    "batches of a generator",
    "items",
    "file",
    "value with a file",
]


def values(tmp_path) -> dict[str, Any]:
    return {
        "frame": FRAME,
        "large frame": LARGE,
        "dict": {"a": [1]},
        "rows": rows(FRAME),
        "batches of a generator": batches(slow_frames(3, 0)),
        "items": items([{"a": 1}]),
        "file": file(tmp_path),
        "value with a file": {"file": file(tmp_path)},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_no_transaction_is_open_while_a_value_is_pushed_pulled_and_pushed_on(
    task, tmp_path, open_during_requests, kind
):
    task.push(values(tmp_path)[kind])
    pulled = task.pull()
    if kind in ("rows", "items"):
        assert pulled[0]
    if kind == "file":
        assert pulled.path.read_bytes()
    task.push(pulled, "copy")
    task.push([1])  # which deletes the object before
    names = {name for name, _ in open_during_requests}
    assert names & {"PutObject", "CompleteMultipartUpload"}
    assert "DeleteObjects" in names
    assert {count for _, count in open_during_requests} == {0}


def test_no_transaction_is_open_while_several_xcoms_are_pulled_and_swept(new_task, open_during_requests):
    from airflow.utils.session import create_session

    one, other = new_task(task_id="one"), new_task(task_id="other")
    one.push(FRAME)
    other.push(FRAME)
    with create_session() as session:
        found = session.query(xcom_model().value).filter(xcom_model().task_id.in_(["one", "other"]))
        pulled = [xcom_model().deserialize_value(row) for row in found]
    assert len(pulled) == 2
    sweep(Store.configured(), grace=0)
    assert {count for _, count in open_during_requests} == {0}


def fork_and_read(lazy: Any) -> None:
    if (child := os.fork()) == 0:
        try:
            assert lazy[3]
        finally:
            os._exit(0)
    os.waitpid(child, 0)


DONE_BEFORE = {
    "a query": lambda s: s.execute(text("SELECT id FROM dag_run")).all(),
    "an update": lambda s: s.execute(text("UPDATE dag_run SET conf = NULL")),
    "locked rows": lambda s: s.execute(text("SELECT id FROM dag_run FOR\n UPDATE")).all(),
    "weakly locked rows": lambda s: s.execute(text("SELECT id FROM dag_run FOR NO KEY UPDATE")).all(),
    "a lock": lambda s: s.execute(text("SELECT pg_advisory_xact_lock(1)")),
    "a lock for rows": lambda s: s.execute(text("SELECT pg_advisory_xact_lock(7) FROM dag_run")),
    "a function that writes": lambda s: s.execute(text("SELECT txid_current() FROM dag_run")),
    "a table of a query": lambda s: s.execute(text("SELECT 1 AS n INTO TEMP mine FROM dag_run")),
    "a common table expression": lambda s: s.execute(
        text("WITH d AS (DELETE FROM variable RETURNING 1) SELECT * FROM d")
    ),
    "a bulk insert": lambda s: s.connection().execute(text("INSERT INTO log (event) VALUES ('mine')")),
    "a savepoint": lambda s: s.begin_nested(),
}


@pytest.mark.parametrize("own", [True, False], ids=["a session of the user's", "Airflow's session"])
@pytest.mark.parametrize("name", list(DONE_BEFORE))
def test_what_a_user_did_before_stays_in_the_transaction(task, session, name, own):
    from airflow import settings

    task.push(rows(FRAME), "lazy")
    lazy = task.pull("lazy")
    used = session if own else settings.Session()
    used.rollback()
    DONE_BEFORE[name](used)
    transaction = used.get_transaction()
    lazy[50]
    if own or name != "a query":
        assert used.get_transaction() is transaction
        assert used.is_active
        before = used.execute(text("SELECT pg_current_xact_id()")).scalar()
        task.push(FRAME, session=used)
        assert used.execute(text("SELECT pg_current_xact_id()")).scalar() == before
    used.rollback()
    used.rollback()
    assert own or name == "a query" or task.pull() is None
    used.close()


def test_a_block_that_ends_a_session_goes_on_with_it(task):
    from airflow import settings

    task.push(rows(FRAME))
    lazy = task.pull()
    with settings.Session() as session, session.begin():
        session.execute(text("SELECT id FROM dag_run")).all()
        assert lazy[3]
        session.execute(text("UPDATE dag_run SET conf = NULL WHERE false"))
    settings.Session.remove()


def test_a_forked_process_leaves_the_transaction_of_its_parent(task):
    from airflow import settings

    task.push(rows(FRAME))
    lazy = task.pull()
    session = settings.Session()
    first = session.execute(text("SELECT now(), id FROM dag_run")).first()[0]
    fork_and_read(lazy)
    assert session.execute(text("SELECT now(), id FROM dag_run")).first()[0] == first
    session.close()


def test_a_session_that_is_broken_hides_no_error_and_leaves_no_parts(task, s3, monkeypatch):
    from airflow import settings
    from airflow.models import DagRun
    from sqlalchemy.exc import IntegrityError

    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(parts, "PART_BYTES", 5 * 1024 * 1024)
    task.push(rows(FRAME), "other")
    lazy = task.pull("other")

    def values() -> Iterator[dict[str, str]]:
        for _ in range(12):
            yield {"a": os.urandom(1_000_000).hex()}
        session = settings.Session()
        session.add(DagRun())
        session.flush()

    with pytest.raises(IntegrityError):
        task.push(items(values()))
    assert lazy[3]
    assert "Uploads" not in s3.meta.client.list_multipart_uploads(Bucket=s3.name)
    settings.Session().rollback()


def test_a_session_whose_connection_was_lost_fails_no_pull(task, database):
    from airflow import settings

    task.push(rows(FRAME))
    lazy = task.pull()
    session = settings.Session()
    backend = session.execute(text("SELECT pg_backend_pid(), id FROM dag_run")).first()[0]
    database.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    assert lazy[3]
    session.invalidate()


def test_a_guard_against_commits_is_not_set_off(task):
    from airflow import settings
    from airflow.utils.sqlalchemy import prohibit_commit

    task.push(rows(FRAME))
    lazy = task.pull()
    session = settings.Session()
    with prohibit_commit(session) as guard:
        session.execute(text("SELECT id FROM dag_run")).all()
        assert lazy[3]
        guard.commit()
    session.close()


def test_mapped_arguments_are_resolved_without_an_open_transaction(task, open_during_requests):
    from airflow.models.taskmap import TaskMap
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    task.push([1])
    with create_session() as session:  # as Airflow resolves them
        session.execute(select(func.count("*")).select_from(TaskMap)).scalar()
        session.query(func.max(TaskMap.length)).scalar()
        assert xcom_model().get_one(key="return_value", session=session, **task.ids) == [1]
    assert {count for _, count in open_during_requests} == {0}


def test_objects_that_were_added_to_a_session_are_not_written_by_a_push(task, session):
    from airflow.models import Variable

    session.add(Variable("mine", "1"))
    task.push(FRAME, session=session)
    session.rollback()
    assert session.query(Variable).filter_by(key="mine").count() == 0


def test_a_push_within_a_savepoint_leaves_it(task, session):
    with session.begin_nested() as savepoint:
        task.push(FRAME, session=session)
        savepoint.rollback()
    session.commit()
    assert task.pull() is None


def test_rows_that_are_read_from_a_server_side_cursor_go_on_after_a_push(task, session):
    found = session.execute(
        text("SELECT n FROM generate_series(1, 10000) AS n"),
        execution_options={"stream_results": True, "yield_per": 10},
    ).scalars()
    first = next(found)
    task.push(FRAME, session=session)
    assert len([first, *found]) == 10_000


def test_a_long_stream_and_a_long_pull_outlive_an_impatient_database(task, impatient):
    task.push(batches(slow_frames()))
    assert len(task.pull()) == 5
    task.push(FRAME, "frame")
    with calling(lambda **_: time.sleep(2 * impatient), "before-send.s3"):
        assert task.pull("frame").equals(FRAME)
        task.push(FRAME, "copy")


def test_multiple_outputs_are_pushed_one_by_one_without_an_open_transaction(task, open_during_requests):
    from airflow.models.taskinstance import set_current_context
    from airflow.utils.session import create_session

    running = SimpleNamespace(multiple_outputs=True, iter_mapped_dependants=lambda: iter(()))
    with set_current_context({"task": running}), create_session() as session:  # as Airflow 2.11 does
        for key in ("one", "two", "return_value"):
            task.push(FRAME, key, session=session)
    assert task.pull("one").equals(FRAME)
    assert task.pull().equals(FRAME)
    assert {count for _, count in open_during_requests} == {0}


def test_several_pushes_in_a_session_of_the_users_are_rolled_back_together(task, session):
    task.push(FRAME, "one", session=session)
    task.push(FRAME, "two", session=session)
    session.rollback()
    assert task.pull("one") is None
    assert task.pull("two") is None


def test_a_push_that_fails_leaves_the_xcom_before(task):
    task.push(FRAME)

    def failing() -> Iterator[pd.DataFrame]:
        yield FRAME
        raise ZeroDivisionError

    for value, error in [(batches(failing()), ZeroDivisionError), ([object()], UnsupportedValueError)]:
        with pytest.raises(error):
            task.push(value)
        assert task.pull().equals(FRAME)


def test_a_push_whose_row_is_refused_leaves_the_xcom_before_and_an_orphan(task, database, s3):
    from sqlalchemy.exc import DBAPIError

    task.push([1])
    keys = {item.key for item in s3.objects.all()}
    database.execute(
        text(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
    )
    database.execute(text("CREATE TRIGGER refuse BEFORE INSERT ON xcom EXECUTE FUNCTION refuse()"))
    try:
        with pytest.raises(DBAPIError):
            task.push(FRAME)
    finally:
        database.execute(text("DROP FUNCTION refuse CASCADE"))
    assert task.pull() == [1]
    assert len({item.key for item in s3.objects.all()} - keys) == 1
