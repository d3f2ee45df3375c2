"""What it takes to find whether any row still refers to objects that are to be deleted."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from embedded.stack import Stack

ROUNDS = 5
SIZES = (100_000, 1_000_000)
"""Rows of the table of XComs."""

DELETED = (1, 1000)
"""Rows that one transaction deletes."""

_FILL = """
INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp)
SELECT :run, 'held', 'run', 'task', -1, 'key-' || n,
    convert_to(repeat(md5(CAST(n AS text)), 12) || n, 'UTF8'), now()
FROM generate_series(:first, :last) AS n
"""
"""Rows of the length of references, about 400 bytes, each with other bytes."""


def measure(stack: Stack) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.held"]
    done = subprocess.run(
        command, env=stack.airflow.environment, stdout=subprocess.PIPE, text=True, check=True
    )
    took = json.loads(done.stdout.splitlines()[-1])
    return [
        "",
        "## Rows that hold the same as deleted ones",
        "",
        "The query before objects are deleted, in Postgres.",
        "",
        "| rows | " + " | ".join(f"{n:,} deleted" for n in DELETED) + " |",
        "| ---: |" + " ---: |" * len(DELETED),
        *(
            f"| {rows:,} | " + " | ".join(f"{seconds * 1000:.0f} ms" for seconds in of) + " |"
            for rows, of in took
        ),
    ]


def main() -> None:
    from airflow.models import DagRun, TaskInstance
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from airflow.utils.timezone import utcnow
    from airflow.utils.types import DagRunType
    from sqlalchemy import text

    from include.s3_xcom.on_airflow.xcom_table import still_held

    with create_session() as session:
        run = DagRun("held", run_id="run", execution_date=utcnow(), run_type=DagRunType.MANUAL)
        session.add(run)
        session.flush()
        instance = TaskInstance.insert_mapping("run", EmptyOperator(task_id="task"), map_index=-1)
        session.bulk_insert_mappings(TaskInstance, [instance | {"dag_id": "held"}])
        run_number = run.id

    def fill(first: int, last: int) -> None:
        with create_session() as session:
            session.execute(text(_FILL), {"run": run_number, "first": first, "last": last})
        with create_session() as session:
            connection = session.connection().execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM ANALYZE xcom"))

    def took(values: list[bytes]) -> float:
        start = time.perf_counter()
        assert not still_held(values)
        return time.perf_counter() - start

    filled, results = 0, []
    for rows in SIZES:
        fill(filled + 1, rows)
        filled = rows
        queries = [[b"0" * 390 + b"%d" % n for n in range(count)] for count in DELETED]
        results.append((rows, [statistics.median(took(query) for _ in range(ROUNDS)) for query in queries]))
    with create_session() as session:
        session.execute(text("DELETE FROM xcom WHERE dag_id = 'held'"))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
