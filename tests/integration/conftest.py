"""A DAG run in the metadata database, to push and pull XComs as Airflow does."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.outside import bucket_at

_runs = itertools.count()


class Task:
    """One task instance, with the calls Airflow makes for its XComs."""

    def __init__(self, dag_id: str, run_id: str, task_id: str) -> None:
        self.ids = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}

    def push(self, value: Any, key: str = "return_value") -> None:
        from airflow.models import XCom

        XCom.set(key=key, value=value, **self.ids)

    def pull(self, key: str = "return_value") -> Any:
        from airflow.models import XCom

        return XCom.get_one(key=key, **self.ids)

    def row(self, key: str = "return_value") -> bytes:
        """What the metadata database holds."""
        from airflow.models import XCom
        from airflow.utils.session import create_session

        with create_session() as session:
            return session.query(XCom.value).filter_by(key=key, **self.ids).scalar()

    def object_key(self, key: str = "return_value") -> str:
        """Of the object that holds the value."""
        return json.loads(self.row(key))["key"]

    def set_row(self, value: bytes, key: str = "return_value") -> None:
        from airflow.models import XCom
        from airflow.utils.session import create_session

        with create_session() as session:
            session.query(XCom).filter_by(key=key, **self.ids).update({"value": value})

    def shown(self, key: str = "return_value") -> Any:
        """What the UI shows."""
        from airflow.models import XCom
        from airflow.utils.session import create_session

        with create_session() as session:
            return session.query(XCom).filter_by(key=key, **self.ids).one().value


@pytest.fixture
def new_task(stack) -> Callable[..., Task]:
    from airflow.models import DagRun, TaskInstance
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    def create(dag_id: str = "a dag", task_id: str = "task", run_id: str | None = None) -> Task:
        number = next(_runs)
        run_id = run_id or f"manual__{number:03d}+00:00"
        date = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=number)
        with create_session() as session:
            session.add(DagRun(dag_id=dag_id, run_id=run_id, execution_date=date, run_type=DagRunType.MANUAL))
            session.flush()
            instance = TaskInstance(EmptyOperator(task_id="task"), run_id=run_id, state="success")
            instance.dag_id, instance.task_id = dag_id, task_id
            session.add(instance)
        return Task(dag_id, run_id, task_id)

    return create


@pytest.fixture
def task(new_task) -> Task:
    return new_task()


@pytest.fixture
def s3(stack) -> Iterator[Any]:
    """The bucket, seen from outside."""
    return bucket_at(stack.s3.url, stack.s3.bucket)


@pytest.fixture
def prefix(stack, s3, monkeypatch) -> Iterator[str]:
    """A prefix of its own for the objects of a test."""
    name = f"deployment-{next(_runs)}"
    monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", name)
    yield name
    s3.objects.filter(Prefix=name).delete()


@pytest.fixture
def moved(stack, monkeypatch) -> list[tuple[str, int]]:
    """The requests to S3, with the bytes that came back."""
    seen: list[tuple[str, int]] = []

    def note(http_response, parsed, model, **_):
        seen.append((model.name, int(http_response.headers.get("Content-Length") or 0)))

    from include.s3_xcom.s3.store import Store

    events = Store.configured().client.meta.events
    events.register("after-call.s3", note, unique_id="moved")
    yield seen
    events.unregister("after-call.s3", unique_id="moved")
