"""Workers: a switch of `make up`. They share no disk, and one may die."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.stack.conftest import OURS, PROJECT, ComposeStack

WORKERS = 3
QUERY = "SELECT m.*, pg_sleep(0.1)::text FROM my_table m ORDER BY m.id LIMIT 24"


@pytest.fixture(scope="module")
def celery(compose: ComposeStack) -> Iterator[ComposeStack]:
    done = compose.make("up", "EXECUTOR=celery", f"WORKERS={WORKERS}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert compose.secrets_in(done.stdout + done.stderr) == []
    yield compose
    assert compose.secrets_in(compose.compose("logs", "--no-color").stdout) == []
    assert compose.make("up").returncode == 0
    assert workers() == []


def workers() -> list[str]:
    """The containers of the workers that run."""
    names = [*OURS, "--filter", "label=com.docker.compose.service=airflow-worker", "--quiet"]
    return subprocess.check_output(["docker", "ps", *names], text=True).split()


def retrieved(stack: ComposeStack, run_id: str) -> list[dict]:
    path = f"dags/TestDag/dagRuns/{quote(run_id)}/taskInstances?limit=100"
    found = stack.api(path)["task_instances"]
    return [item for item in found if item["task_id"] == "retrieve_data"]


def ids_of_rows(stack: ComposeStack, run_id: str) -> list[str]:
    """What the mapped tasks returned, pulled from S3 by a process of its own."""
    code = f"""
import json
from include.s3_xcom.on_airflow.releases import release
release.prepare_command_line()
from airflow.utils.session import create_session
from include.s3_xcom.pull import pull
from include.s3_xcom.row import parse_row
from sqlalchemy import select
xcoms = release.table().c
rows = select(xcoms.value).where(xcoms.run_id == {run_id!r}, xcoms.task_id == "retrieve_data")
with create_session() as session:
    found = session.execute(rows.order_by(xcoms.map_index)).scalars()
    values = [pull(parse_row(release.from_column(value))) for value in found]
print(json.dumps([value["id"] for value in values]))
"""
    done = stack.run_in("airflow-scheduler", "python", "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def ids_of_table(stack: ComposeStack) -> list[str]:
    url = f"postgresql://demo:{stack.settings['DEMO_DB_PASSWORD']}@127.0.0.1/demo"
    query = "SELECT id FROM my_table ORDER BY id LIMIT 24"
    return stack.run_in("postgres", "psql", url, "-Atc", query).stdout.split()


def test_mapped_tasks_run_on_several_workers_and_every_row_arrives(celery):
    assert len(workers()) == WORKERS
    run_id, state = celery.run_dag("TestDag", {"query": QUERY})
    assert state == "success"
    where = {item["map_index"]: item["hostname"] for item in retrieved(celery, run_id)}
    print(*(f"map index {n}: worker {host}" for n, host in sorted(where.items())), sep="\n")
    assert len(where) == 24
    assert len(set(where.values())) >= 2
    assert set(where.values()) <= {worker[:12] for worker in workers()}
    assert ids_of_rows(celery, run_id) == ids_of_table(celery)


def test_workers_share_no_disk_but_for_the_logs_which_the_ui_has(celery):
    mounts = [
        {mount.get("Name", mount["Source"]): mount["RW"] for mount in container["Mounts"]}
        for container in json.loads(subprocess.check_output(["docker", "inspect", *workers()]))
    ]
    writable = Counter(source for each in mounts for source, writes in each.items() if writes)
    assert {name for name, count in writable.items() if count > 1} == {f"{PROJECT}_airflow-logs"}
    run_id, _ = celery.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 1"})
    path = f"dags/TestDag/dagRuns/{quote(run_id)}/taskInstances/retrieve_data/logs/1?map_index=0"
    assert "Pushed dict (11)" in str(celery.api(path)["content"])


def test_a_worker_killed_in_mid_run_loses_no_row(celery):
    run_id = celery.trigger("TestDag", {"query": QUERY})
    victim = None
    deadline = time.monotonic() + 120
    while victim is None and time.monotonic() < deadline:
        running = [item["hostname"] for item in retrieved(celery, run_id) if item["state"] == "running"]
        victim = next((worker for worker in workers() if worker[:12] in running), None)
    assert victim is not None, "no mapped task was seen running"
    subprocess.run(["docker", "kill", "--signal", "KILL", victim], check=True, stdout=subprocess.DEVNULL)
    assert celery.wait("TestDag", run_id, seconds=420) == "success"
    tries = Counter(item["try_number"] for item in retrieved(celery, run_id))
    print("tries of the mapped tasks:", dict(tries))
    assert max(tries) > 1, "the worker that was killed ran nothing"
    assert ids_of_rows(celery, run_id) == ids_of_table(celery)
