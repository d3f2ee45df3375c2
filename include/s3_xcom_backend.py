"""The XCom backend that Airflow loads: data in S3, a reference in the metadata database.

Switched on with ``AIRFLOW__CORE__XCOM_BACKEND=include.s3_xcom_backend.S3XComBackend``. What lies where is
written down in docs/format.md.

Every process of Airflow loads this module, and many never touch an XCom: the machinery is imported when it is
first used.
"""

from __future__ import annotations

import logging
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import airflow
from airflow.configuration import conf
from airflow.exceptions import (
    AirflowException,
    UnmappableXComLengthPushed,
    UnmappableXComTypePushed,
)
from airflow.models.xcom import XCOM_RETURN_KEY, BaseXCom

from include.s3_xcom import lifecycle

if TYPE_CHECKING:
    import datetime

    from airflow.models.taskinstance import TaskInstanceKey
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

LARGE_BYTES = 64 * 1024


class S3XComBackend(BaseXCom):
    """XComs whose data lies in S3. What is pushed is what is pulled, or the push fails."""

    @staticmethod
    def serialize_value(
        value: Any,
        *,
        key: str | None = None,
        task_id: str | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
    ) -> bytes:
        """What the metadata database will hold; the data itself goes to S3, unless it is small.

        The object's key names the XCom; ids that are not given are ``unknown`` there.

        :raises UnsupportedValueError: if the value would come back changed
        :raises SettingError: if bucket or connection are missing
        :raises StorageError: if S3 does not take it
        """
        from include.s3_xcom.push import push
        from include.s3_xcom.reference import UNKNOWN, Owner

        expanded = key == XCOM_RETURN_KEY and _has_mapped_dependants()
        if expanded:
            _check_mappable(value)
        ids = (name or UNKNOWN for name in (dag_id, run_id, task_id))
        owner = Owner(*ids, map_index=-1 if map_index is None else map_index, key=key or UNKNOWN)
        row = push(value, owner, may_pickle=_may_pickle())
        if expanded:
            _advise(value, row)
        return row

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """The value that was pushed.

        :param result: a row with the column ``value``
        :raises BadReferenceError: if the row is not to be read, or its reference not to be followed
        :raises StorageError: if S3 does not give the object, or gives another one
        :raises FormatError: if the object is not what its reference says
        """
        from include.s3_xcom import pull

        if result.value is None:
            return None
        if pull.is_foreign(result.value, may_pickle=_may_pickle()):
            # Written by Airflow's own backend, before this one was switched on.
            return BaseXCom.deserialize_value(result)
        return pull.pull(result.value, may_pickle=_may_pickle())

    def orm_deserialize_value(self) -> Any:
        """What the UI shows: type, shape, size and address of the data, which is not moved."""
        from include.s3_xcom import pull
        from include.s3_xcom.errors import XComError

        try:
            if self.value is None:
                return None
            if pull.is_foreign(self.value, may_pickle=_may_pickle()):
                return BaseXCom.orm_deserialize_value(self)
            return pull.describe(self.value)
        except XComError as error:
            return f"unreadable: {error}"


lifecycle.watch(BaseXCom)


class _TooManyToExpandError(UnmappableXComLengthPushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. A task can be expanded over [core] max_map_length elements at most: "
            "return batches(frame, size) for several rows a task, or raise AIRFLOW__CORE__MAX_MAP_LENGTH. "
            "Nothing was stored."
        )


class _UnmappableTypeError(UnmappableXComTypePushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. Another task is expanded over it: return rows(frame) for one task a row, "
            "or batches(frame, size) for several rows a task (from include.s3_xcom). Nothing was stored."
        )


def _may_pickle() -> bool:
    return conf.getboolean("core", "enable_xcom_pickling")


def _check_mappable(value: Any) -> None:
    """Refuse here what Airflow refuses after the push, when the object would be left behind."""
    if isinstance(value, (str, bytes)):
        return
    if type(value).__module__.startswith("pandas"):
        raise _UnmappableTypeError(value)
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if isinstance(value, Sized) and len(value) > limit:
        raise _TooManyToExpandError(value, limit)


def _advise(value: Any, row: bytes) -> None:
    """Name the wrapper that spares the tasks expanded over a plain list from downloading all of it."""
    from include.s3_xcom.pull import reference_in
    from include.s3_xcom.reference import human_size

    reference = reference_in(row)
    if type(value) in (list, tuple) and reference is not None and reference.size > LARGE_BYTES:
        log.warning(
            "Each of the %d tasks expanded over this %s will download all %s of it. Return items(...) of it "
            "(from include.s3_xcom; rows(frame) for a table): then each downloads its own element only.",
            *(len(value), type(value).__name__, human_size(reference.size)),
        )


def _has_mapped_dependants() -> bool:
    """Whether the task that runs here has others expanded over its result."""
    from airflow.models.mappedoperator import MappedOperator
    from airflow.operators.python import get_current_context

    try:
        task = get_current_context()["task"]
    except (AirflowException, KeyError):
        return False
    return not isinstance(task, MappedOperator) and next(task.iter_mapped_dependants(), None) is not None


# 2.5 has no version at hand: it parses the metadata of its package, which takes longer than all else here.
if (2, 6) <= tuple(map(int, vars(airflow).get("__version__", "2.5").split(".")[:2])) < (2, 9):
    # There these two decode with Airflow's own class, whatever the backend is. Tasks pull by others.
    from airflow.utils.session import NEW_SESSION, provide_session

    @provide_session
    def _get_one(
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
        query = BaseXCom.get_many(
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
        return None if result is None else S3XComBackend.deserialize_value(result)

    @provide_session
    def _get_value(*, ti_key: TaskInstanceKey, key: str | None = None, session: Session = NEW_SESSION) -> Any:
        ids = {"dag_id": ti_key.dag_id, "task_id": ti_key.task_id, "run_id": ti_key.run_id}
        return _get_one(key=key, map_index=ti_key.map_index, session=session, **ids)

    S3XComBackend.get_one = staticmethod(_get_one)
    S3XComBackend.get_value = staticmethod(_get_value)
