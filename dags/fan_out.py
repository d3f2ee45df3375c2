"""FanOut: query a table that may be larger than memory, and summarize it batch by batch, a task for each.

A cursor of the server's hands out some rows at a time, each batch goes to S3 as it comes, and a task of its
own summarizes it. No process ever holds the whole table, however many readings the parameter asks for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.postgres.hooks.postgres import PostgresHook

from include.s3_xcom import batches

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger(__name__)

READINGS = """
    SELECT n AS id, n %% 50 AS station,
           timestamptz '2026-01-01 00:00+00' + n * interval '1 minute' AS read_at,
           round((20 + 15 * sin(n / 720.0) + n %% 50 / 10.0)::numeric, 2) AS celsius
    FROM generate_series(1, %(readings)s) AS n
"""


@dag(
    dag_id="FanOut",
    description="Streams a table of any size to S3, expands over its batches, and joins the results",
    schedule=None,
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
    # Otherwise Airflow logs what a task returns.
    default_args={"show_return_value_in_logs": False},
    tags=["s3-xcom", "example"],
    doc_md=__doc__,
    params={
        "readings": Param(100_000, type="integer", minimum=0, description="Rows of the table"),
        "batch_rows": Param(25_000, type="integer", minimum=1, description="Rows for each mapped task"),
    },
)
def fan_out() -> None:
    @task
    def read_table(params: dict[str, Any] | None = None) -> Sequence[Any]:
        # Nothing is read before it is pushed, batch after batch. A task can be expanded over 1,024 of them
        # ([core] max_map_length).
        return batches(fetch_batches(int(params["readings"]), int(params["batch_rows"])))

    @task
    def summarize(batch: Any) -> Any:
        celsius = batch["celsius"].astype(float)
        return celsius.groupby(batch["station"].astype(int)).agg(["count", "sum", "min", "max"])

    @task
    def join(summaries: Sequence[Any]) -> Any:
        import pandas as pd

        how = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}
        joined = pd.concat(list(summaries)).groupby("station").agg(how)
        joined["mean"] = joined["sum"] / joined["count"]
        log.info("Joined %d summaries of %d readings.", len(summaries), joined["count"].sum())
        return joined

    join(summarize.expand(batch=read_table()))


def fetch_batches(readings: int, batch_rows: int) -> Iterator[DataFrame]:
    """The table, some rows at a time, with the values as they left the database."""
    from pandas import DataFrame

    connection = PostgresHook(postgres_conn_id="DB_CONN").get_conn()
    # A cursor with a name is one of the server's, which keeps the rows that were not fetched yet.
    with contextlib.closing(connection), connection.cursor("readings") as cursor:
        cursor.execute(READINGS, {"readings": readings})
        while rows := cursor.fetchmany(batch_rows):
            yield DataFrame(rows, columns=[column.name for column in cursor.description], dtype=object)


fan_out()
