"""FanOut: query a larger table, summarize it batch by batch in tasks of their own, and join the summaries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from airflow.providers.postgres.hooks.postgres import PostgresHook

from include.s3_xcom import batches

log = logging.getLogger(__name__)

READINGS = """
    SELECT n AS id, n % 50 AS station, timestamptz '2026-01-01 00:00+00' + n * interval '1 minute' AS read_at,
           round((20 + 15 * sin(n / 720.0) + n % 50 / 10.0)::numeric, 2)::float AS celsius
    FROM generate_series(1, 100000) AS n
"""


@dag(
    dag_id="FanOut",
    description="Expands over a larger table in batches, and joins the results",
    schedule=None,
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
    # Otherwise Airflow logs what a task returns.
    default_args={"show_return_value_in_logs": False},
    tags=["s3-xcom", "example"],
    doc_md=__doc__,
    params={"batch_rows": Param(25_000, type="integer", minimum=1, description="Rows for each mapped task")},
)
def fan_out() -> None:
    @task
    def read_table(batch_rows: str) -> Sequence[Any]:
        # 100,000 rows are too many to expand over ([core] max_map_length), four batches are not.
        return batches(PostgresHook(postgres_conn_id="DB_CONN").get_pandas_df(READINGS), int(batch_rows))

    @task
    def summarize(batch: Any) -> Any:
        return batch.groupby("station")["celsius"].agg(["count", "sum", "min", "max"])

    @task
    def join(summaries: Sequence[Any]) -> Any:
        import pandas as pd

        how = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}
        joined = pd.concat(list(summaries)).groupby("station").agg(how)
        joined["mean"] = joined["sum"] / joined["count"]
        log.info("Joined %d summaries of %d readings.", len(summaries), joined["count"].sum())
        return joined

    join(summarize.expand(batch=read_table(batch_rows="{{ params.batch_rows }}")))


fan_out()
