"""Which objects of the bucket the metadata database refers to.

The database is asked for the XComs of a thousand objects at a time, by the ids in their keys, so that memory
stays bounded however much there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from include.s3_xcom import pull, reference
from include.s3_xcom.errors import BadReferenceError, SettingError
from include.s3_xcom.reference import Owner, Reference
from include.s3_xcom.settings import Settings

MIN_REFERENCE_BYTES = 200
"""No reference is shorter; what is need not be read."""

_LIKELY_ROWS = 1000
_SHORTENED = re.compile(r"~[0-9a-f]{16}$")


def references_to(keys: Iterable[str]) -> dict[str, Reference | None]:
    """The references to some objects, by the stems of their keys; None for one of a newer version.

    :param keys: of at most a thousand objects
    :raises SettingError: if the metadata database does not answer
    """
    found: dict[str, Reference | None] = {}
    for value in _values({reference.parse_key(key) for key in keys}):
        fields = pull.reference_fields(bytes(value))
        key = (fields or {}).get("key")
        if isinstance(key, str) and reference.is_any_key(key):
            found[reference.stem_of(key)] = _read(fields)
    return found


def reference_of(owner: Owner) -> Reference | None:
    """The reference that an XCom holds; None if there is none, or it holds the value itself."""
    for value in _values({owner}):
        pointer = _read(pull.reference_fields(bytes(value)))
        if pointer is not None and reference.parse_key(pointer.key).key == owner.key:
            return pointer
    return None


def refers_to_any(settings: Settings) -> bool:
    """Whether any recent XCom of this metadata database is in this bucket, below this prefix."""
    from sqlalchemy import func, select

    columns = _columns()
    recent = (
        select(columns.value)
        .where(func.length(columns.value) >= MIN_REFERENCE_BYTES)
        .order_by(columns.timestamp.desc())
        .limit(_LIKELY_ROWS)
    )
    return any(
        pointer is not None and pointer.bucket == settings.bucket and reference.is_key(pointer.key, settings)
        for pointer in (_read(pull.reference_fields(bytes(value))) for value in _execute(recent))
    )


def _values(owners: set[Owner]) -> Iterator[bytes]:
    """What the database holds for some XComs, and perhaps for others of the same tasks."""
    from sqlalchemy import select, tuple_

    columns = _columns()
    exact = {
        (owner.dag_id, owner.task_id, owner.run_id, owner.map_index)
        for owner in owners
        if not _is_shortened(owner)
    }
    if exact:
        ids = tuple_(columns.dag_id, columns.task_id, columns.run_id, columns.map_index)
        yield from _execute(select(columns.value).where(ids.in_(sorted(exact))))
    for owner in filter(_is_shortened, owners):
        # The key holds the start of an id only.
        heads = [
            column.startswith(_SHORTENED.sub("", text), autoescape=True)
            if _SHORTENED.search(text)
            else column == text
            for column, text in (
                (columns.dag_id, owner.dag_id),
                (columns.task_id, owner.task_id),
                (columns.run_id, owner.run_id),
            )
        ]
        yield from _execute(select(columns.value).where(columns.map_index == owner.map_index, *heads))


def _is_shortened(owner: Owner) -> bool:
    return any(map(_SHORTENED.search, (owner.dag_id, owner.task_id, owner.run_id)))


def _read(fields: dict[str, Any] | None) -> Reference | None:
    try:
        return None if fields is None else reference.read(fields)
    except BadReferenceError:
        return None


def _columns() -> Any:
    """Airflow's table, by name: its classes would make values of what is read."""
    from sqlalchemy import column, table

    names = ("dag_id", "task_id", "run_id", "map_index", "value", "timestamp")
    return table("xcom", *map(column, names)).c


def _execute(statement: Any) -> list[bytes]:
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            return [value for value in session.execute(statement).scalars() if value is not None]
    except SQLAlchemyError as error:
        raise SettingError(
            f"The metadata database does not answer ({type(error).__name__}). Check "
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN."
        ) from None
