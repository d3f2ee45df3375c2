"""Objects live exactly as long as their XComs, by whatever road these are deleted."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from embedded.localstack import LOGIN
from include.s3_xcom import File, items
from include.s3_xcom.on_airflow import deletion, heir
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.s3 import store
from include.s3_xcom.s3.store import Store
from tests.helpers import faults
from tests.helpers.proxy import TRANSIENT, Proxy
from tests.helpers.release import AIRFLOW_3, add_dag, settle, xcom_model
from tests.helpers.requests import calling

airflow_2 = pytest.mark.airflow_2


@pytest.fixture
def objects(s3):
    """The keys of a task's objects."""

    def list_keys(task) -> list[str]:
        settle()
        run = task.ids["run_id"].replace(":", "%3A").replace("+", "%2B")
        dag = task.ids["dag_id"].replace(" ", "%20")
        return [item.key for item in s3.objects.filter(Prefix=f"xcom/dag_id={dag}/run_id={run}/")]

    return list_keys


@pytest.fixture
def session(stack):
    """A session of its own, as the webserver has one."""
    from airflow import settings
    from sqlalchemy.orm import sessionmaker

    session = sessionmaker(bind=settings.engine)()
    yield session
    session.close()


@pytest.fixture
def requests(stack):
    """Operations that S3 was asked for, but for the one look at which database may delete."""
    assert heir.why_not(Store.configured()) == ""
    seen: list[str] = []

    def note(model, **_):
        seen.append(model.name)

    with calling(note, "before-call.s3", hasty=(False, True)):
        yield seen


def left_in_s3(caplog) -> list[int]:
    """How many objects each warning says are left to the sweep."""
    settle()
    messages = [record.getMessage() for record in caplog.records if record.name == deletion.__name__]
    return [int(text.split()[0]) for text in messages if "deleted, but not their data in S3" in text]


def query(session, task):
    return session.query(xcom_model()).filter_by(**task.ids)


def test_overwriting_deletes_the_object_before(task, objects, requests):
    task.push([1])
    (first,) = objects(task)
    requests.clear()
    task.push([2])
    (second,) = objects(task)
    assert second != first
    assert requests == ["PutObject", "DeleteObjects"]
    assert task.pull() == [2]


def test_overwriting_with_a_scalar_deletes_the_object(task, objects):
    task.push([1])
    task.push(1)
    assert objects(task) == []


def test_clearing_deletes_all_objects_of_the_task_at_once(task, objects, requests):
    for number in range(3):
        task.push([number], key=f"key {number}")
    requests.clear()
    task.clear()
    assert objects(task) == []
    # Airflow 3 deletes them one by one, by requests of its own.
    assert requests == ["DeleteObjects"] * (3 if AIRFLOW_3 else 1)


def test_clearing_asks_nothing_of_s3_if_there_is_nothing_there(task, requests):
    task.push(7)
    task.clear()
    task.clear()
    assert requests == []


@airflow_2("tasks have no session, and delete as test_clearing does")
def test_xcom_delete_deletes_the_object(task, objects):
    from airflow.models import XCom
    from airflow.utils.session import create_session

    task.push([1])
    with create_session() as session:
        XCom.delete(query(session, task).one(), session=session)
    assert objects(task) == []


def test_deletes_by_the_orm_in_any_session_delete_the_object(new_task, session, objects):
    one, many = new_task(), new_task()
    for task in (one, many):
        task.push([1])
    session.delete(query(session, one).one())
    query(session, many).delete()
    assert len(objects(one)) == len(objects(many)) == 1
    session.commit()
    assert objects(one) == objects(many) == []


@airflow_2("has another UI")
def test_the_delete_buttons_of_the_ui_delete_the_object(new_task, objects, monkeypatch):
    from airflow.models import XCom
    from airflow.utils.session import create_session
    from airflow.www import app

    tasks = [new_task(), new_task()]
    for task in tasks:
        task.push([1])
    with create_session() as session:
        keys = [
            [value.decode() if isinstance(value, bytes) else value for value in row]
            for task in tasks
            for row in query(session, task).with_entities(
                XCom.dag_run_id, XCom.task_id, XCom.map_index, XCom.key
            )
        ]
    application = app.create_app(testing=True)
    application.config.update(WTF_CSRF_ENABLED=False)
    manager = application.appbuilder.sm
    admin = manager.find_user("admin")
    with application.test_client() as client:
        with client.session_transaction() as cookies:
            cookies["_user_id"] = str(admin.id)
            cookies["_fresh"] = True
        assert client.post(f"/xcom/delete/{json.dumps(keys[0])}").status_code == 302
        assert objects(tasks[0]) == []
        form = {"action": "muldelete", "rowid": json.dumps(keys[1])}
        assert client.post("/xcom/action_post", data=form).status_code == 302
    assert objects(tasks[1]) == []


def test_a_rollback_leaves_database_and_bucket_as_they_were(new_task, session, objects):
    one, many = new_task(), new_task()
    for task in (one, many):
        task.push([1])
    session.delete(query(session, one).one())
    session.flush()
    query(session, many).delete()
    session.rollback()
    session.commit()
    assert one.pull() == many.pull() == [1]


def test_a_closed_session_deletes_nothing(task, session):
    task.push([1])
    query(session, task).delete()
    session.close()
    session.execute(text("SELECT 1"))
    session.commit()
    assert task.pull() == [1]


def test_only_what_a_savepoint_kept_is_deleted(new_task, session, objects):
    outer, kept, inner, undone = (new_task() for _ in range(4))
    for task in (outer, kept, inner, undone):
        task.push([1])
    query(session, outer).delete()
    with session.begin_nested():
        query(session, kept).delete()
    undo = session.begin_nested()
    query(session, undone).delete()
    with session.begin_nested():
        query(session, inner).delete()
    undo.rollback()
    assert len(objects(outer)) == len(objects(kept)) == 1
    session.commit()
    assert objects(outer) == objects(kept) == []
    assert undone.pull() == inner.pull() == [1]


@airflow_2("tasks have no session")
def test_a_push_that_is_rolled_back_leaves_the_value_before(task, session, objects):
    from airflow.models import XCom

    task.push([1])
    XCom.set(key="return_value", value=[2], session=session, **task.ids)
    session.rollback()
    assert task.pull() == [1]
    assert len(objects(task)) == 2  # the other is the sweep's


@airflow_2("tasks have no session")
def test_the_first_push_of_a_process_leaves_the_callers_transaction_alone(task, new_task):
    from airflow.models import XCom
    from airflow.settings import Session

    from include.s3_xcom.s3 import client

    other = new_task()
    other.push([1])
    client._clients.clear()
    session = Session()
    query(session, other).delete()
    XCom.set(key="return_value", value=[2], session=session, **task.ids)
    session.rollback()
    session.close()
    assert other.pull() == [1]
    assert task.row() is None


def test_files_within_a_value_go_with_it(task, objects, tmp_path, requests):
    (tmp_path / "a.csv").write_text("a")
    task.push({"files": [File(tmp_path / "a.csv"), File(tmp_path / "a.csv")]})
    assert len(objects(task)) == 3
    requests.clear()
    task.push(items([1]))
    assert len(objects(task)) == 1
    assert requests == ["PutObject", "ListObjectsV2", "DeleteObjects"]


def test_what_was_pushed_again_stays_when_the_first_goes(new_task, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for value in (items([1, 2]), File(tmp_path / "a.csv"), [File(tmp_path / "a.csv")]):
        first, second = new_task(), new_task()
        first.push(value)
        second.push(first.pull())
        first.clear()
        again = second.pull()
        if isinstance(value, type(items([]))):
            assert again == value
        else:
            file = again[0] if isinstance(again, list) else again
            assert file.path.read_text() == "a,b\n1,2\n"


def test_a_task_goes_on_when_s3_is_down_and_the_sweep_is_told(task, monkeypatch, caplog, objects):
    task.push([1])
    connection = {
        "conn_type": "aws",
        "login": LOGIN,
        "password": LOGIN,
        "extra": {
            "endpoint_url": "http://127.0.0.1:1",
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_DEAD_END", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", "dead_end")
    task.clear()
    assert task.row() is None
    assert len(objects(task)) == 1
    assert left_in_s3(caplog) == [1]


def test_a_commit_does_not_wait_long_for_an_s3_that_does_not_answer(task, stack, monkeypatch, caplog):
    patience = {"AIRFLOW__S3_XCOM__READ_TIMEOUT": "60", "AIRFLOW__S3_XCOM__MAX_ATTEMPTS": "5"}
    proxy = Proxy(stack.s3.port)
    for name, value in {**faults.environment(proxy.port), **patience}.items():
        monkeypatch.setenv(name, value)
    for number in range(5):
        task.push({"n": number}, key=f"key {number}")
    start = time.monotonic()
    with proxy.breaking(TRANSIENT["stall before the answer"]):
        task.clear()
        assert time.monotonic() - start < 5
        assert sum(left_in_s3(caplog)) == 5
    assert task.row("key 0") is None
    proxy.close()


def test_a_commit_does_not_wait_long_for_credentials_either(task, monkeypatch, caplog):
    """Such as those of a role, from a service that does not answer."""
    from include.s3_xcom.s3 import client

    task.push([1])
    monkeypatch.setattr(deletion, "MAX_SECONDS", 1)
    monkeypatch.setattr(client, "find_access", lambda conn_id: time.sleep(20))
    client._clients.clear()
    start = time.monotonic()
    task.clear()
    assert time.monotonic() - start < 4
    settle()
    assert "S3 has not answered within 2 s" in caplog.text


def test_a_commit_that_deletes_much_is_bounded_in_time_as_well(
    new_task, session, prefix, s3, monkeypatch, caplog
):
    monkeypatch.setattr(store, "DELETE_KEYS", 1)
    monkeypatch.setattr(deletion, "MAX_SECONDS", 0.2)
    assert heir.why_not(Store.configured()) == ""
    task = new_task()
    for number in range(5):
        task.push([number], key=f"key {number}")
    with calling(lambda **_: time.sleep(0.15), "before-call.s3.DeleteObjects", hasty=(True,)):
        query(session, task).delete()
        session.commit()
        settle()
    assert left_in_s3(caplog) == [3]
    assert len(list(s3.objects.filter(Prefix=f"{prefix}/dag_id="))) == 3


def test_a_row_of_a_newer_version_can_be_deleted(task):
    task.push([1])
    task.set_row(json.dumps({**json.loads(task.row()), "version": 99}).encode())
    task.clear()
    assert task.row() is None


def delete_one_by_one(session, model, task):
    ids = {name: task.ids[name] for name in ("dag_id", "run_id")}
    session.delete(session.query(model).filter_by(**ids).one())


def delete_by_query(session, model, task):
    ids = {name: task.ids[name] for name in ("dag_id", "run_id")}
    session.query(model).filter_by(**ids).delete(synchronize_session=False)


@pytest.mark.parametrize("delete", [delete_one_by_one, delete_by_query])
@pytest.mark.parametrize("name", ["DagRun", "TaskInstance"])
def test_what_takes_an_xcom_with_it_takes_the_object(new_task, session, objects, delete, name):
    """A run or a task instance that is deleted: the database deletes its XComs, by foreign keys."""
    from airflow import models

    deleted, kept = new_task(), new_task()
    for task in (deleted, kept):
        task.push([1])
        task.push({"a": 1}, "other")
    delete(session, getattr(models, name), deleted)
    assert len(objects(deleted)) == 2
    session.rollback()
    assert len(objects(deleted)) == 2
    delete(session, getattr(models, name), deleted)
    session.commit()
    assert objects(deleted) == []
    assert deleted.row() is None
    assert kept.pull() == [1]


def test_an_xcom_that_is_written_anew_as_it_was_keeps_its_object(task, session, objects):
    """As an edit in the UI of Airflow 3 does that changes nothing."""
    from sqlalchemy import insert

    task.push([1])
    (row,) = session.execute(release.table().select().where(release.table().c.run_id == task.ids["run_id"]))
    query(session, task).delete()
    session.execute(insert(release.table()).values(**row._mapping))
    session.commit()
    assert len(objects(task)) == 1
    assert task.pull() == [1]


def test_a_reference_that_leads_elsewhere_does_not_keep_the_others_back(new_task, session, objects, caplog):
    ours, theirs = new_task(), new_task()
    for task in (ours, theirs):
        task.push([1])
    for elsewhere in ({"key": "not/one/of/ours.json"}, {"bucket": "another"}):
        theirs.push([1], key="elsewhere")
        changed = {**json.loads(theirs.row("elsewhere")), **elsewhere}
        theirs.set_row(json.dumps(changed).encode(), "elsewhere")
        ours.push([1])
        for task in (ours, theirs):
            query(session, task).delete()
        session.commit()
        assert objects(ours) == []
        assert left_in_s3(caplog)[-1] == 1


def test_a_copy_of_a_row_can_be_deleted(task, session, objects):
    from sqlalchemy import insert

    task.push([1])
    (row,) = session.execute(release.table().select().where(release.table().c.run_id == task.ids["run_id"]))
    session.execute(insert(release.table()).values(**{**row._mapping, "key": "copy"}))
    session.commit()
    query(session, task).filter_by(key="copy").delete()
    session.commit()
    assert len(objects(task)) == 1
    assert task.pull() == [1]


def test_a_commit_within_another_transaction_is_none(task, objects):
    from airflow import settings
    from sqlalchemy.orm import Session

    task.push([1])
    with settings.engine.connect() as connection:
        outer = connection.begin()
        session = Session(bind=connection)
        query(session, task).delete()
        session.commit()
        session.close()
        outer.rollback()
    assert len(objects(task)) == 1
    assert task.pull() == [1]


@pytest.mark.parametrize("name", ["DagRun", "TaskInstance"])
def test_criteria_may_speak_of_xcoms(new_task, session, objects, name):
    from airflow import models
    from sqlalchemy import exists

    model, xcom = getattr(models, name), xcom_model()
    task = new_task()
    task.push([1])
    same = exists().where(xcom.run_id == model.run_id, xcom.dag_id == model.dag_id)
    found = session.query(model).filter(model.run_id == task.ids["run_id"], same)
    assert found.delete(synchronize_session=False) == 1
    session.commit()
    assert objects(task) == []


@airflow_2("comes with SQLAlchemy 2, which has no such deletes")
def test_a_delete_with_several_sets_of_parameters(task, session, objects):
    from sqlalchemy import bindparam, delete

    xcom = xcom_model()
    for key in ("a", "b", "c"):
        task.push([1], key=key)
    mine = xcom.run_id == task.ids["run_id"]
    statement = delete(xcom).where(mine, xcom.key == bindparam("name"))
    options = {"synchronize_session": False}
    session.execute(statement, [{"name": "a"}, {"name": "b"}], execution_options=options)
    session.commit()
    assert len(objects(task)) == 1


@pytest.mark.parametrize("name", ["xcom", "task_instance", "dag_run"])
def test_tables_of_others_are_left_alone_whatever_their_names(name):
    from sqlalchemy import Column, Integer, create_engine
    from sqlalchemy.orm import Session, declarative_base

    base = declarative_base()
    other = type("Other", (base,), {"__tablename__": name, "id": Column(Integer, primary_key=True)})
    engine = create_engine("sqlite://")
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([other(id=1), other(id=2)])
        session.commit()
        session.delete(session.get(other, 1))
        session.query(other).filter_by(id=2).delete()
        session.commit()
        assert session.query(other).count() == 0


def test_deleting_a_dag_deletes_the_objects(new_task, objects):
    from airflow.api.common.delete_dag import delete_dag

    add_dag("gone")
    deleted = [new_task("gone"), new_task("gone")]
    for task in deleted:
        task.push([1])
    delete_dag("gone")
    assert objects(deleted[0]) == objects(deleted[1]) == []


def test_cleaning_the_database_is_left_to_the_sweep(new_task, objects):
    from airflow.utils import timezone
    from airflow.utils.db_cleanup import run_cleanup

    from include.s3_xcom.admin.sweep import sweep

    cleaned, kept = new_task(), new_task()
    cleaned.push([1])
    before = timezone.utcnow()
    run_cleanup(clean_before_timestamp=before, table_names=["xcom"], confirm=False, skip_archive=True)
    kept.push([1])
    assert len(objects(cleaned)) == 1
    sweep(Store.configured(), grace=0, delete=True)
    assert objects(cleaned) == []
    assert kept.pull() == [1]


def test_nothing_of_this_needs_the_backend_to_have_pushed_before(task, stack, objects):
    """A process that has no client yet, such as the webserver, deletes too."""
    task.push([1])
    code = f"""
from include.s3_xcom.on_airflow.releases import release
from airflow.utils.session import create_session
from airflow.models import DagRun
with create_session() as session:
    session.query(DagRun).filter_by(run_id={task.ids["run_id"]!r}).delete()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=stack.airflow.environment)
    assert objects(task) == []
