"""TestDag: query Postgres, keep the result in S3, and handle each row in a task of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from airflow.providers.postgres.hooks.postgres import PostgresHook

log = logging.getLogger(__name__)


@dag(
    dag_id="TestDag",
    description="Queries Postgres and expands over the result row by row",
    schedule=None,
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
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
    def get_data(query: str, base_dir: str) -> list[dict[str, Any]]:
        sql = read_sql(query, Path(base_dir))
        rows = PostgresHook(postgres_conn_id="DB_CONN").run(sql, handler=fetch_rows)
        if rows:
            log.info("The query returned %d rows: as many tasks will handle them.", len(rows))
        else:
            log.warning("The query returned no rows: retrieve_data is skipped.")
        return rows

    @task(task_id="retrieve_data", multiple_outputs=False)
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


def fetch_rows(cursor: Any) -> list[dict[str, Any]]:
    """All rows of a cursor as dicts by column name.

    :raises ValueError: if the statement returns none
    """
    if cursor.description is None:
        raise ValueError("The statement returns no rows. The parameter `query` takes a SELECT.")
    columns = [column.name for column in cursor.description]
    if len(set(columns)) < len(columns):
        raise ValueError("The query gives two columns the same name. Name them apart with AS.")
    return [dict(zip(columns, row)) for row in cursor.fetchall()]


test_dag()
