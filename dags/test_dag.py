"""TestDag: query Postgres, keep the result in S3, and handle each row in a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.postgres.hooks.postgres import PostgresHook

from include.s3_xcom import rows

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger(__name__)


@dag(
    dag_id="TestDag",
    description="Queries Postgres and expands over the result row by row",
    schedule=None,
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
    # Otherwise Airflow logs what a task returns.
    default_args={"show_return_value_in_logs": False},
    tags=["s3-xcom", "example"],
    doc_md=__doc__,
    params={
        "query": Param(
            "SELECT * FROM my_table",
            type="string",
            minLength=1,
            description="SQL, or the path of a .sql file below the Airflow variable BASE_DIR, "
            "such as include/sql/felt_by_people.sql",
        )
    },
)
def test_dag() -> None:
    @task(task_id="Get_Data")
    def get_data(query: str, base_dir: str) -> Sequence[dict[str, Any]]:
        sql = read_sql(query, Path(base_dir))
        frame = PostgresHook(postgres_conn_id="DB_CONN").run(sql, handler=fetch_frame)
        if len(frame):
            log.info("The query returned %d rows: as many tasks will handle them.", len(frame))
        else:
            log.warning("The query returned no rows: retrieve_data is skipped.")
        # Each task of retrieve_data reads its own row only. A plain list of the rows, each reads whole.
        return rows(frame)

    # Tried again where a worker dies, or S3 does not answer.
    @task(task_id="retrieve_data", multiple_outputs=False, retries=2, retry_delay=timedelta(seconds=5))
    def retrieve_data(row: dict[str, Any]) -> dict[str, Any]:
        # Your work on one row goes here. Its types are those that left the database.
        log.info("Handling a row with the columns %s.", ", ".join(row))
        return row

    # Both are looked up when the task runs, not when this file is parsed.
    retrieve_data.expand(row=get_data(query="{{ params.query }}", base_dir="{{ var.value.BASE_DIR }}"))


def read_sql(query: str, base_dir: Path) -> str:
    """The SQL itself, from its file if the query names one.

    :raises ValueError: if the file is not below the base directory
    :raises FileNotFoundError: if there is no such file
    """
    if not query.strip().endswith(".sql"):
        return query
    path = (base_dir / query.strip()).resolve()
    if not path.is_relative_to(base_dir.resolve()):
        raise ValueError(f"{query!r} is not below BASE_DIR ({base_dir}).")
    return path.read_text()


def fetch_frame(cursor: Any) -> DataFrame:
    """All rows of a cursor, with the values as they left the database.

    :raises ValueError: if the statement returns no rows
    """
    from pandas import DataFrame

    if cursor.description is None:
        raise ValueError("The statement returns no rows. The parameter `query` takes a SELECT.")
    columns = [column.name for column in cursor.description]
    # Of objects: with a dtype of its own, a column of integers would turn to floats beside a NULL.
    return DataFrame(cursor.fetchall(), columns=columns, dtype=object)


test_dag()
