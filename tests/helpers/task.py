"""A task instance, to push and pull XComs as Airflow does."""

from __future__ import annotations

import datetime
import json
from typing import Any

from tests.helpers import release as airflow_release


class Task:
    """One task instance, with the calls Airflow makes for its XComs."""

    def __init__(self, dag_id: str, run_id: str, task_id: str) -> None:
        self.ids = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}

    def push(self, value: Any, key: str = "return_value", **more: Any) -> None:
        airflow_release.xcom_class().set(key=key, value=value, **self.ids, **more)
        airflow_release.settle()

    def pull(self, key: str = "return_value") -> Any:
        return airflow_release.xcom_class().get_one(key=key, **self.ids)

    def clear(self) -> None:
        """What Airflow does when the task starts again."""
        airflow_release.clear_xcoms(self.ids)

    def row(self, key: str = "return_value") -> bytes | None:
        """What the metadata database holds, as a row of this backend."""
        from include.s3_xcom.on_airflow.releases import release

        value = self.shown_raw(key)
        return None if value is None else release.from_column(value)

    def shown_raw(self, key: str = "return_value") -> Any:
        """What the column of the metadata database holds."""
        from airflow.utils.session import create_session
        from sqlalchemy import select

        from include.s3_xcom.on_airflow.releases import release

        with create_session() as session:
            return session.execute(self._of(select(release.table().c.value), key)).scalar()

    def object_key(self, key: str = "return_value") -> str:
        """Of the object that holds the value."""
        return json.loads(self.row(key))["key"]

    def set_row(self, row: bytes, key: str = "return_value") -> None:
        """Replace what the metadata database holds, whatever it is."""
        from airflow.utils.session import create_session
        from sqlalchemy import update

        from include.s3_xcom.on_airflow.releases import release

        value = airflow_release.column_of(row)
        with create_session() as session:
            session.execute(self._of(update(release.table()).values(value=value), key))

    def shown(self, key: str = "return_value") -> Any:
        """What the UI shows."""
        if airflow_release.AIRFLOW_3:
            return self.shown_raw(key)
        from airflow.models import XCom
        from airflow.utils.session import create_session

        with create_session() as session:
            return session.query(XCom).filter_by(key=key, **self.ids).one().value

    def _of(self, statement: Any, key: str) -> Any:
        from include.s3_xcom.on_airflow.releases import release

        columns = release.table().c
        return statement.where(*(columns[name] == value for name, value in {**self.ids, "key": key}.items()))


def make_task(dag_id: str, run_id: str, task_id: str, date: datetime.datetime) -> Task:
    """A task instance in a run of its own."""
    airflow_release.add_task_instance(dag_id, run_id, task_id, date)
    return Task(dag_id, run_id, task_id)
