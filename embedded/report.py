"""Run TestDag and show what came of it. Runs in Airflow's environment, beside a scheduler.

Exit code: 0 if every task succeeded and the rows equal the table's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.utils.session import create_session
from sqlalchemy import func, select

from include.s3_xcom.keys import prefix_of
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.pull import pull
from include.s3_xcom.reference import human_size
from include.s3_xcom.row import parse_row
from include.s3_xcom.s3.store import Store
from scripts import run_dag

DAG_ID = "TestDag"


def main() -> int:
    logging.disable(logging.WARNING)
    release.prepare_command_line()
    try:
        run_id = run_dag.trigger(DAG_ID)
        state = run_dag.wait(DAG_ID, run_id)
    except run_dag.RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = pulled_rows(run_id)
    show_states(run_id)
    show_rows(rows)
    show_storage(run_id)
    same = sorted(map(repr, rows)) == sorted(map(repr, table_rows()))
    if state != "success":
        print(f"{DAG_ID} ended as {state}.")
    elif not same:
        print("The rows of the mapped tasks are not those of the table.")
    else:
        print(f"The {len(rows)} rows of the mapped tasks equal those of the table, types included.")
    return 0 if state == "success" and same else 1


def pulled_rows(run_id: str) -> list[dict[str, Any]]:
    """What each mapped task returned: the row it was given."""
    xcoms = release.table().c
    mine = select(xcoms.value).where(xcoms.dag_id == DAG_ID, xcoms.run_id == run_id)
    with create_session() as session:
        found = session.execute(mine.where(xcoms.task_id == "retrieve_data").order_by(xcoms.map_index))
        return [pull(parse_row(release.from_column(value))) for value in found.scalars()]


def table_rows() -> list[dict[str, Any]]:
    """The table, read straight from Postgres."""
    connection = PostgresHook(postgres_conn_id="DB_CONN").get_conn()
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM my_table")
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row)) for row in cursor.fetchall()]


def print_table(title: str, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    cells = [list(map(str, line)) for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def show_states(run_id: str) -> None:
    lines = [
        (task_id, ", ".join(f"{count} {state}" for state, count in counts.items()))
        for task_id, counts in run_dag.states(DAG_ID, run_id).items()
    ]
    print_table("Task states", ("task", "instances"), lines)


def show_rows(rows: list[dict[str, Any]]) -> None:
    header = ("map index", *(rows[0] if rows else ()))
    lines = [
        (map_index, *("NULL" if value is None else value for value in row.values()))
        for map_index, row in enumerate(rows)
    ]
    print_table("The rows as the mapped tasks saw them", header, lines)


def show_storage(run_id: str) -> None:
    store = Store.configured()
    prefix = prefix_of(store.settings, DAG_ID, run_id)
    objects = [item for page in store.list(prefix) for item in page]
    lines = [(item.key.removeprefix(prefix), human_size(item.size)) for item in objects]
    print_table(f"Objects below {store.address(prefix)}", ("object", "size"), lines)
    xcoms = release.table().c
    mine = select(func.count(), func.sum(release.length_of(xcoms.value)))
    with create_session() as session:
        count, size = session.execute(mine.where(xcoms.dag_id == DAG_ID, xcoms.run_id == run_id)).one()
    stored = human_size(sum(item.size for item in objects))
    print(
        f"\nS3 holds {len(objects)} objects, {stored}. "
        f"The database holds {count} references, {human_size(size or 0)}."
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the parent says so
        sys.exit(130)
