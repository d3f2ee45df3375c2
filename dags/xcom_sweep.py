"""xcom_sweep: delete, once a day, the objects that no XCom refers to any more. Paused until you want it.

For Airflow 2. Tasks of Airflow 3 have no database: there, run ``python -m include.s3_xcom sweep --delete``
once a day where the scheduler runs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pendulum

from include.s3_xcom.on_airflow.releases import release

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param


@dag(
    dag_id="xcom_sweep",
    description="Deletes objects in S3 that no XCom refers to",
    schedule="@daily",
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    tags=["s3-xcom", "maintenance"],
    doc_md=__doc__,
    params={
        "grace_hours": Param(24, type="number", minimum=1, description="Leave alone what is younger"),
        "delete": Param(True, type="boolean", description="False: only count"),
    },
)
def xcom_sweep() -> None:
    @task(multiple_outputs=False)
    def sweep(params: dict[str, Any] | None = None) -> dict[str, int]:
        from include.s3_xcom.admin.sweep import sweep
        from include.s3_xcom.s3.store import Store

        counts = sweep(Store.configured(), grace=params["grace_hours"] * 3600, delete=params["delete"])
        if counts.failed:
            raise RuntimeError(f"S3 did not delete {counts.failed} objects. The next run tries again.")
        return dataclasses.asdict(counts)

    sweep()


if release.TASKS_HAVE_DATABASE:
    xcom_sweep()
