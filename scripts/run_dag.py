"""Trigger a DAG, wait for its end, and show how each task ended. Runs in Airflow's environment.

Exit code: 0 if the run succeeded, 1 if it failed or took too long.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.configuration import conf as airflow_conf
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session

POLL_SECONDS = 1

PARSING_SECONDS = 30
"""After which a new file in the folder of DAGs is found."""


class RunError(Exception):
    """The DAG could not be run to its end."""


def trigger(dag_id: str, conf: dict | None = None, seconds: float = 120) -> str:
    """Unpause and trigger a DAG, once the scheduler has found it.

    :return: the id of the run
    :raises RunError: if there is no such DAG, or the scheduler does not find it in time, or it has no such
        parameters
    """
    started = time.monotonic()
    while True:
        with create_session() as session:
            model = session.get(DagModel, dag_id)
            if model is not None and _is_current(model) and not model.has_import_errors:
                model.is_paused = False
                break
            others = [other.dag_id for other in session.query(DagModel) if _is_current(other)]
        waited = time.monotonic() - started
        # A scheduler that has found others has parsed all files that were there when it started.
        if model is None and others and waited > PARSING_SECONDS:
            raise RunError(f"There is no DAG {dag_id}. There are: {', '.join(sorted(others))}.")
        if waited > seconds:
            raise RunError(f"The scheduler has not found the DAG {dag_id} within {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)
    _check_names(dag_id, conf or {})
    # Microseconds keep runs apart that are triggered within a second.
    return trigger_dag(dag_id, conf=conf or {}, replace_microseconds=False, **_triggered_by()).run_id


def _check_names(dag_id: str, conf: dict) -> None:
    """A misspelt name would be ignored, and the default taken for it.

    :raises RunError: for a name that is none of the DAG's parameters, if it has some
    """
    with create_session() as session:
        model = SerializedDagModel.get(dag_id, session=session)
        params = list(model.dag.params) if model is not None else []
    unknown = sorted(set(conf) - set(params))
    if params and unknown:
        raise RunError(f"{dag_id} has no parameter {', '.join(unknown)}. It has: {', '.join(params)}.")


def _is_current(model: DagModel) -> bool:
    """Whether the DAG's file is still there. Airflow 3 has the opposite."""
    return not model.is_stale if hasattr(model, "is_stale") else model.is_active


def _triggered_by() -> dict[str, Any]:
    """Who triggers a run, which Airflow 3 asks for."""
    if "triggered_by" not in inspect.signature(trigger_dag).parameters:
        return {}
    from airflow.utils.types import DagRunTriggeredByType

    return {"triggered_by": DagRunTriggeredByType.CLI}


def wait(dag_id: str, run_id: str, seconds: float = 600) -> str:
    """Wait for the end of a run, and tell about its progress.

    :return: the state of the run
    :raises RunError: if it takes longer
    """
    deadline = time.monotonic() + seconds
    shown = ""
    while True:
        with create_session() as session:
            run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one()
            state = run.state
        progress = summary(dag_id, run_id)
        if progress != shown:
            print(f"  {progress}", flush=True)
            shown = progress
        if state in ("success", "failed"):
            return state
        if time.monotonic() > deadline:
            raise RunError(f"{dag_id}, run {run_id}, has not ended within {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)


def states(dag_id: str, run_id: str) -> dict[str, Counter]:
    """How many task instances of each task are in which state."""
    counted: dict[str, Counter] = {}
    with create_session() as session:
        columns = (TaskInstance.task_id, TaskInstance.state)
        found = session.query(*columns).filter_by(dag_id=dag_id, run_id=run_id)
        for task_id, state in found.order_by(TaskInstance.start_date):
            counted.setdefault(task_id, Counter())[state or "waiting"] += 1
    return counted


def summary(dag_id: str, run_id: str) -> str:
    """The states in one line."""
    tasks = states(dag_id, run_id).items()
    return "; ".join(
        f"{task_id}: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        for task_id, counts in sorted(tasks)
    )


MAX_FAILED = 3
"""How many failed tasks are told about."""


def why_failed(dag_id: str, run_id: str) -> list[str]:
    """A line for each of the failed tasks: the last error in its log, where this machine has the log."""
    with create_session() as session:
        found = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, state="failed")
        failed = [(each.task_id, each.map_index) for each in found.order_by(TaskInstance.end_date)]
    lines = []
    for task_id, map_index in failed[:MAX_FAILED]:
        name = f"{task_id} [{map_index}]" if map_index >= 0 else task_id
        lines.append(f"  {name} failed: {_last_error(dag_id, run_id, task_id, map_index)}")
    if len(failed) > MAX_FAILED:
        lines.append(f"  ... and {len(failed) - MAX_FAILED} more")
    return [*lines, "The whole log is in the UI: open the run under Grid."]


def _last_error(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    folder = Path(airflow_conf.get("logging", "base_log_folder")) / f"dag_id={dag_id}" / f"run_id={run_id}"
    folder /= f"task_id={task_id}"
    if map_index >= 0:
        folder /= f"map_index={map_index}"
    texts = [path.read_text(errors="replace") for path in sorted(folder.glob("attempt=*.log"))]
    errors = list(_errors(texts[-1] if texts else ""))
    return errors[-1][:500] if errors else "its log says why"


def _errors(log: str) -> Iterator[str]:
    """The errors in a log: the last lines of tracebacks. Airflow 3 writes JSON, with errors as lists."""
    is_traceback = False
    for line in log.splitlines():
        if line.startswith("{"):
            for detail in json.loads(line).get("error_detail") or []:
                yield f"{detail['exc_type']}: {detail['exc_value']}"
        elif line.startswith("Traceback (most recent call last)"):
            is_traceback = True
        elif is_traceback and not line.startswith(" "):
            is_traceback = False
            yield line


def _json_object(text: str) -> dict:
    try:
        conf = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it is no JSON ({error}): {text}") from None
    if not isinstance(conf, dict):
        raise argparse.ArgumentTypeError(f"it is no JSON object: {text}")
    return conf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dag_id")
    parser.add_argument("--conf", type=_json_object, default={}, help="JSON for the run, such as its params")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    start = time.monotonic()
    try:
        run_id = trigger(options.dag_id, options.conf)
        print(f"{options.dag_id}, run {run_id}:", flush=True)
        state = wait(options.dag_id, run_id)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.dag_id}: {state} in {time.monotonic() - start:.0f} s")
    if state == "failed":
        print(*why_failed(options.dag_id, run_id), sep="\n")
    return 0 if state == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
