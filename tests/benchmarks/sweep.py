"""A sweep over 100,000 small objects, half of which no XCom refers to."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from embedded.stack import Stack
from include.s3_xcom.reference import human_size

RUNS, TASKS = 100, 1000
PREFIX = "sweep"


def measure(stack: Stack) -> str:
    """Put the objects and rows there, and sweep in a process of its own."""
    environment = {**stack.airflow.environment, "AIRFLOW__S3_XCOM__PREFIX": PREFIX}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.sweep"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    r = json.loads(done.stdout.splitlines()[-1])
    return (
        f"A sweep over {r['objects']:,} objects that deleted {r['deleted']:,} of them: {r['seconds']:.0f} s, "
        f"with {r['requests']} requests and {human_size(r['memory'])} of extra memory. LocalStack, which "
        f"sorts all keys for each listing, took {r['in S3']:.0f} s of that, the queries "
        f"{r['in queries']:.1f} s."
    )


def put_all() -> None:
    import datetime

    from airflow.models import DagRun, TaskInstance, XCom
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    from include.s3_xcom.keys import Owner, make_stem
    from include.s3_xcom.on_airflow import heir
    from include.s3_xcom.reference import ObjectInfo, Reference
    from include.s3_xcom.s3.store import Store

    store = Store.configured()
    heir.take_over(store, heir.identity())

    def put(run_id: str, map_index: int) -> bytes:
        key = make_stem(store.settings, Owner("sweep", run_id, "task", map_index, "return_value")) + ".json"
        etag = store.client.put_object(Bucket=store.settings.bucket, Key=key, Body=b"[]")["ETag"]
        reference = Reference(store.settings.bucket, key, 2, etag, ObjectInfo("json", "list", [0]), "0" * 64)
        return reference.to_json()

    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    with ThreadPoolExecutor(8) as threads:
        for run in range(RUNS):
            run_id = f"run-{run}"
            date = start + datetime.timedelta(days=run)
            rows = list(threads.map(lambda n, run_id=run_id: put(run_id, n), range(TASKS)))
            with create_session() as session:
                dag_run = DagRun("sweep", run_id=run_id, execution_date=date, run_type=DagRunType.MANUAL)
                session.add(dag_run)
                session.flush()
                ids = {"dag_id": "sweep", "run_id": run_id, "task_id": "task"}
                operator = EmptyOperator(task_id="task")
                instances = [
                    TaskInstance.insert_mapping(run_id, operator, map_index=n) | {"dag_id": "sweep"}
                    for n in range(0, TASKS, 2)
                ]
                session.bulk_insert_mappings(TaskInstance, instances)
                session.bulk_insert_mappings(
                    XCom,
                    [
                        {
                            **ids,
                            "dag_run_id": dag_run.id,
                            "map_index": n,
                            "key": "return_value",
                            "value": rows[n],
                        }
                        for n in range(0, TASKS, 2)
                    ],
                )


def main() -> None:
    import dataclasses
    import logging
    import time

    logging.disable(logging.WARNING)
    from include.s3_xcom.admin.sweep import sweep
    from include.s3_xcom.on_airflow import xcom_table
    from include.s3_xcom.s3.store import Store
    from tests.benchmarks.measure import with_memory

    put_all()
    spent = {"in S3": 0.0, "in queries": 0.0, "requests": 0}

    def timed(module: object, name: str, key: str) -> None:
        original = getattr(module, name)

        def call(*args: object, **kwargs: object) -> object:
            start = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                spent[key] += time.perf_counter() - start
                spent["requests"] += key == "in S3"

        setattr(module, name, call)

    s3 = Store.configured().client
    timed(s3, "_make_api_call", "in S3")
    timed(xcom_table, "_execute", "in queries")
    start = time.perf_counter()
    counts, memory = with_memory(lambda: sweep(Store.configured(), grace=0, delete=True))
    took = time.perf_counter() - start
    print(json.dumps({**dataclasses.asdict(counts), **spent, "seconds": took, "memory": memory}))


if __name__ == "__main__":
    main()
