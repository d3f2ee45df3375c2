"""One private Postgres and S3 server a worker, and a DAG run to push and pull XComs as Airflow does."""

from __future__ import annotations

import datetime
import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from embedded.airflow import AIRFLOW_3
from embedded.stack import Stack
from tests.conftest import ROOT, STACK
from tests.helpers.outside import bucket_at
from tests.helpers.requests import asked
from tests.helpers.task import Task, make_task
from tests.servers import CHOSEN, SERVERS

if TYPE_CHECKING:
    from include.s3_xcom import File

_runs = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    # Before any test module imports Airflow, which reads its configuration once.
    stack = config.stash[STACK] = Stack(new_s3=SERVERS[CHOSEN])
    dags = stack.directory / "dags"
    dags.mkdir()
    (dags / "examples").symlink_to(ROOT / "dags")
    (dags / "tests").symlink_to(ROOT / "tests/dags")
    stack.airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
    # Some ids of runs are odd; Airflow 2.6 and later ask for a pattern.
    stack.airflow.environment["AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"] = "(?s).*"
    os.environ.clear()
    os.environ.update(stack.airflow.environment)
    if AIRFLOW_3:
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # which has the database


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[STACK].stop()


SLOWEST = ("test_dags.py", "test_faults.py", "test_any_sequence.py")
"""Files that begin first: beside the scheduler of the first, another worker does the rest."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is of Airflow 2 alone; on another S3 server, what does not concern it."""
    items.sort(key=lambda item: SLOWEST.index(item.path.name) if item.path.name in SLOWEST else len(SLOWEST))
    if AIRFLOW_3:
        _keep(config, items, lambda item: item.get_closest_marker("airflow_2") is None)
    if CHOSEN == "localstack":
        return
    _keep(config, items, lambda item: "stack" in item.fixturenames and _is_for(item, CHOSEN))


def _keep(config: pytest.Config, items: list[pytest.Item], is_kept: Callable[[pytest.Item], bool]) -> None:
    left_out = [item for item in items if not is_kept(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if is_kept(item)]


def _is_for(item: pytest.Item, server: str) -> bool:
    return all(server in marker.args for marker in item.iter_markers("servers"))


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """Postgres and LocalStack, with Airflow's database, connections and bucket prepared."""
    with pytestconfig.stash[STACK] as stack:
        yield stack


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What a test, or a command in it, sets in the environment is gone after it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


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
def csv(tmp_path) -> File:
    """A file of several parts."""
    from include.s3_xcom import File

    path = tmp_path / "data.csv"
    path.write_bytes(b"1,Hualian\n" * 1_200_000)
    return File(path)


@pytest.fixture
def s3(stack) -> Iterator[Any]:
    """The bucket, seen from outside."""
    return bucket_at(stack.s3.url, stack.s3.bucket)


@pytest.fixture
def prefix(stack, s3, monkeypatch) -> Iterator[str]:
    """A prefix of its own for the objects of a test, in which the first database that deletes may."""
    from include.s3_xcom.s3 import database_note
    from include.s3_xcom.s3.store import Store

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
