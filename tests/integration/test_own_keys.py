"""What Airflow's scheduler and webserver read by themselves stays in the metadata database."""

from __future__ import annotations

import json

import pytest

from include.s3_xcom.on_airflow import own_keys
from include.s3_xcom.on_airflow.own_keys import KEYS, SKIP_KEY
from include.s3_xcom.s3.store import Store
from tests.helpers.release import AIRFLOW_3, empty_operator


@pytest.mark.parametrize("key", sorted(own_keys._SCHEDULERS if AIRFLOW_3 else KEYS))
def test_it_stays_in_the_database_whatever_its_size(task, s3, key):
    value = {"followed": [f"task_{number}" for number in range(5000)]}
    before = len(list(s3.objects.all()))
    task.push(value, key=key)
    assert task.pull(key) == value
    assert len(list(s3.objects.all())) == before


def in_s3(task, value) -> str:
    """Push what Airflow never pushes: the object, and a row that refers to it."""
    task.push(value, key="skipmixin_key.")
    row = json.loads(task.row("skipmixin_key."))
    source = {"Bucket": row["bucket"], "Key": row["key"]}
    row["key"] = row["key"].replace("skipmixin_key.", SKIP_KEY)
    client = Store.configured().client
    copied = client.copy_object(Bucket=row["bucket"], Key=row["key"], CopySource=source)
    row["etag"] = copied["CopyObjectResult"]["ETag"]
    task.push(0, key=SKIP_KEY)
    task.set_row(json.dumps(row).encode(), SKIP_KEY)
    return row["key"]


def test_the_scheduler_asks_s3_for_nothing(task, monkeypatch, caplog):
    key = in_s3(task, {"followed": ["a"]})
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", "no_such")
    assert task.pull(SKIP_KEY) is None
    assert f"Airflow needs this XCom and goes on without it: {key}" in caplog.text


def test_a_task_that_pulls_it_by_itself_gets_it_or_is_told_what_is_wrong(task, s3, monkeypatch):
    from include.s3_xcom.errors import ObjectMissingError

    key = in_s3(task, {"followed": ["a"]})
    monkeypatch.setattr(own_keys.release, "current_task", lambda: empty_operator("x"))
    assert task.pull(SKIP_KEY) == {"followed": ["a"]}
    s3.Object(key).delete()
    with pytest.raises(ObjectMissingError):
        task.pull(SKIP_KEY)


def test_a_damaged_row_of_a_branch_raises_nothing(task):
    task.push(0, key=SKIP_KEY)
    key = f"xcom/dag_id=a/run_id=b/task_id=c/map_index=-1/{SKIP_KEY}-{'0' * 32}.json"
    reference = {"__s3_xcom__": "reference", "version": 1, "bucket": 5, "key": key}
    task.set_row(json.dumps(reference).encode(), SKIP_KEY)
    assert task.pull(SKIP_KEY) is None


@pytest.mark.airflow_2("has no way to ask this but to run a DAG, as test_dags does")
def test_the_scheduler_decides_about_a_skipped_task_when_the_object_is_gone(stack, s3, new_task):
    """Airflow's own check, with its own models: it raises nothing, and asks S3 for nothing."""
    import pendulum
    from airflow import DAG
    from airflow.models import DagRun, TaskInstance
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import BranchPythonOperator
    from airflow.ti_deps.dep_context import DepContext
    from airflow.ti_deps.deps.not_previously_skipped_dep import NotPreviouslySkippedDep
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from airflow.utils.types import DagRunType

    with DAG("branches", start_date=pendulum.datetime(2026, 1, 1), schedule=None) as dag:
        branch = BranchPythonOperator(task_id="branch", python_callable=lambda: "a")
        branch >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    date = pendulum.datetime(2026, 1, 1)
    with create_session() as session:
        run = DagRun("branches", "manual__1", execution_date=date, run_type=DagRunType.MANUAL)
        run.dag = dag
        session.add(run)
        session.flush()
        instances = {
            name: TaskInstance(dag.get_task(name), run_id="manual__1") for name in ("branch", "a", "b")
        }
        for instance in instances.values():
            session.add(instance)
        instances["branch"].state = State.SUCCESS
        session.flush()
        branch.skip_all_except(instances["branch"], "a")
        check = NotPreviouslySkippedDep()
        states = [check.is_met(instances[name], session, DepContext()) for name in ("a", "b")]
        assert states == [True, False]
        session.rollback()


def test_a_link_that_fails_or_names_the_return_value_changes_nothing(task, s3, monkeypatch):
    import pendulum
    from airflow import DAG

    class Failing:
        name = "Somewhere"

        @property
        def key(self) -> str:
            raise ValueError

    with DAG("links", start_date=pendulum.datetime(2026, 1, 1), schedule=None):
        operator = empty_operator("x")
    monkeypatch.setattr(own_keys.release, "current_task", lambda: operator)
    for link in (Failing(), type("Link", (), {"name": "Somewhere", "key": "return_value"})()):
        operator.__dict__.pop("operator_extra_link_dict", None)
        operator.operator_extra_links = (link,)
        task.push([1])
        assert s3.Object(task.object_key()).get()["Body"].read() == b"[1]"


@pytest.mark.airflow_2("looks for links in the process of the task")
@pytest.mark.parametrize("attribute", ["key", "xcom_key"])
def test_what_an_operators_link_needs_stays_in_the_database(task, s3, monkeypatch, attribute):
    link = type("Link", (), {"name": "Somewhere", attribute: "some_cluster"})()
    operator = empty_operator("x")
    operator.operator_extra_links = (link,)
    monkeypatch.setattr(own_keys.release, "current_task", lambda: operator)
    before = len(list(s3.objects.all()))
    value = {"region_name": "us-east-1", "job": "j-1"}
    task.push(value, key="some_cluster")
    assert len(list(s3.objects.all())) == before
    assert task.pull("some_cluster") == value
    task.push(value, key="of the user")
    assert len(list(s3.objects.all())) == before + 1
