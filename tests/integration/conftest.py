"""A DAG run in the metadata database, to push and pull XComs as Airflow does."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.s3_xcom.s3 import database_note
from include.s3_xcom.s3.store import Store
from tests.helpers.outside import bucket_at
from tests.helpers.requests import asked
from tests.helpers.task import Task, make_task

_runs = itertools.count()


@pytest.fixture
def new_task(stack) -> Callable[..., Task]:
    def create(dag_id: str = "a dag", task_id: str = "task", run_id: str | None = None) -> Task:
        number = next(_runs)
        run_id = run_id or f"manual__{number:03d}+00:00"
        date = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=number)
        return make_task(dag_id, run_id, task_id, date)

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
    """A prefix of its own for the objects of a test, in which the first database that deletes may."""
    name = f"deployment-{next(_runs)}"
    monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", name)
    store = Store.configured()
    database_note.write_if_new(store.client, store.settings)
    yield name
    s3.objects.filter(Prefix=name).delete()


@pytest.fixture
def moved(stack) -> Iterator[list[tuple[str, int]]]:
    """The requests to S3, with the bytes that came back."""
    with asked() as seen:
        yield seen
