"""Branches: a decision that the scheduler reads from its XCom."""

from __future__ import annotations

import pendulum

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task


@dag(dag_id="Branches", schedule=None, start_date=pendulum.datetime(2023, 1, 1, tz="UTC"))
def branches() -> None:
    @task.branch
    def decide() -> str:
        return "taken"

    @task
    def taken() -> None:
        pass

    @task
    def left() -> None:
        pass

    decide() >> [taken(), left()]


branches()
