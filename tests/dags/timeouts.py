"""Timeouts: results that are made while they are pushed, of tasks with an execution_timeout."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any

import pendulum

from include.s3_xcom import batches, items

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

SECONDS = datetime.timedelta(seconds=3)


def frames(count: int) -> Iterator[Any]:
    import pandas as pd

    for _ in range(count):
        time.sleep(0.05)
        yield pd.DataFrame({"n": [1]})


def one_that_never_comes() -> Iterator[int]:
    yield 1
    time.sleep(600)


@dag(dag_id="Timeouts", schedule=None, start_date=pendulum.datetime(2023, 1, 1, tz="UTC"))
def timeouts() -> None:
    @task(execution_timeout=SECONDS)
    def too_many_chunks() -> Any:
        return batches(frames(1000))

    @task(execution_timeout=SECONDS)
    def never_ends() -> Any:
        return items(one_that_never_comes())

    @task(execution_timeout=SECONDS)
    def expanded() -> Any:
        return items(one_that_never_comes())

    @task(execution_timeout=datetime.timedelta(minutes=5))
    def in_time() -> Any:
        return batches(frames(3))

    @task
    def one(value: Any) -> None:
        pass

    too_many_chunks()
    never_ends()
    in_time()
    one.expand(value=expanded())


timeouts()
