"""Everything that makes and deletes XComs at once, in several processes, beside sweeps of little grace."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import subprocess
import sys
import time
import warnings
from collections import Counter
from typing import Any

import pytest

from include.s3_xcom.keys import stem_of

OPERATIONS = int(os.environ.get("STRESS_OPERATIONS", "240"))
WORKERS = 3
GRACE_SECONDS = 5
"""Longer than the longest time from a PUT to its commit here."""

RUNS, TASKS, KEYS = 3, 3, 2


@pytest.mark.airflow_2("its workers push with sessions of the database, which tasks do not have")
def test_objects_and_xcoms_agree_after_everything_at_once(stack, prefix, s3):
    from airflow.models import XCom
    from airflow.utils.session import create_session

    from include.s3_xcom.admin.sweep import sweep
    from include.s3_xcom.s3.store import Store

    for run in range(RUNS):
        make_run(f"stress-{run}")
    environment = {**stack.airflow.environment, "AIRFLOW__S3_XCOM__PREFIX": prefix}
    command = [sys.executable, "-W", "ignore", "-m", "tests.integration.test_stress"]
    workers = [
        subprocess.Popen(
            [*command, str(seed), str(OPERATIONS // WORKERS)], env=environment, stdout=subprocess.PIPE
        )
        for seed in range(WORKERS)
    ]
    swept = 0
    while any(worker.poll() is None for worker in workers):
        swept += sweep(Store.configured(), grace=GRACE_SECONDS, delete=True, force=True).deleted
        time.sleep(0.2)
    done: Counter = Counter()
    for worker in workers:
        done.update(json.loads(worker.communicate()[0].splitlines()[-1]))
        assert worker.returncode == 0
    assert sum(done.values()) >= OPERATIONS // WORKERS * WORKERS
    print(dict(done))
    assert min(done[name] for name, _, _ in ACTIONS) > 0, done

    with create_session() as session:
        rows = session.query(XCom.value).filter(XCom.dag_id == "stress").all()
    assert rows
    for row in rows:
        number, payload = XCom.deserialize_value(row)
        assert payload == "x" * (number % 50)
    swept += sweep(Store.configured(), grace=0, delete=True, force=True).deleted
    assert swept > 0
    referenced = {stem_of(json.loads(row.value)["key"]) for row in rows}
    assert {stem_of(item.key) for item in s3.objects.filter(Prefix=f"{prefix}/dag_id=")} == referenced


def make_run(run_id: str) -> None:
    """A DAG run with its task instances, if it is not there."""
    import datetime

    from airflow.models import DagRun, TaskInstance
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    date = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
        days=int(run_id.rpartition("-")[2])
    )
    with create_session() as session:
        if session.query(DagRun).filter_by(dag_id="stress", run_id=run_id).count():
            return
        session.add(DagRun(dag_id="stress", run_id=run_id, execution_date=date, run_type=DagRunType.MANUAL))
        session.flush()
        for task in range(TASKS):
            instance = TaskInstance(EmptyOperator(task_id=f"task-{task}"), run_id=run_id)
            instance.dag_id = "stress"
            session.add(instance)


class Worker:
    """A process that does one thing after the other, as tasks, users and operators do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = itertools.count(seed, WORKERS)

    def ids(self) -> dict[str, Any]:
        run, task = self.random.randrange(RUNS), self.random.randrange(TASKS)
        return {"dag_id": "stress", "run_id": f"stress-{run}", "task_id": f"task-{task}"}

    def key(self) -> str:
        return f"key-{self.random.randrange(KEYS)}"

    def value(self) -> list:
        number = next(self.numbers)
        return [number, "x" * (number % 50)]

    def push(self, session: Any) -> None:
        from airflow.models import XCom

        XCom.set(key=self.key(), value=self.value(), session=session, **self.ids())

    def push_and_fail(self, session: Any) -> None:
        self.push(session)
        session.rollback()

    def push_again(self, session: Any) -> None:
        """From one task to another, as its return value."""
        from airflow.models import XCom

        value = XCom.get_one(key=self.key(), session=session, **self.ids())
        if value is not None:
            XCom.set(key=self.key(), value=value, session=session, **self.ids())

    def clear(self, session: Any) -> None:
        from airflow.models import XCom

        XCom.clear(session=session, **self.ids())

    def clear_and_fail(self, session: Any) -> None:
        self.clear(session)
        session.rollback()

    def delete(self, session: Any) -> None:
        from airflow.models import XCom

        for row in session.query(XCom).filter_by(**self.ids()).all():
            session.delete(row)

    def delete_run(self, session: Any) -> None:
        run_id = self.ids()["run_id"]
        session.execute("DELETE FROM dag_run WHERE run_id = :run_id", {"run_id": run_id})
        session.commit()
        make_run(run_id)


ACTIONS = [
    ("push", Worker.push, 10),
    ("push and fail", Worker.push_and_fail, 2),
    ("push again", Worker.push_again, 2),
    ("clear", Worker.clear, 3),
    ("clear and fail", Worker.clear_and_fail, 1),
    ("delete", Worker.delete, 2),
    ("delete run", Worker.delete_run, 1),
]


def work(seed: int, operations: int) -> None:
    """Prints how often it did what, and how often the database refused: others were at the same XCom."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from airflow import settings
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.orm import sessionmaker

    from include.s3_xcom.errors import ObjectMissingError

    worker = Worker(seed)
    done: Counter = Counter()
    new_session = sessionmaker(bind=settings.engine)
    weights = [weight for _, _, weight in ACTIONS]
    schedule = [*ACTIONS, *worker.random.choices(ACTIONS, weights, k=operations - len(ACTIONS))]
    for name, action, _ in schedule:
        session = new_session()
        try:
            action(worker, session)
            session.commit()
            done[name] += 1
        except (SQLAlchemyError, ValueError):
            session.rollback()
            done["refused"] += 1
        except ObjectMissingError:  # another process deleted it between the row and the object
            session.rollback()
            done["gone"] += 1
        finally:
            session.close()
    print(json.dumps(done))


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]))
