"""Mixin for a backend in Airflow 2."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import airflow
from airflow.models.xcom import BaseXCom
from airflow.utils.session import NEW_SESSION, provide_session

if TYPE_CHECKING:
    import datetime

    from airflow.models.taskinstance import TaskInstanceKey
    from sqlalchemy.orm import Session

# In 2.5, asking for the version would parse the package's metadata, which is slow.
_VERSION = tuple(map(int, vars(airflow).get("__version__", "2.5").split(".")[:2]))

_DECODES_WITH_ITS_OWN_CLASS = (2, 6) <= _VERSION < (2, 9)
"""True in the releases whose XCom.get_one and get_value decode with Airflow's class, not its subclass."""


class Line:
    """The methods for this line of releases, which a backend has before those of Airflow's class."""

    @classmethod
    def set(
        cls,
        key: str,
        value: Any,
        task_id: str,
        dag_id: str,
        execution_date: datetime.datetime | None = None,
        session: Session | None = None,
        *,
        run_id: str | None = None,
        map_index: int = -1,
    ) -> None:
        """Push a value: upload it while no transaction is open for it, then write its row."""
        from include.s3_xcom.codecs.tagged_json import is_lazy_sequence
        from include.s3_xcom.on_airflow.releases import Pushed
        from include.s3_xcom.on_airflow.releases.airflow_2 import transactions

        ids = {"task_id": task_id, "dag_id": dag_id, "run_id": run_id, "map_index": map_index}
        transactions.end_reading()
        if run_id is not None and not is_lazy_sequence(value):  # Airflow makes that a list, and says so
            value = Pushed(cls.serialize_value(value, key=key, **ids))
        given = {"session": session} if session is not None else {}
        with transactions.pushing() if isinstance(value, Pushed) else contextlib.nullcontext():
            super().set(key, value, execution_date=execution_date, **given, **ids)

    def orm_deserialize_value(self) -> Any:
        """Return the text for the UI: type, shape, size and address of the data, which is not moved."""
        from include.s3_xcom.errors import XComError
        from include.s3_xcom.on_airflow.configuration import parse_own
        from include.s3_xcom.pull import describe

        try:
            if self.value is None:
                return None
            row = parse_own(self.value)
            return BaseXCom.orm_deserialize_value(self) if row is None else describe(row)
        except XComError as error:
            return f"unreadable: {error}"

    if _DECODES_WITH_ITS_OWN_CLASS:

        @classmethod
        @provide_session
        def get_one(
            cls,
            execution_date: datetime.datetime | None = None,
            key: str | None = None,
            task_id: str | None = None,
            dag_id: str | None = None,
            include_prior_dates: bool = False,
            session: Session = NEW_SESSION,
            *,
            run_id: str | None = None,
            map_index: int | None = None,
        ) -> Any:
            """Pull a value as Airflow does it."""
            query = cls.get_many(
                **({"run_id": run_id} if execution_date is None else {"execution_date": execution_date}),
                key=key,
                task_ids=task_id,
                dag_ids=dag_id,
                map_indexes=map_index,
                include_prior_dates=include_prior_dates,
                limit=1,
                session=session,
            )
            result = query.with_entities(BaseXCom.value).first()
            return None if result is None else cls.deserialize_value(result)

        @classmethod
        @provide_session
        def get_value(
            cls, *, ti_key: TaskInstanceKey, key: str | None = None, session: Session = NEW_SESSION
        ) -> Any:
            """Pull the value of a task instance, as Airflow does it."""
            ids = {"dag_id": ti_key.dag_id, "task_id": ti_key.task_id, "run_id": ti_key.run_id}
            return cls.get_one(key=key, map_index=ti_key.map_index, session=session, **ids)
