"""From SELECT to pushed XCom: which part of the time is whose."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from embedded.stack import Stack
from tests.benchmarks.measure import OWNER
from tests.benchmarks.peers import run

ROWS = 1_000_000
QUERY = f"""
SELECT i AS id, (i * 0.01)::numeric(12, 2) AS price, date '2024-01-01' + i % 3650 AS day,
       CASE WHEN i % 10 > 0 THEN 'text ' || i END AS note,
       timestamptz '2024-01-01 00:00Z' + i * interval '137 seconds' AS at,
       CASE WHEN i % 10 > 0 THEN i % 3 = 0 END AS ok
  FROM generate_series(1, {ROWS}) i
"""


REASON = (
    "COPY is the fastest way out of Postgres, but CSV tells no types: they would have to be written down by "
    "hand for each query, and NULL and the empty text told apart. So `TestDag` fetches, and makes the frame "
    "of what psycopg2 gives, with Decimals as they are (`get_pandas_df` makes them floats, unless it gets "
    "`coerce_float=False`)."
)


def measure(stack: Stack, env: dict[str, str], directory: Path) -> list[str]:
    """The lines of the table, made by a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.database", stack.postgres.url("airflow")]
    took = json.loads(run(command, env, directory))
    lines = ["", f"## From SELECT to XCom, {ROWS:,} rows of the query's six columns", ""]
    lines += ["| step | s |", "| --- | ---: |", *(f"| {step} | {s:.2f} |" for step, s in took.items())]
    return [*lines, "", REASON]


def main() -> None:
    import pandas as pd
    import psycopg2

    from dags.test_dag import fetch_frame
    from include.s3_xcom import rows
    from include.s3_xcom_backend import S3XComBackend

    connection = psycopg2.connect(sys.argv[1])
    took: dict[str, float] = {}

    def timed(step: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = action()
        took[step] = time.perf_counter() - start
        return result

    def fetch() -> pd.DataFrame:
        cursor = connection.cursor()
        cursor.execute(QUERY)
        return fetch_frame(cursor)

    def copy() -> None:
        with open("copy.csv", "wb") as stream:
            connection.cursor().copy_expert(f"COPY ({QUERY}) TO STDOUT WITH CSV", stream)

    timed("COPY to a CSV file, without reading it", copy)
    timed("`get_pandas_df`", lambda: pd.read_sql(QUERY, connection))
    frame = timed("`TestDag`'s `fetch_frame`", fetch)
    row = timed("push of the frame", lambda: S3XComBackend.serialize_value(frame, **OWNER))
    timed("pull of the frame", lambda: S3XComBackend.deserialize_value(SimpleNamespace(value=row)))
    timed("push of `rows(frame)`", lambda: S3XComBackend.serialize_value(rows(frame), **OWNER))
    print(json.dumps(took))


if __name__ == "__main__":
    main()
