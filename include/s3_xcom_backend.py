"""The XCom backend that Airflow loads: data in S3, a reference in the metadata database.

Switched on with ``AIRFLOW__CORE__XCOM_BACKEND=include.s3_xcom_backend.S3XComBackend``. docs/architecture.md
shows how the parts fit, docs/format.md what lies where.

Every process of Airflow loads this module, and many never touch an XCom: all else is imported when it is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models.xcom import XCOM_RETURN_KEY, BaseXCom

from include.s3_xcom.on_airflow import deletion, releases

if TYPE_CHECKING:
    from include.s3_xcom.row import Row


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
        """Push: upload a value, unless it is small, and return what the metadata database is to hold.

        The object's key names the XCom; ids that are not given are ``unknown`` there.

        :raises UnsupportedValueError: if the value would come back changed
        :raises SettingError: if bucket or connection are missing
        :raises StorageError: if S3 does not take it
        """
        from include.s3_xcom.keys import UNKNOWN, Owner
        from include.s3_xcom.on_airflow import expanding, own_keys
        from include.s3_xcom.push import push

        is_expanded = key == XCOM_RETURN_KEY and expanding.has_mapped_dependants()
        if is_expanded:
            expanding.check_mappable(value)
        ids = (name or UNKNOWN for name in (dag_id, run_id, task_id))
        owner = Owner(*ids, map_index=-1 if map_index is None else map_index, key=key or UNKNOWN)
        row = push(value, owner, in_database=own_keys.is_read_by_airflow(key))
        if is_expanded:
            expanding.advise(value, row)
        return row

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """Pull: turn what the metadata database holds back into the value.

        :param result: a row with the column ``value``
        :raises BadReferenceError: if the row is not to be read, or its reference not to be followed
        :raises StorageError: if S3 does not give the object, or gives another one
        :raises FormatError: if the object is not what its reference says
        """
        from include.s3_xcom.on_airflow import own_keys
        from include.s3_xcom.pull import pull

        if result.value is None:
            return None
        row = _parse(result.value)
        if row is None:
            return BaseXCom.deserialize_value(result)
        return own_keys.pull_own(row) if own_keys.is_for_scheduler(row) else pull(row)

    def orm_deserialize_value(self) -> Any:
        """What the UI shows: type, shape, size and address of the data, which is not moved."""
        from include.s3_xcom.errors import XComError
        from include.s3_xcom.pull import describe

        try:
            if self.value is None:
                return None
            row = _parse(self.value)
            return BaseXCom.orm_deserialize_value(self) if row is None else describe(row)
        except XComError as error:
            return f"unreadable: {error}"


def _parse(text: bytes) -> Row | None:
    """A row of this backend; None if Airflow's own backend wrote it, before this one was switched on.

    :raises BadReferenceError: if it is no JSON, and pickles may not be read
    """
    from include.s3_xcom.errors import BadReferenceError
    from include.s3_xcom.on_airflow.configuration import may_pickle
    from include.s3_xcom.row import parse_row

    row = parse_row(text)
    if row is None and not may_pickle():
        raise BadReferenceError(
            "The metadata database holds no JSON for this XCom, and [core] enable_xcom_pickling is off. "
            "Clear the task that pushed it, so that it runs again."
        )
    return None if row is None or row.is_foreign else row


deletion.watch(BaseXCom)
if releases.decodes_with_its_own_class():
    releases.decode_with(S3XComBackend)
