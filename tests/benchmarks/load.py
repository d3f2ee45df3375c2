"""A hundred pushes and pulls at once, from several processes, with all that Airflow's own calls do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from embedded.stack import Stack
from include.s3_xcom.reference import human_size

PROCESSES, THREADS, OBJECTS = 5, 20, 10_000
WARM_UP = 250
"""Objects of a process, after which its memory and sockets are counted first."""


def measure(stack: Stack) -> str:
    """One line for the page.

    :raises RuntimeError: if anything failed
    """
    # Of the 100 connections that Postgres has; threads wait for theirs.
    pool = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "18",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "0",
    }
    environment = {**stack.airflow.environment, **pool, "AIRFLOW__S3_XCOM__PREFIX": "load"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.load"]
    start = time.monotonic()
    processes = [
        subprocess.Popen([*command, str(n)], env=environment, stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    results = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    seconds = time.monotonic() - start
    errors = [error for result in results for error in result["errors"]]
    if errors:
        raise RuntimeError(f"{len(errors)} failed, such as: {errors[0]}")
    first = results[0]["before"], results[0]["after"]
    grown = max(r["after"]["memory"] - r["before"]["memory"] for r in results)
    handles, threads = ([side[name] for side in first] for name in ("descriptors", "threads"))
    return (
        f"{OBJECTS:,} XComs pushed and pulled by {PROCESSES} processes of {THREADS} threads, "
        f"{PROCESSES * THREADS} at once: no error, {seconds:.0f} s. From the {WARM_UP}th XCom of a process "
        f"to its last, its memory grew by {human_size(grown)} at most, its open sockets and files went from "
        f"{handles[0]} to {handles[1]}, its threads from {threads[0]} to {threads[1]}."
    )


def state() -> dict[str, int]:
    """What a process holds: memory in bytes, sockets and files, threads."""
    import gc

    import psutil

    gc.collect()
    process = psutil.Process()
    return {
        "memory": process.memory_info().rss,
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
    }


def main(number: int) -> None:
    import logging

    logging.disable(logging.WARNING)
    from airflow.models import XCom

    from tests.helpers.faults import make_task

    ids = make_task(f"load-{number}")
    errors = []

    def push_and_pull(n: int) -> None:
        value: Any = {"n": n, "text": "x" * (n % 5000), "bytes": os.urandom(1000)}
        try:
            XCom.set(key=str(n), value=value, **ids)
            if XCom.get_one(key=str(n), **ids) != value:
                errors.append(f"{n}: another value")
        except Exception as error:
            errors.append(f"{n}: {type(error).__name__}: {error}")

    count = OBJECTS // PROCESSES
    push_and_pull(0)  # makes the client, for which the connection is looked up
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(push_and_pull, range(1, WARM_UP)))
        before = state()
        list(threads.map(push_and_pull, range(WARM_UP, count)))
        after = state()
    print(json.dumps({"errors": errors, "before": before, "after": after}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
