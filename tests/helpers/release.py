"""What the tests ask of Airflow, where releases differ."""

from __future__ import annotations

import datetime
import functools
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any

from embedded.airflow import AIRFLOW_3

ANY_CLASS = "*" if AIRFLOW_3 else ".*"
"""For ``[core] allowed_deserialization_classes``."""

XCOM_MODULE = "airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom"
"""Where Airflow loads the backend."""


def dag_bag(folder: Path) -> Any:
    """The DAGs in a folder."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # until 3.1
        from airflow.models import DagBag
    options = {} if AIRFLOW_3 else {"include_examples": False, "read_dags_from_db": False}
    return DagBag(folder, **options)


def xcom_class() -> Any:
    """The class that tasks push and pull with."""
    if not AIRFLOW_3:
        from airflow.models import XCom

        return XCom
    from airflow.sdk.execution_time.xcom import XCom

    _connect()
    return XCom


@functools.lru_cache(maxsize=1)
def _connect() -> None:
    """Let this process be a task, with Airflow's own supervisor and API server inside, as in dag.test()."""
    import psutil
    import structlog
    from airflow.sdk.execution_time import supervisor, task_runner

    if not structlog.is_configured():  # by Airflow, before 3.1; its supervisor logs each request at DEBUG
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    inside = supervisor.InProcessTestSupervisor(
        id=uuid.uuid4(),
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger("task"),
        client=supervisor.InProcessTestSupervisor._api_client(),
    )
    inside.comms = supervisor.InProcessSupervisorComms(supervisor=inside)
    task_runner.SUPERVISOR_COMMS = inside.comms


def xcom_model() -> Any:
    """The class of the table of XComs."""
    if AIRFLOW_3:
        from airflow.models.xcom import XComModel

        return XComModel
    return xcom_class()


def column_of(row: bytes) -> Any:
    """What the column holds, for a row as others wrote it."""
    if not AIRFLOW_3:
        return row
    return row.decode() if b"__s3_xcom__" in row else json.loads(row)


def add_dag(dag_id: str) -> None:
    """A DAG in the metadata database that is no longer in any file."""
    from airflow.models import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        if not AIRFLOW_3:
            session.add(DagModel(dag_id=dag_id, is_active=False))
            return
        from airflow.models.dagbundle import DagBundleModel

        session.merge(DagBundleModel(name="tests"))
        session.flush()
        session.add(DagModel(dag_id=dag_id, is_stale=True, bundle_name="tests"))


def clear_xcoms(ids: dict[str, str]) -> None:
    """Delete the XComs of a task that starts again."""
    if not AIRFLOW_3:
        xcom_class().clear(**ids)
        return
    from airflow.utils.session import create_session

    with create_session() as session:
        found = [(xcom.key, xcom.map_index) for xcom in session.query(xcom_model()).filter_by(**ids)]
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import DeleteXCom

    xcom_class()
    for key, map_index in found:
        task_runner.SUPERVISOR_COMMS.send(DeleteXCom(key=key, map_index=map_index, **ids))


def settle() -> None:
    """Wait for the deletions that Airflow 3 does beside the request."""
    if AIRFLOW_3:
        from include.s3_xcom.on_airflow.releases import airflow_3

        airflow_3._background().submit(lambda: None).result()


def add_task_instance(dag_id: str, run_id: str, task_id: str, date: datetime.datetime) -> None:
    """A run with one task instance, in the metadata database."""
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    when = {"logical_date": date, "run_after": date} if AIRFLOW_3 else {"execution_date": date}
    of_dag = {"dag_version_id": None} if AIRFLOW_3 else {}
    with create_session() as session:
        session.add(DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, **when))
        session.flush()
        instance = TaskInstance(empty_operator("task"), run_id=run_id, state="success", **of_dag)
        instance.dag_id, instance.task_id = dag_id, task_id
        session.add(instance)


def empty_operator(task_id: str) -> Any:
    """A task that does nothing."""
    if AIRFLOW_3:
        from airflow.providers.standard.operators.empty import EmptyOperator
    else:
        from airflow.operators.empty import EmptyOperator
    return EmptyOperator(task_id=task_id)


def running_task(task: Any) -> Any:
    """Make a task the one that runs here, for a block."""
    if AIRFLOW_3:
        from airflow.sdk.execution_time.context import set_current_context
    else:
        from airflow.models.taskinstance import set_current_context
    return set_current_context({"task": task})


def timeout(seconds: float, words: str) -> Any:
    """Airflow's own timer around a task's body, for a block."""
    try:
        from airflow.sdk.execution_time.timeout import timeout as timer
    except ImportError:  # Airflow 2
        from airflow.utils.timeout import timeout as timer
    return timer(seconds, words)
