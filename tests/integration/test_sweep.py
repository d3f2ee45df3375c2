"""The sweep deletes what no XCom refers to, and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from include.s3_xcom import File, rows
from include.s3_xcom.admin.sweep import sweep
from include.s3_xcom.errors import SettingError
from include.s3_xcom.keys import stem_of
from include.s3_xcom.on_airflow import xcom_table
from include.s3_xcom.s3 import store
from include.s3_xcom.s3.store import Store
from tests.helpers import faults
from tests.helpers.frames import FRAME


def keys(s3, prefix: str) -> set[str]:
    return {item.key for item in s3.objects.filter(Prefix=f"{prefix}/dag_id=")}


@pytest.fixture
def orphan(new_task, prefix):
    """The key of an object whose XCom was deleted by plain SQL."""
    from airflow.utils.session import create_session

    def make() -> str:
        task = new_task()
        task.push([1])
        key = task.object_key()
        with create_session() as session:
            session.execute(text("DELETE FROM xcom WHERE run_id = :run_id"), {"run_id": task.ids["run_id"]})
        return key

    return make


def test_orphans_are_deleted_and_what_is_referred_to_stays(new_task, prefix, orphan, s3, tmp_path):
    (tmp_path / "a.csv").write_text("a")
    values = [[1], {"file": File(tmp_path / "a.csv")}, rows(FRAME), 7, "text" * 1000]
    tasks = [new_task() for _ in values]
    for task, value in zip(tasks, values):
        task.push(value)
    before = keys(s3, prefix)
    orphans = {orphan(), orphan()}
    counts = sweep(Store.configured(), grace=0, delete=True)
    assert keys(s3, prefix) == before
    assert dataclasses.asdict(counts) == {
        "objects": 7,
        "bytes": counts.bytes,
        "young": 0,
        "orphans": 2,
        "orphan_bytes": 6,
        "deleted": 2,
        "failed": 0,
    }
    assert not orphans & before
    assert all(task.pull() is not None for task in tasks)


def test_a_dry_run_deletes_nothing(new_task, prefix, orphan, s3):
    new_task().push([1])
    orphan()
    found = []
    counts = sweep(Store.configured(), grace=0, found=lambda counts, orphans: found.extend(orphans))
    assert (counts.orphans, counts.deleted, len(found)) == (1, 0, 1)
    assert len(keys(s3, prefix)) == 2


def test_the_young_are_left_alone(new_task, prefix, orphan, s3):
    new_task().push([1])
    orphan()
    counts = sweep(Store.configured(), grace=3600, delete=True)
    assert (counts.young, counts.orphans) == (2, 0)
    assert len(keys(s3, prefix)) == 2


def test_a_push_committed_after_the_listing_is_seen(task, prefix, monkeypatch, s3):
    """The database is read after the bucket is listed, not before."""
    from airflow.utils.session import create_session

    task.push([1])
    row = task.row()
    with create_session() as session:
        session.execute(
            text("UPDATE xcom SET value = '1' WHERE run_id = :run_id"), {"run_id": task.ids["run_id"]}
        )
    listed = Store.list

    def list_then_commit(*arguments):
        for page in listed(*arguments):
            task.set_row(row)
            yield page

    monkeypatch.setattr(Store, "list", list_then_commit)
    assert sweep(Store.configured(), grace=0, delete=True, force=True).orphans == 0
    assert task.pull() == [1]


def test_deployments_below_other_prefixes_are_left_alone(new_task, prefix, orphan, s3, monkeypatch):
    orphan()
    others = set()
    for other in (f"{prefix}2", f"{prefix}/inner", f"{prefix}-x/y"):
        monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", other)
        others.add(orphan())
    theirs = f"{prefix}/something/else.txt"
    s3.put_object(Key=theirs, Body=b"")
    monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", prefix)
    new_task().push([1])
    sweep(Store.configured(), grace=0, delete=True)
    left = {item.key for item in s3.objects.filter(Prefix=prefix) if not item.key.endswith("database.json")}
    assert others | {theirs} <= left
    assert len(left) == len(others) + 2


@pytest.mark.airflow_2(
    "ids of Airflow 3 are not odd, and pass through its tests' client, which takes Latin-1"
)
def test_mapped_tasks_and_long_or_odd_ids_are_found(new_task, prefix, orphan):
    from airflow.models import TaskInstance, XCom
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session

    task = new_task(dag_id="dag/ü %41 " + "x" * 240, task_id="t" * 250)
    with create_session() as session:
        for map_index in range(3):
            instance = TaskInstance(
                EmptyOperator(task_id=task.ids["task_id"]), run_id=task.ids["run_id"], map_index=map_index
            )
            instance.dag_id = task.ids["dag_id"]
            session.add(instance)
    for map_index in range(3):
        XCom.set(key="k" * 300, value=[map_index], map_index=map_index, **task.ids)
    task.push([1])
    orphan()
    counts = sweep(Store.configured(), grace=0, delete=True)
    assert (counts.objects, counts.orphans) == (5, 1)


CUT_WITHIN_A_CHARACTER = {
    "30 en dashes": "\u2013" * 30,
    "100 en dashes": "\u2013" * 100,
    "60 emoji": "\U0001f600" * 60,
    "letters and dashes": "x" * 215 + "\u2013" * 10,
    "a short one that looks shortened": "run~0123456789abcdef",
}


@pytest.mark.airflow_2("ids pass through its tests' client, which takes Latin-1")
@pytest.mark.parametrize("name", ["dag_id", "run_id", "task_id"])
@pytest.mark.parametrize("text", CUT_WITHIN_A_CHARACTER.values(), ids=list(CUT_WITHIN_A_CHARACTER))
def test_ids_that_are_cut_within_a_character_are_found(new_task, prefix, s3, name, text):
    task = new_task(**{name: text})
    task.push([1])
    found = xcom_table.references_to([task.object_key()])
    assert found[stem_of(task.object_key())].key == task.object_key()
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 0
    assert task.pull() == [1]


numbers = itertools.count()
ODD = "%~.-_ /\\?#&+=:'\"\u2013\u00fc\u65e5\U0001f600\u0301\x7f\n"
IDS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=250),
    st.builds(str.__mul__, st.sampled_from(ODD), st.integers(1, 250)),
    st.text(st.sampled_from(ODD + "ax1"), min_size=1, max_size=250),
    st.builds(
        "{}{}".format, st.integers(1, 240).map("a".__mul__), st.text(st.sampled_from(ODD), max_size=10)
    ),
)
KEYS = st.one_of(IDS, st.builds(str.__mul__, st.sampled_from(ODD), st.integers(250, 512)))


@pytest.mark.airflow_2("ids pass through its tests' client, which takes Latin-1")
@given(ids=st.lists(st.tuples(IDS, IDS, IDS, KEYS), min_size=1, max_size=4))
@hypothesis.settings(
    max_examples=int(os.environ.get("PROPERTY_EXAMPLES", "100")) // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_id_of_any_length_or_script_loses_its_object(new_task, prefix, s3, ids):
    s3.objects.filter(Prefix=f"{prefix}/dag_id=").delete()
    living = []
    for number, (dag_id, run_id, task_id, key) in enumerate(ids):
        task = new_task(dag_id=dag_id, run_id=f"{next(numbers)}{run_id}"[:250], task_id=task_id)
        task.push([number], key=key)
        living.append((task, key))
    delete_row_of(new_task, *ids[0])
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 1
    for number, (task, key) in enumerate(living):
        assert task.pull(key) == [number]


def delete_row_of(new_task, dag_id: str, run_id: str, task_id: str, key: str) -> None:
    """Leave an orphan whose ids are nearly those of a living XCom."""
    from airflow.utils.session import create_session

    task = new_task(dag_id=dag_id, run_id=f"{next(numbers)}{run_id}"[:250], task_id=task_id)
    task.push(["gone"], key=key)
    with create_session() as session:
        session.execute(text("DELETE FROM xcom WHERE run_id = :run_id"), {"run_id": task.ids["run_id"]})


def test_a_dag_renamed_by_sql_keeps_its_objects(new_task, prefix, orphan, s3):
    from airflow.utils.session import create_session

    new_task().push([1])
    task = new_task(dag_id="before")
    task.push([2])
    orphan()
    renamed = new_task(dag_id="after")
    with create_session() as session:
        statement = text("UPDATE xcom SET dag_id = 'after', run_id = :run_id WHERE dag_id = 'before'")
        session.execute(statement, {"run_id": renamed.ids["run_id"]})
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 1
    assert renamed.pull() == [2]


SCHEMA = """
from airflow.models.base import Base
from airflow.models.xcom import BaseXCom, XCom
from airflow import settings
from airflow.models import DagRun, TaskInstance
from airflow.operators.empty import EmptyOperator
from airflow.utils.session import create_session
from airflow.models import import_all_models
import contextlib, datetime, importlib
import_all_models()
for name in ("airflow.providers.fab", "airflow.auth.managers.fab"):
    with contextlib.suppress(ImportError):  # the users' tables, since 2.7
        importlib.import_module(name + (".auth_manager.models" if "providers" in name else ".models"))
Base.metadata.create_all(settings.engine)
date = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
with create_session() as session:
    session.add(DagRun(dag_id="live", run_id="run", execution_date=date, run_type="manual"))
    session.flush()
    instance = TaskInstance(EmptyOperator(task_id="task"), run_id="run")
    instance.dag_id = "live"
    session.add(instance)
ids = dict(dag_id="live", run_id="run", task_id="task")
XCom.set(key="return_value", value=[1], **ids)
from include.s3_xcom.admin.sweep import sweep
from include.s3_xcom.s3.store import Store
orphans = sweep(Store.configured(), grace=0, delete=True).orphans
print(BaseXCom.__table__.schema, orphans, XCom.get_one(key="return_value", **ids))
"""


@pytest.mark.airflow_2("makes its tables by migrations alone")
def test_the_tables_are_those_of_airflows_schema(stack, new_task, prefix):
    """And not those of an earlier installation, which the database finds under the same name."""
    from airflow.utils.session import create_session

    new_task().push([1])
    with create_session() as session:
        session.execute(text("CREATE SCHEMA af"))
    environment = {
        **stack.airflow.environment,
        **faults.environment(stack.s3.port),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA": "af",
        "AIRFLOW__S3_XCOM__PREFIX": prefix,
    }
    command = [sys.executable, "-W", "ignore", "-c", SCHEMA]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "af 1 [1]"  # the other one's object is an orphan here
    finally:
        with create_session() as session:
            session.execute(text("DROP SCHEMA af CASCADE"))


def test_many_suspects_are_judged_in_several_readings_of_the_table(new_task, prefix, orphan, s3, monkeypatch):
    monkeypatch.setattr("include.s3_xcom.admin.sweep.MAX_SUSPECTS", 2)
    monkeypatch.setattr(store, "PAGE_KEYS", 1)
    new_task().push([1])
    for _ in range(5):
        orphan()
    assert sweep(Store.configured(), grace=0, delete=True).deleted == 5
    assert len(keys(s3, prefix)) == 1


def test_an_xcom_of_a_newer_version_keeps_its_object(new_task, prefix, s3):
    new_task().push([1])
    newer = new_task()
    newer.push([2])
    newer.set_row(json.dumps({**json.loads(newer.row()), "version": 99}).encode())
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 0


def test_an_object_whose_push_was_not_told_its_ids_stays(new_task, prefix, s3):
    from airflow.models import XCom

    new_task().push([1])
    XCom.serialize_value([1])
    assert sweep(Store.configured(), grace=0, delete=True).orphans == 0


def test_with_another_database_nothing_is_deleted(prefix, orphan, s3):
    orphan()
    with pytest.raises(SettingError, match="Is it the right database"):
        sweep(Store.configured(), grace=0, delete=True)
    assert len(keys(s3, prefix)) == 1
    assert sweep(Store.configured(), grace=0, delete=True, force=True).deleted == 1


def test_interrupted_it_can_be_started_again(new_task, prefix, orphan, s3, monkeypatch):
    new_task().push([1])
    for _ in range(3):
        orphan()
    monkeypatch.setattr("include.s3_xcom.admin.sweep.DELETE_KEYS", 1)

    def interrupt(counts, orphans):
        if counts.deleted == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(Store.configured(), grace=0, delete=True, found=interrupt)
    assert len(keys(s3, prefix)) == 3
    assert sweep(Store.configured(), grace=0, delete=True).deleted == 2


def test_a_database_that_does_not_answer_is_no_reason_to_delete(prefix, orphan, monkeypatch, s3):
    orphan()

    def fail(*_):
        raise SettingError("The metadata database does not answer.")

    monkeypatch.setattr(xcom_table, "_execute", fail)
    with pytest.raises(SettingError):
        sweep(Store.configured(), grace=0, delete=True, force=True)
    assert len(keys(s3, prefix)) == 1
