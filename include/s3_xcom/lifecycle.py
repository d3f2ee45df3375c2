"""Objects go when their XComs go: after the commit, and only then.

Airflow deletes XComs through SQLAlchemy's sessions, by queries (overwriting, ``clear``) and one by one
(``delete``, the UI). Sessions tell about both before it happens. What is deleted otherwise, by foreign keys
or plain SQL, is left to the sweep. https://docs.sqlalchemy.org/en/14/orm/session_events.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, select
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from include.s3_xcom.errors import BadReferenceError

if TYPE_CHECKING:
    from include.s3_xcom.reference import Reference

log = logging.getLogger(__name__)

_DOOMED = "s3_xcom.doomed"
"""In the info of a session: references that its transactions deleted, each with the innermost of these."""


def watch(xcom: type) -> None:
    """Delete the objects of XComs that are deleted.

    :param xcom: Airflow's mapped class
    """

    def before_query(state: ORMExecuteState) -> None:
        mapper = state.bind_mapper if state.is_delete else None
        if mapper is not None and issubclass(mapper.class_, xcom):
            criteria = state.statement.whereclause
            rows = select(mapper.class_.value)
            rows = rows if criteria is None else rows.where(criteria)
            _doom(state.session, state.session.execute(rows, state.parameters).scalars())

    def before_delete(mapper: Any, connection: Any, row: Any) -> None:
        # From the table: the attribute holds what people are shown.
        table = mapper.local_table
        same = [column == getattr(row, column.key) for column in table.primary_key]
        rows = connection.execute(select(table.c.value).where(*same)).scalars()
        _doom(Session.object_session(row), rows)

    event.listen(Session, "do_orm_execute", before_query)
    event.listen(xcom, "before_delete", before_delete, propagate=True)
    event.listen(Session, "after_commit", _after_commit)
    event.listen(Session, "after_rollback", _after_rollback)
    event.listen(Session, "after_transaction_end", _after_end)


def _doom(session: Session, rows: Iterable[bytes | None]) -> None:
    from include.s3_xcom.pull import reference_in

    transaction = session.get_nested_transaction() or session.get_transaction()
    for row in rows:
        try:
            reference = None if row is None else reference_in(row)
        except BadReferenceError:  # not one that can be followed, so the sweep's
            reference = None
        if reference is not None:
            session.info.setdefault(_DOOMED, []).append((transaction, reference))


def _after_commit(session: Session) -> None:
    if session.get_nested_transaction() is None:  # the end of a savepoint is no commit
        doomed = session.info.pop(_DOOMED, None)
        if doomed:
            _dispose([reference for _, reference in doomed])


def _after_rollback(session: Session) -> None:
    """What was rolled back is not deleted."""
    savepoint = session.get_nested_transaction()
    doomed = session.info.get(_DOOMED, [])
    doomed[:] = [item for item in doomed if savepoint is not None and item[0] is not savepoint]


def _after_end(session: Session, ended: SessionTransaction) -> None:
    """Once a savepoint is released, what happened since belongs to the transaction around it."""
    if ended.nested:
        doomed = session.info.get(_DOOMED, [])
        doomed[:] = [(ended.parent if item[0] is ended else item[0], item[1]) for item in doomed]
    elif ended.parent is None:
        session.info.pop(_DOOMED, None)


def _dispose(references: list[Reference]) -> None:
    """Delete objects whose rows are gone. The task goes on in any case: what is left is the sweep's."""
    from include.s3_xcom import reference, settings, store

    left = len(references)
    why = ""
    try:
        current = settings.load()
        keys = []
        for pointer in references:
            try:
                reference.check(pointer, current)
            except BadReferenceError as error:
                why = str(error)
                continue
            keys += _keys_of(pointer, current)
            left -= 1
        left += len(store.delete(current, keys))
    except Exception as error:
        left, why = len(references), f"{type(error).__name__}: {error}"
    if left:
        log.warning(
            "%d XComs are deleted, but not their data in S3, which the next sweep will delete. %s", left, why
        )


def _keys_of(pointer: Reference, current: Any) -> list[str]:
    from include.s3_xcom import store
    from include.s3_xcom.reference import stem_of

    if not pointer.files:
        return [pointer.key]
    return [item.key for page in store.listed(current, f"{stem_of(pointer.key)}.") for item in page]
