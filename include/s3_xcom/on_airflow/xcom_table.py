"""Objects of the bucket that the metadata database refers to.

There are three queries. *By ids*: the database is asked for the XComs that the keys of 1,000 objects name.
This costs one query by index, and finds each reference that is where it was pushed. *By content*: all rows
are read once, in one snapshot, and searched for the unique segment of some keys. This finds a reference
wherever it is, also after a DAG was renamed by SQL, and the sweep trusts only this. *By equality*: the rows
that hold the same as a deleted row, such as a copy of it under other ids.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from include.s3_xcom import keys
from include.s3_xcom.errors import SettingError
from include.s3_xcom.keys import KeyId, Owner
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.reference import Reference
from include.s3_xcom.row import parse_row, reference_in
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MIN_REFERENCE_BYTES = 200
"""Bytes of the shortest reference; shorter rows need not be read."""

MAX_SECONDS = 2
"""Seconds for which the database may search all rows for those that hold the same."""

_LIMITS = {
    "postgresql": (f"SET LOCAL statement_timeout = {MAX_SECONDS * 1000}", ""),
    "mysql": (f"SET max_execution_time = {MAX_SECONDS * 1000}", "SET max_execution_time = DEFAULT"),
    "mariadb": (f"SET max_statement_time = {MAX_SECONDS}", "SET max_statement_time = DEFAULT"),
}
"""Statements that set and unset that limit; Postgres' ends with the transaction, and SQLite has none."""

_FETCHED_ROWS = 1000
_LIKELY_ROWS = 1000
_UNIQUE = re.compile(rb"-([0-9a-f]{32})(?![0-9a-f])")


def references_to(object_keys: Iterable[str]) -> dict[str, Reference | None]:
    """Find the references to some objects, by the stems of their keys; None for one of a newer version.

    They are found by the ids in the keys.

    :param object_keys: keys of at most 1,000 objects
    :raises SettingError: if the metadata database does not answer
    """
    found: dict[str, Reference | None] = {}
    for value in _rows_by_ids(object_keys):
        row = parse_row(value)
        key = None if row is None else row.object_key
        if key is not None and keys.is_any_key(key):
            found[keys.stem_of(key)] = row.known_reference
    return found


def references_if_known(object_keys: Iterable[str]) -> dict[str, Reference | None] | None:
    """Find references as :func:`references_to` does; return None if the metadata database does not answer."""
    try:
        return references_to(object_keys)
    except SettingError:
        return None


def referenced_anywhere(object_keys: Iterable[str]) -> set[str]:
    """Return those keys that any row of the database refers to, whatever XCom it belongs to.

    It reads all rows that may be references, once, 1,000 at a time.

    :raises SettingError: if the metadata database does not answer
    """
    by_unique: dict[bytes, list[str]] = {}
    for key in object_keys:
        by_unique.setdefault(keys.unique_of(key).encode(), []).append(key)
    found: set[str] = set()
    for value in _execute(_long_rows(_columns())):
        for unique in _UNIQUE.findall(value):
            found.update(by_unique.get(unique, ()))
    return found


def still_held(values: list[Any]) -> list[Any]:
    """Return those values of deleted rows that other rows still hold, whatever XComs they belong to.

    All rows are compared, which takes Postgres 0.16 s for a million (docs/benchmarks.md), and each database
    but SQLite at most :data:`MAX_SECONDS`.

    :param values: contents of the column in at most 1,000 rows
    :raises SettingError: if the metadata database does not answer in time
    """
    from sqlalchemy import select, text

    if not values:
        return []
    column = _columns().value
    with answering() as session:
        kind = kind_of(session)
        set_limit, unset_limit = _LIMITS.get(kind, ("", ""))
        if set_limit:
            session.execute(text(set_limit))
        same = select(column).where(release.is_one_of(column, values, kind))
        found = list(session.execute(same).scalars())
        if unset_limit:
            session.execute(text(unset_limit))
        return found


def kind_of(session: Session) -> str:
    """Return the name of the database: ``postgresql``, ``mysql``, ``mariadb`` or ``sqlite``."""
    dialect = session.connection().dialect  # knows MariaDB from MySQL once connected
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


def reference_of(owner: Owner) -> Reference | None:
    """Return the reference that an XCom holds; None if there is none, or it holds the value itself.

    :raises SettingError: if the metadata database does not answer
    """
    columns = _columns()
    from sqlalchemy import select

    same = [getattr(columns, name) == value for name, value in vars(owner).items()]
    values = list(_execute(select(columns.value).where(*same)))
    return reference_in(values[0]) if values else None


def all_references(dag_id: str = "", run_id: str = "") -> Iterator[Reference]:
    """Yield the references of all XComs, or those of a DAG or run. It reads 1,000 rows at a time.

    :raises SettingError: if the metadata database does not answer
    """
    columns = _columns()
    rows = _long_rows(columns)
    rows = rows.where(columns.dag_id == dag_id) if dag_id else rows
    rows = rows.where(columns.run_id == run_id) if run_id else rows
    yield from filter(None, map(reference_in, _execute(rows)))


def refers_to_any(settings: Settings) -> bool:
    """Return whether any recent XCom of this metadata database is in this bucket, below this prefix."""
    columns = _columns()
    recent = _long_rows(columns).order_by(columns.timestamp.desc()).limit(_LIKELY_ROWS)
    return any(
        reference is not None and reference.bucket == settings.bucket and keys.is_key(reference.key, settings)
        for reference in map(reference_in, _execute(recent))
    )


def _rows_by_ids(object_keys: Iterable[str]) -> Iterator[bytes]:
    """Yield the rows of the tasks that some keys name."""
    columns = _columns()
    from sqlalchemy import and_, or_, select, tuple_

    whole, cut = set(), set()
    for key in object_keys:
        ids = keys.parse_ids(key)
        task = *(ids[name] for name in ("dag_id", "task_id", "run_id")), keys.parse_key(key).map_index
        (whole if all(each.is_whole for each in task[:3]) else cut).add(task)
    if whole:
        columns_of_task = tuple_(columns.dag_id, columns.task_id, columns.run_id, columns.map_index)
        tasks = sorted((*(each.text for each in task[:3]), task[3]) for task in whole)
        yield from _execute(select(columns.value).where(columns_of_task.in_(tasks)))
    if cut:
        conditions = [
            and_(
                columns.map_index == task[3],
                _matches(columns.dag_id, task[0]),
                _matches(columns.task_id, task[1]),
                _matches(columns.run_id, task[2]),
            )
            for task in cut
        ]
        yield from _execute(select(columns.value).where(or_(*conditions)))


def _matches(column: Any, key_id: KeyId) -> Any:
    if key_id.is_whole:
        return column == key_id.text
    return column.startswith(key_id.text, autoescape=True)


def _columns() -> Any:
    """Return the columns of Airflow's table, in its schema; Airflow's class would decode the values."""
    try:
        from sqlalchemy import column, table

        own = release.table()
    except ImportError as error:
        raise SettingError(
            f"This Python has no Airflow ({error}), and so no metadata database. Run this where Airflow is; "
            "in the Compose stack, by `make xcom ARGS=...`."
        ) from None
    names = ("dag_id", "task_id", "run_id", "map_index", "key", "value", "timestamp")
    return table(own.name, *(column(name, own.c[name].type) for name in names), schema=own.schema).c


def _long_rows(columns: Any) -> Any:
    """Return a query for the values that are long enough for references."""
    from sqlalchemy import select

    return select(columns.value).where(release.length_of(columns.value) >= MIN_REFERENCE_BYTES)


def _execute(statement: Any) -> Iterator[bytes]:
    """Yield the values that a query finds, all of one snapshot, with 1,000 in memory at a time."""
    with answering() as session:
        result = session.execute(statement, execution_options={"stream_results": True})
        for value in result.yield_per(_FETCHED_ROWS).scalars():
            if value is not None:
                yield release.from_column(value)


@contextlib.contextmanager
def answering() -> Iterator[Session]:
    """Ask the metadata database in a separate session.

    :raises SettingError: if it does not answer
    """
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            yield session
    except RuntimeError as error:
        raise SettingError(
            f"This process may not ask the metadata database ({error}), as no task of Airflow 3 may. Run "
            "this where the scheduler runs."
        ) from None
    except SQLAlchemyError as error:
        raise SettingError(
            f"The metadata database does not answer ({type(error).__name__}). Check "
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN."
        ) from None
