"""The XCom backend that Airflow loads: data in S3, a reference in the metadata database.

``AIRFLOW__CORE__XCOM_BACKEND=include.s3_xcom_backend.S3XComBackend`` switches it on. docs/architecture.md
shows its modules, docs/format.md the formats.

Every process of Airflow loads this module, and many never use an XCom: all else is imported on first use.
"""

from __future__ import annotations

from typing import Any

from include.s3_xcom.on_airflow import deletion
from include.s3_xcom.on_airflow.releases import Pushed, release

Line, BaseXCom = release.base()


class S3XComBackend(Line, BaseXCom):
    """XComs whose data is in S3. A pull gives what was pushed, or the push fails."""

    @staticmethod
    def serialize_value(
        value: Any,
        *,
        key: str | None = None,
        task_id: str | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
    ) -> Any:
        """Push: upload a value, unless it is small, and return the row for the metadata database.

        The object's key names the XCom; ids that are not given are ``~unknown`` there.

        :raises UnsupportedValueError: if the value would come back changed
        :raises SettingError: if bucket or connection are missing
        :raises StorageError: if S3 does not take it
        """
        if isinstance(value, Pushed):
            return value.row
        from include.s3_xcom.keys import UNKNOWN, Owner
        from include.s3_xcom.on_airflow import expanding, own_keys
        from include.s3_xcom.push import push

        ids = (name or UNKNOWN for name in (dag_id, run_id, task_id))
        owner = Owner(*ids, map_index=-1 if map_index is None else map_index, key=key or UNKNOWN)
        if own_keys.is_read_by_airflow(key):
            return release.push_own(value, lambda: push(value, owner, in_database=True))
        is_expanded = key == own_keys.RETURN_KEY and release.has_mapped_dependants()
        if is_expanded:
            expanding.check_mappable(value)
        row = push(value, owner)
        if is_expanded:
            expanding.advise(value, row)
        return release.to_column(row)

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """Pull: turn a row of the metadata database back into the value.

        :param result: a row with the column ``value``
        :raises BadReferenceError: if the row must not be read, or its reference not be followed
        :raises StorageError: if S3 does not give the object, or gives another one
        :raises FormatError: if the object is not in the format its reference says
        """
        from include.s3_xcom.on_airflow import own_keys
        from include.s3_xcom.on_airflow.configuration import parse_own
        from include.s3_xcom.pull import pull

        if result.value is None:
            return None
        row = parse_own(result.value)
        if row is None:
            return BaseXCom.deserialize_value(result)
        return None if own_keys.is_lost(row) else pull(row)


deletion.watch()
