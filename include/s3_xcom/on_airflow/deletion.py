"""What happens at the commit: objects are deleted when their rows are, files when theirs are written.

Airflow deletes XComs through SQLAlchemy's sessions, by queries (overwriting, ``clear``) and one by one
(``delete``, the UI). Sessions announce both before it happens. What is deleted otherwise, by foreign keys
or plain SQL, is left to the sweep. https://docs.sqlalchemy.org/en/14/orm/session_events.html

What is to be done waits in the session, each with the innermost transaction that it depends on::

    BEGIN                     transaction T
      DELETE xcom a           (T, delete object a)
      SAVEPOINT               nested transaction S
        DELETE xcom b         (T, delete object a), (S, delete object b)
      RELEASE SAVEPOINT       (T, delete object a), (T, delete object b)   S has ended: T decides now
    COMMIT                    both are done

With ``ROLLBACK TO SAVEPOINT`` in place of the release, b's would be dropped, and a's stays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, func, select
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

if TYPE_CHECKING:
    from include.s3_xcom.reference import Reference

log = logging.getLogger(__name__)

MAX_SECONDS = 4
"""How long a commit sends requests to S3; it waits a second more at most. The sweep deletes what is left."""

MAX_REFERENCE_BYTES = 16 * 1024
"""No reference is longer. Larger rows, of another backend, are deleted without being read."""

_WAITING = "s3_xcom.waiting"
"""In the info of a session: pairs of a transaction, and the reference or path to delete at its commit."""

_COMMITTED = "s3_xcom.committed"
"""In the info of a session: what to delete once the transaction that was committed has ended."""

_pushed_files: dict[bytes, list[Path]] = {}
"""Files to delete once the row is written that refers to them, by that row."""


def watch(xcom: type) -> None:
    """Delete the objects of XComs that are deleted, and the files of those that are written.

    :param xcom: Airflow's mapped class
    """

    def before_query(state: ORMExecuteState) -> None:
        mapper = state.bind_mapper if state.is_delete else None
        if mapper is not None and issubclass(mapper.class_, xcom):
            criteria = state.statement.whereclause
            value = mapper.class_.value
            rows = select(value).where(func.length(value) <= MAX_REFERENCE_BYTES)
            rows = rows if criteria is None else rows.where(criteria)
            _wait_for_commit(
                state.session, _references(state.session.execute(rows, state.parameters).scalars())
            )

    def before_delete(mapper: Any, connection: Any, row: Any) -> None:
        # From the table: the attribute holds what people are shown.
        table = mapper.local_table
        same = [column == getattr(row, column.key) for column in table.primary_key]
        rows = connection.execute(select(table.c.value).where(*same)).scalars()
        _wait_for_commit(Session.object_session(row), _references(rows))

    def after_insert(mapper: Any, connection: Any, row: Any) -> None:
        if _pushed_files and isinstance(row.value, bytes):
            _wait_for_commit(Session.object_session(row), _pushed_files.pop(row.value, ()))

    event.listen(Session, "do_orm_execute", before_query)
    event.listen(xcom, "before_delete", before_delete, propagate=True)
    event.listen(xcom, "after_insert", after_insert, propagate=True)
    event.listen(Session, "after_commit", _after_commit)
    event.listen(Session, "after_rollback", _after_rollback)
    event.listen(Session, "after_transaction_end", _after_end)


def delete_files_after_commit(row: bytes, paths: list[Path]) -> None:
    """Delete files of this machine when a row is written, and not before: until then they are the only copy.

    :param row: what the database is to hold; no two pushes have the same
    """
    if paths:
        _pushed_files[row] = paths


def _references(rows: Iterable[bytes | None]) -> list[Reference]:
    from include.s3_xcom.row import reference_in

    found = (reference_in(row) for row in rows if row is not None)
    return [reference for reference in found if reference is not None]


def _wait_for_commit(session: Session, items: Iterable[Reference | Path]) -> None:
    transaction = session.get_nested_transaction() or session.get_transaction()
    for item in items:
        session.info.setdefault(_WAITING, []).append((transaction, item))


def _after_commit(session: Session) -> None:
    if session.get_nested_transaction() is None:  # the end of a savepoint is no commit
        session.info[_COMMITTED] = [item for _, item in session.info.pop(_WAITING, ())]


def _after_rollback(session: Session) -> None:
    """What was rolled back is not deleted."""
    savepoint = session.get_nested_transaction()
    waiting = session.info.get(_WAITING, [])
    waiting[:] = [item for item in waiting if savepoint is not None and item[0] is not savepoint]


def _after_end(session: Session, ended: SessionTransaction) -> None:
    """Once a savepoint is released, what happened since belongs to the transaction around it."""
    if ended.nested:
        waiting = session.info.get(_WAITING, [])
        waiting[:] = [(ended.parent if item[0] is ended else item[0], item[1]) for item in waiting]
    elif ended.parent is None:
        session.info.pop(_WAITING, None)
        # Not in after_commit, where the session would not survive an exception, such as a task's timeout.
        _delete(session.info.pop(_COMMITTED, ()))


def _delete(items: Iterable[Reference | Path]) -> None:
    _delete_files([item for item in items if isinstance(item, Path)])
    references = [item for item in items if not isinstance(item, Path)]
    if references:
        _delete_objects(references)


def _delete_files(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s was pushed, and cannot be deleted here (%s).", path, error.strerror)


def _delete_objects(references: list[Reference]) -> None:
    """Delete objects whose rows are gone. The task goes on in any case: what is left is the sweep's."""
    from include.s3_xcom.interruptions import heard
    from include.s3_xcom.on_airflow.patience import run_within

    with heard():
        try:
            left, why = run_within(MAX_SECONDS + 1, lambda: _delete_quickly(references))
        except Exception as error:
            left, why = len(references), f"{type(error).__name__}: {error}"
    if left:
        log.warning(
            "%d XComs are deleted, but not their data in S3, which the next sweep will delete. %s", left, why
        )


def _delete_quickly(references: list[Reference]) -> tuple[int, str]:
    """Delete what can be deleted in a few seconds.

    :return: how many objects are left, and why
    """
    from include.s3_xcom.errors import BadReferenceError
    from include.s3_xcom.reference import check
    from include.s3_xcom.s3.store import Store

    store = Store.configured(hasty=True)
    until = time.monotonic() + MAX_SECONDS
    keys, left, why = [], 0, ""
    for reference in references:
        try:
            check(reference, store.settings)
        except BadReferenceError as error:
            left, why = left + 1, str(error)
            continue
        if time.monotonic() > until:
            left, why = left + 1, "S3 is slow."
        else:
            keys += _keys_of(reference, store)
    return left + len(store.delete(keys, until=until)), why


def _keys_of(reference: Reference, store: Any) -> list[str]:
    from include.s3_xcom.keys import stem_of

    if not reference.info.files:
        return [reference.key]
    return [item.key for page in store.list(f"{stem_of(reference.key)}.") for item in page]
