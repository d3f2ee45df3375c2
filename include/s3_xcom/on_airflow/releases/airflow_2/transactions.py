"""Transactions of the metadata database that have only read end before S3 is asked.

Airflow 2 reads the row of an XCom and decodes it within one session; it pushes in the same way. S3 can take
minutes for that. Meanwhile the transaction would be idle: Postgres ends such a session after
``idle_in_transaction_session_timeout``, and cannot clean up tables for as long as it lasts.

::

    SELECT ... FROM xcom     begins a transaction
    Store.client             end_reading(): COMMIT, since nothing was written in it
    GET s3://...             no transaction is open

A transaction that has written, or locked rows, is left to whoever began it.
"""

from __future__ import annotations

import re
import threading
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_READ = re.compile(
    r"\s*SELECT\b(?!.*\b(FOR (NO KEY )?UPDATE|FOR (KEY )?SHARE|LOCK)\b).*\bFROM\b", re.I | re.S
)
"""A query that changes and locks nothing. A call of a function alone, without FROM, may do anything."""

_WRITE_OF_XCOM = re.compile(r'\s*(DELETE FROM|INSERT INTO) ("?\w+"?\.)?xcom\b', re.I)

_WROTE, _WROTE_XCOMS = "s3_xcom_wrote", "s3_xcom_wrote_xcoms"
"""Marks in a connection's ``info``, for as long as its transaction lasts."""

_thread = threading.local()


def watch() -> None:
    """Note which transactions begin in each thread, and which of them write."""
    event.listen(Session, "after_begin", _note_session)
    event.listen(Engine, "begin", _forget)
    event.listen(Engine, "before_cursor_execute", _note_statement)


def _note_session(session: Session, *_: Any) -> None:
    if not hasattr(_thread, "sessions"):
        _thread.sessions = weakref.WeakSet()
    _thread.sessions.add(session)


def _forget(connection: Connection) -> None:
    for mark in (_WROTE, _WROTE_XCOMS):
        connection.info.pop(mark, None)


def _note_statement(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, *_: Any
) -> None:
    if _WRITE_OF_XCOM.match(statement):
        connection.info[_WROTE_XCOMS] = True
    elif not _READ.match(statement) or context.execution_options.get("stream_results"):
        connection.info[_WROTE] = True


def end_reading() -> None:
    """End the transactions of this thread that have only read."""
    sessions = getattr(_thread, "sessions", ())
    for session in list(sessions):
        sessions.discard(session)
        if session.in_transaction() and _may_end(session):
            session.commit()


def _may_end(session: Session) -> bool:
    if session.in_nested_transaction() or session.new or session.dirty or session.deleted:
        return False
    marks = session.connection().info
    return _WROTE not in marks and (_WROTE_XCOMS not in marks or _has_multiple_outputs())


def _has_multiple_outputs() -> bool:
    """Return whether Airflow pushes the outputs of the task one by one.

    Airflow 2.7 to 2.11 do so within one transaction. Before, and in Airflow 3, each has its own.
    """
    from include.s3_xcom.on_airflow.releases.airflow_2 import current_task

    return getattr(current_task(), "multiple_outputs", False)
