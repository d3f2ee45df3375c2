"""Deletions at the commit: of objects when their rows are deleted, of files when their rows are written.

Airflow deletes XComs through SQLAlchemy's sessions, by queries (overwriting, ``clear``) and one by one
(``delete``, the UI), and together with task instances and runs that it deletes so. Sessions announce both
before it happens. XComs that are deleted otherwise, by plain SQL, are left to the sweep.
https://docs.sqlalchemy.org/en/20/orm/session_events.html

Each deletion waits in the session, together with the innermost transaction that it depends on::

    BEGIN                     transaction T
      DELETE xcom a           (T, delete object a)
      SAVEPOINT               nested transaction S
        DELETE xcom b         (T, delete object a), (S, delete object b)
      RELEASE SAVEPOINT       (T, delete object a), (T, delete object b)   S has ended: T decides now
    COMMIT                    both are done

With ``ROLLBACK TO SAVEPOINT`` instead of the release, the deletion of b is dropped, and that of a stays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, event, select
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, object_mapper

from include.s3_xcom.on_airflow import local_files
from include.s3_xcom.on_airflow.releases import release

if TYPE_CHECKING:
    from include.s3_xcom.reference import Reference

log = logging.getLogger(__name__)

MAX_SECONDS = 4
"""Seconds for which a commit sends requests to S3; it waits 1 more at most. The sweep deletes the rest."""

MAX_REFERENCE_BYTES = 16 * 1024
"""Bytes of the longest reference. Larger rows, of another backend, are deleted without being read."""

_CHECKED_ROWS = 1000
"""Deleted rows that one query compares with the rows that are left."""

_WAITING = "s3_xcom.waiting"
"""Key in a session's info of pairs: a transaction, and a row or path to delete at its commit."""

_COMMITTED = "s3_xcom.committed"
"""Key in a session's info of the items to delete once the committed transaction has ended."""

_XCOMS = "xcom"

_WITH_XCOMS = {"task_instance": ("dag_id", "run_id", "task_id", "map_index"), "dag_run": ("dag_id", "run_id")}
"""Tables whose rows take XComs with them, by foreign keys, and the columns that both have."""


def watch() -> None:
    """Delete objects whose XComs are deleted, and files whose XComs are written."""
    event.listen(Session, "do_orm_execute", _before_query)
    event.listen(Session, "before_flush", _before_flush)
    event.listen(Session, "after_commit", _after_commit)
    event.listen(Session, "after_rollback", _after_rollback)
    event.listen(Session, "after_transaction_end", _after_end)
    release.watch_written()
    release.watch_transactions()


def _before_query(state: ORMExecuteState) -> None:
    """Note the references that a query is about to delete."""
    mapper = state.bind_mapper if state.is_delete else None
    if mapper is None or not _takes_xcoms(mapper.local_table):
        return
    rows = _rows_of(mapper.local_table, state.statement.whereclause)
    sets = state.parameters if isinstance(state.parameters, list) else [state.parameters]
    for parameters in sets:
        values = state.session.execute(rows, parameters).scalars()
        wait_for_commit(state.session, _deleted_rows(values))


def _takes_xcoms(table: Any) -> bool:
    """Return whether XComs go with the rows of a table. It must be Airflow's: others may have its name."""
    if table.name != _XCOMS and table.name not in _WITH_XCOMS:
        return False
    return table.metadata is release.table().metadata


def _rows_of(table: Any, criteria: Any) -> Any:
    """Return a query for the values of XComs that go with the rows of a table; criteria None: all rows."""
    xcoms = release.table()
    value = xcoms.c.value
    rows = select(value).where(release.length_of(value) <= MAX_REFERENCE_BYTES)
    if table is xcoms:
        return rows if criteria is None else rows.where(criteria)
    names = _WITH_XCOMS[table.name]
    gone = select(*(table.c[name] for name in names))
    # A subquery, because the criteria may name the table of XComs.
    gone = (gone if criteria is None else gone.where(criteria)).subquery()
    return rows.select_from(xcoms.join(gone, and_(*(xcoms.c[name] == gone.c[name] for name in names))))


def _before_flush(session: Session, *_: Any) -> None:
    """Note the references of XComs that are deleted one by one."""
    tables = {item: object_mapper(item).local_table for item in session.deleted}
    deleted = {item: table for item, table in tables.items() if _takes_xcoms(table)}
    runs = {(item.dag_id, item.run_id) for item, table in deleted.items() if table.name == "dag_run"}
    for item, table in deleted.items():
        if table.name == "task_instance" and (item.dag_id, item.run_id) in runs:
            continue  # its run takes it along
        names = _WITH_XCOMS.get(table.name) or [column.key for column in table.primary_key]
        # Read from the table: the attribute may hold the text for the UI.
        rows = _rows_of(table, and_(*(table.c[name] == getattr(item, name) for name in names)))
        with session.no_autoflush:
            wait_for_commit(session, _deleted_rows(session.execute(rows).scalars()))


@dataclass(frozen=True)
class DeletedRow:
    """A row that refers to an object, and is about to be deleted.

    :param value: content of the column
    """

    reference: Reference
    value: Any


def _deleted_rows(values: Iterable[Any]) -> list[DeletedRow]:
    from include.s3_xcom.row import reference_in

    found = ((reference_in(release.from_column(value)), value) for value in values if value is not None)
    return [DeletedRow(reference, value) for reference, value in found if reference is not None]


def wait_for_commit(session: Session, items: Iterable[DeletedRow | Path]) -> None:
    """Delete objects and files when the session's current transaction is committed."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    for item in items:
        session.info.setdefault(_WAITING, []).append((transaction, item))


def _after_commit(session: Session) -> None:
    if session.get_nested_transaction() is None:  # the end of a savepoint is no commit
        session.info[_COMMITTED] = [item for _, item in session.info.pop(_WAITING, ())]


def _after_rollback(session: Session) -> None:
    """Drop the deletions that were rolled back."""
    savepoint = session.get_nested_transaction()
    waiting = session.info.get(_WAITING, [])
    waiting[:] = [item for item in waiting if savepoint is not None and item[0] is not savepoint]


def _after_end(session: Session, ended: SessionTransaction) -> None:
    """Hand the deletions of a released savepoint to the transaction around it."""
    if ended.nested:
        waiting = session.info.get(_WAITING, [])
        waiting[:] = [(ended.parent if item[0] is ended else item[0], item[1]) for item in waiting]
    elif ended.parent is None:
        session.info.pop(_WAITING, None)
        # Not in after_commit: there, an exception such as a task's timeout would break the session.
        _delete(session.info.pop(_COMMITTED, ()))


def _delete(items: Iterable[DeletedRow | Path]) -> None:
    local_files.delete(item for item in items if isinstance(item, Path))
    rows = [item for item in items if not isinstance(item, Path)]
    if rows:
        _delete_objects(rows)


def _delete_objects(rows: list[DeletedRow]) -> None:
    """Delete objects whose rows are gone. The task goes on in any case: the sweep deletes the rest."""
    from include.s3_xcom.interruptions import heard

    def delete() -> None:
        with heard():
            try:
                left, why = _run_within(MAX_SECONDS + 1, lambda: _delete_quickly(rows))
            except Exception as error:
                left, why = len(rows), f"{type(error).__name__}: {error}"
        if left:
            _warn(left, why)

    if not release.after_commit(delete):
        _warn(len(rows), "Too many deletions wait already.")


def _run_within(seconds: float, function: Callable[[], tuple[int, str]]) -> tuple[int, str]:
    """Call a function in another thread, and leave it there if it takes too long.

    :param seconds: seconds to wait, also for what no timeout of a request bounds, such as a service that
        gives credentials
    :raises TimeoutError: if it takes longer
    """
    from include.s3_xcom import threads

    results: list[tuple[int, str]] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threads.start(run)
    if thread is None:
        with release.separate_database_session():
            return function()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"S3 has not answered within {seconds:.0f} s")
    return results[0]


def _warn(left: int, why: str) -> None:
    log.warning("%d XComs are deleted, but not their data in S3, which is left to the sweep. %s", left, why)


def _delete_quickly(rows: list[DeletedRow]) -> tuple[int, str]:
    """Delete the objects that can be deleted in a few seconds and that no row refers to any more.

    A row may still refer to one: an edit in the UI of Airflow 3 deletes a row and writes it again with the
    same reference; people copy rows, for instance to rename a DAG; and the commit of a session is no commit
    if it is within another's transaction.

    :return: number of objects that are left, and the reason
    """
    from include.s3_xcom.errors import BadReferenceError
    from include.s3_xcom.on_airflow import heir
    from include.s3_xcom.reference import check
    from include.s3_xcom.s3.store import Store

    store = Store.configured(hasty=True)
    until = time.monotonic() + MAX_SECONDS
    ours, keys, left, why = [], [], 0, ""
    for row in rows:
        try:
            check(row.reference, store.settings)
        except BadReferenceError as error:
            left, why = left + 1, str(error)
        else:
            ours.append(row)
    if ours and (refusal := heir.why_not(store)):
        return len(rows), refusal
    for reference in _unreferenced(ours):
        if time.monotonic() > until:
            left, why = left + 1, "S3 is slow."
        else:
            keys += _keys_of(reference, store)
    return left + len(store.delete(keys, until=until)), why


def _unreferenced(rows: list[DeletedRow]) -> Iterator[Reference]:
    """Yield the references that no row holds any more, neither of their task nor under other ids."""
    from include.s3_xcom.keys import stem_of
    from include.s3_xcom.on_airflow import xcom_table

    for start in range(0, len(rows), _CHECKED_ROWS):
        some = rows[start : start + _CHECKED_ROWS]
        of_task = xcom_table.references_to(row.reference.key for row in some)
        some = [row for row in some if stem_of(row.reference.key) not in of_task]
        held = xcom_table.still_held([row.value for row in some])
        yield from (row.reference for row in some if row.value not in held)


def _keys_of(reference: Reference, store: Any) -> list[str]:
    from include.s3_xcom.keys import stem_of

    if not reference.info.files:
        return [reference.key]
    return [item.key for page in store.list(f"{stem_of(reference.key)}.") for item in page]
