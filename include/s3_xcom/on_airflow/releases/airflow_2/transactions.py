"""Transactions of the metadata database that end before S3 is asked, if that changes nothing for anybody.

S3 can take minutes. An open transaction would be idle for that time: Postgres ends such a session after
``idle_in_transaction_session_timeout``, and cannot clean up tables until it ends.

A push uses no session before its data is sent: ``Line.set`` encodes first. A pull finds open the transaction
in which Airflow has read the row::

    SELECT ... FROM xcom     begins a transaction of the thread's session
    Store.client             end_reading(): COMMIT, since it has only read
    GET s3://...             no transaction is open

That session is Airflow's: each of its functions that is given no session uses it, and commits and closes it
at the end. Sessions that a user makes are left alone, and so are transactions that did anything else.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

_QUERY = re.compile(r"\s*select\s(?!.*\b(for|into|lock)\b).*\bfrom\b", re.S)
_CALL = re.compile(r"\b(\w+)\s*\(")
_HARMLESS = {
    *("and", "as", "case", "cast", "coalesce", "count", "distinct", "exists", "from", "in", "join", "length"),
    *("max", "min", "not", "on", "or", "over", "select", "sum", "then", "when", "where"),
}
"""Words before a parenthesis in queries that only read: words of SQL, and functions."""

_PROCESS, _PUSHED, _OTHER = "s3_xcom_process", "s3_xcom_pushed", "s3_xcom_other"
"""Marks in a connection's ``info`` while a transaction lasts.

They are the process that began it, that XComs were pushed in it, and that anything else was done.
"""

_thread = threading.local()


def watch() -> None:
    """Note the statements of transactions."""
    event.listen(Engine, "begin", _note_begin)
    event.listen(Engine, "before_cursor_execute", _note_statement)


@contextlib.contextmanager
def pushing() -> Iterator[None]:
    """Treat the statements of this thread within the block as those of a push."""
    _thread.pushes = True
    try:
        yield
    finally:
        _thread.pushes = False


def _note_begin(connection: Connection) -> None:
    for mark in (_PUSHED, _OTHER):
        connection.info.pop(mark, None)
    connection.info[_PROCESS] = os.getpid()


def _note_statement(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, *_: Any
) -> None:
    if getattr(_thread, "pushes", False):
        connection.info[_PUSHED] = True
    elif not _only_reads(statement) or context.execution_options.get("stream_results"):
        connection.info[_OTHER] = True


@functools.lru_cache(maxsize=512)
def _only_reads(statement: str) -> bool:
    """Return whether a statement is a query that locks nothing and calls only functions known to read."""
    text = statement.lower()
    return _QUERY.match(text) is not None and _HARMLESS.issuperset(_CALL.findall(text))


def end_reading() -> None:
    """End the transaction of this thread's session of Airflow's, if it has only read."""
    settings = sys.modules.get("airflow.settings")
    registry = getattr(getattr(settings, "Session", None), "registry", None)
    if registry is None or not registry.has():
        return
    session = registry()
    with contextlib.suppress(Exception):  # the next user of the session sees the error
        if _may_end(session):
            session.commit()


def _may_end(session: Session) -> bool:
    if not session.in_transaction() or not session.is_active or session.in_nested_transaction():
        return False
    is_block = getattr(session, "_trans_context_manager", None) is not None  # `with session.begin()` ends it
    if is_block or session.new or session.dirty or session.deleted:
        return False
    marks = session.connection().info
    is_other = _OTHER in marks or marks.get(_PROCESS) != os.getpid()
    return not is_other and (_PUSHED not in marks or _has_multiple_outputs())


def _has_multiple_outputs() -> bool:
    """Return whether Airflow pushes the outputs of the task one by one.

    Airflow 2.7 to 2.11 push them within one transaction. Before 2.7, and in Airflow 3, each has its
    transaction.
    """
    from include.s3_xcom.on_airflow.releases.airflow_2 import current_task

    return getattr(current_task(), "multiple_outputs", False)
