"""XComs of Airflow 2, read by Airflow 3 after Airflow's own migration of the database: make test-migration.

<Python of 2.x> -m tests.migration <Pythons of later releases>...   each migrates; the last reads
"""

from __future__ import annotations

import copy
import datetime
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded.stack import Stack
from tests.helpers.release import ANY_CLASS

IDS = ("migrated", "run", "task")
DATE = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def makers() -> dict[str, Callable[[], Any]]:
    """Every kind of value, and scalars that JSON or Postgres could change, by their keys."""
    from tests.helpers import kinds

    kept = (makes for group, makes in kinds.KINDS.items() if group != "Refused")
    scalars = [
        None,
        True,
        0,
        -1,
        2**53 + 1,
        2**70,
        1.5,
        -0.0,
        1e16,
        1e300,
        5e-324,
        float("nan"),
        float("inf"),
    ]
    own = '{"__s3_xcom__": "reference"}'
    texts = ["", "text", "a\0b", "\ud800", "\U0001f600", "null", "1", "{}", own, f"a\n{own}", "a\n1"]
    return {name: make for makes in kept for name, make in makes.items()} | {
        f"scalar {n}": functools.partial(copy.copy, value) for n, value in enumerate([*scalars, *texts])
    }


def push() -> None:
    from tests.helpers.task import make_task

    task = make_task(*IDS, DATE)
    for key, make in makers().items():
        task.push(make(), key)


def pull() -> None:
    """Compare every XCom with what was pushed."""
    from tests.helpers import kinds
    from tests.helpers.task import Task

    task, wrong = Task(*IDS), []
    for key, make in makers().items():
        try:
            kinds.assert_same_kind(key, task.pull(key), make)
        except Exception as error:
            wrong.append(f"{key}: {type(error).__name__}: {error!s:.300}")
    print(json.dumps({"read": len(makers()), "wrong": wrong}))


def main() -> int:
    with Stack(print) as stack:
        environment = {
            **stack.airflow.environment,
            "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": ANY_CLASS,
            "AIRFLOW__S3_XCOM__INLINE_MAX_BYTES": "200",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        run(sys.executable, environment, "push")
        for python in sys.argv[1:]:
            environment["AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES"] = "*"
            environment["_AIRFLOW_PROCESS_CONTEXT"] = "server"
            command = [python, "-W", "ignore", "-m", "airflow", "db", "migrate"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:])
                return 1
            print(f"migrated with {python}", flush=True)
        result = json.loads(run(python, environment, "pull").splitlines()[-1])
    print(f"{result['read']} XComs read, {len(result['wrong'])} of them wrong", *result["wrong"], sep="\n  ")
    return 1 if result["wrong"] else 0


def run(python: str, environment: dict[str, str], what: str) -> str:
    command = [python, "-W", "ignore", "-c", f"from tests import migration; migration.{what}()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path.cwd())
    if done.returncode:
        raise SystemExit(f"{what} with {python} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
