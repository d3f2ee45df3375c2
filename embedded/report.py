"""Run TestDag and show what came of it. Runs in Airflow's environment, beside a scheduler.

Exit code: 0 if every task succeeded and the rows equal the table's.
"""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from typing import Any

from airflow.models import XCom
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.utils.session import create_session
from psycopg2.extras import RealDictCursor
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sqlalchemy import func

from include.s3_xcom import settings, store
from include.s3_xcom.reference import human_size, run_prefix
from scripts import run_dag

DAG_ID = "TestDag"
WIDTH = 190
MAX_PLACE = 50


def main() -> int:
    logging.disable(logging.WARNING)
    try:
        run_id = run_dag.trigger(DAG_ID)
        state = run_dag.wait(DAG_ID, run_id)
    except run_dag.RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console = Console(width=WIDTH, highlight=False, markup=False)
    rows = pulled_rows(run_id)
    show_states(console, run_id)
    show_rows(console, rows)
    show_storage(console, run_id)
    same = sorted(rows, key=repr) == sorted(table_rows(), key=repr)
    if state != "success":
        console.print(f"{DAG_ID} ended as {state}.")
    elif not same:
        console.print("The rows of the mapped tasks are not those of the table.")
    else:
        console.print(f"The {len(rows)} rows of the mapped tasks equal those of the table, types included.")
    return 0 if state == "success" and same else 1


def pulled_rows(run_id: str) -> list[dict[str, Any]]:
    """What each mapped task returned: the row it was given."""
    with create_session() as session:
        found = XCom.get_many(run_id=run_id, dag_ids=DAG_ID, task_ids="retrieve_data", session=session)
        ordered = found.with_entities(XCom.value).order_by(None).order_by(XCom.map_index).all()
    return [XCom.deserialize_value(row) for row in ordered]


def table_rows() -> list[dict[str, Any]]:
    """The table, read straight from Postgres."""
    connection = PostgresHook(postgres_conn_id="DB_CONN").get_conn()
    with closing(connection), connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute("SELECT * FROM my_table")
        return [dict(row) for row in cursor.fetchall()]


def titled(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, max_width=MAX_PLACE if column == "place" else None)
    return table


def show_states(console: Console, run_id: str) -> None:
    table = titled("Task states", "Task", "Instances")
    for task_id, counts in run_dag.states(DAG_ID, run_id).items():
        table.add_row(task_id, ", ".join(f"{count} {state}" for state, count in counts.items()))
    console.print(table)


def show_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0]) if rows else []
    table = titled("The rows as the mapped tasks saw them", "map index", *names)
    for map_index, row in enumerate(rows):
        table.add_row(str(map_index), *("NULL" if value is None else str(value) for value in row.values()))
    console.print(table)


def show_storage(console: Console, run_id: str) -> None:
    current = settings.load()
    prefix = run_prefix(current, DAG_ID, run_id)
    pages = (
        store.client(current).get_paginator("list_objects_v2").paginate(Bucket=current.bucket, Prefix=prefix)
    )
    objects = [item for page in pages for item in page.get("Contents", [])]
    table = titled(f"Objects below s3://{current.bucket}/{prefix}", "Object", "Size")
    for item in objects:
        table.add_row(item["Key"].removeprefix(prefix), human_size(item["Size"]))
    console.print(table)
    with create_session() as session:
        mine = session.query(func.count(), func.sum(func.length(XCom.value)))
        count, size = mine.filter(XCom.dag_id == DAG_ID, XCom.run_id == run_id).one()
    stored = sum(item["Size"] for item in objects)
    console.print(
        f"S3 holds {len(objects)} objects, {human_size(stored)}. The database holds {count} references, "
        f"{human_size(size or 0)}."
    )


if __name__ == "__main__":
    sys.exit(main())
