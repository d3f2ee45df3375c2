"""What the tests ask of Airflow, where releases differ."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

AIRFLOW_3 = find_spec("airflow.sdk") is not None

ANY_CLASS = "*" if AIRFLOW_3 else ".*"
"""For ``[core] allowed_deserialization_classes``."""

XCOM_MODULE = "airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom"
"""Where Airflow loads the backend."""


def dag_bag(folder: Path) -> Any:
    """The DAGs in a folder."""
    if AIRFLOW_3:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(folder)
    from airflow.models import DagBag

    return DagBag(folder, include_examples=False, read_dags_from_db=False)
