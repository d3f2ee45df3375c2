"""Airflow 2: tasks have the database, and its column holds bytes."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TASKS_HAVE_DATABASE = True

_pushed_files: dict[bytes, list[Path]] = {}
"""Files to delete once the row that refers to them is written, by that row."""


def base() -> tuple[type, ...]:
    """Return the base classes of a backend: the mixin for this line of releases, and Airflow's class."""
    from airflow.models.xcom import BaseXCom

    from include.s3_xcom.on_airflow.releases.airflow_2.backend import Line

    return Line, BaseXCom


def to_column(row: bytes) -> bytes:
    """Return a row in the form that the column ``value`` holds."""
    return row


def from_column(value: Any) -> bytes:
    """Return a row from the content of the column. Inverse of :func:`to_column`."""
    return bytes(value)


def length_of(column: Any) -> Any:
    """Return the number of bytes in the column, in SQL."""
    from sqlalchemy import func

    return func.length(column)


def is_one_of(column: Any, values: list[Any], dialect: str) -> Any:
    """Return the condition that the column holds one of some values, in SQL."""
    return column.in_(values)


def table() -> Any:
    """Return the table of XComs."""
    from airflow.models.xcom import BaseXCom

    return BaseXCom.__table__


def push_own(value: Any, push: Callable[[], Any]) -> Any:
    """Return the column's content for an XCom that Airflow itself reads.

    :param push: makes it, as for any value that stays in the database
    """
    return push()


def watch_written() -> None:
    """Delete files on this machine after the commit that writes the rows that refer to them."""
    from airflow.models.xcom import BaseXCom
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    from include.s3_xcom.on_airflow import deletion

    def after_insert(mapper: Any, connection: Any, row: Any) -> None:
        if _pushed_files and isinstance(row.value, bytes):
            deletion.wait_for_commit(Session.object_session(row), _pushed_files.pop(row.value, ()))

    event.listen(BaseXCom, "after_insert", after_insert, propagate=True)


def watch_transactions() -> None:
    """Note the facts about this process's transactions that :func:`end_reading` needs."""
    from include.s3_xcom.on_airflow.releases.airflow_2 import transactions

    transactions.watch()


def end_reading() -> None:
    """End the transactions of this thread that have only read, because S3 is about to be asked."""
    if "sqlalchemy" in sys.modules:
        from include.s3_xcom.on_airflow.releases.airflow_2 import transactions

        transactions.end_reading()


def delete_once_written(row: bytes, paths: list[Path]) -> None:
    """Delete files on this machine once a row is written, and not before: until then they are the only copy.

    :param row: content for the database; no two pushes have the same
    """
    if paths:
        _pushed_files[row] = paths


def after_commit(action: Callable[[], None]) -> bool:
    """Do the work that a commit leaves, at once: a task's process may end at any time.

    :return: whether it is done, or will be
    """
    action()
    return True


def current_task() -> Any:
    """Return this process's task; None in the scheduler and the webserver."""
    from airflow.exceptions import AirflowException
    from airflow.operators.python import get_current_context

    try:
        return get_current_context()["task"]
    except (AirflowException, KeyError):
        return None


def is_resumed() -> bool:
    """Return whether this process's task was deferred: its timeout is then what was left of it."""
    from airflow.operators.python import get_current_context

    return bool(getattr(get_current_context().get("ti"), "next_method", None))


def has_mapped_dependants() -> bool:
    """Return whether other tasks are expanded over the result that is being pushed."""
    from airflow.models.mappedoperator import MappedOperator

    task = current_task()
    if task is None or isinstance(task, MappedOperator):
        return False
    return next(task.iter_mapped_dependants(), None) is not None


@contextlib.contextmanager
def separate_database_session() -> Iterator[None]:
    """Give this thread another database session for a while: looking up a connection commits and closes it.

    It is not done in another thread, which might wait for ever: if Airflow logs a lazy value, this thread
    holds the lock that the other thread needs to log.
    """
    from airflow.settings import Session

    registry = Session.registry
    callers = registry() if registry.has() else None
    registry.clear()
    try:
        yield
    finally:
        Session.remove()
        if callers is not None:
            registry.set(callers)


def stats() -> Any:
    """Return Airflow's metrics."""
    from airflow.stats import Stats

    return Stats


def is_admitted(name: str, conf: Any) -> bool:
    """Return whether ``[core] allowed_deserialization_classes`` lets a class be rebuilt.

    It does by Airflow 2.5's rule: one of the regular expressions there matches the start of the name.
    """
    patterns = conf.get("core", "allowed_deserialization_classes", fallback="").split()
    return any(re.match(pattern, name) for pattern in patterns)


def prepare_command_line() -> None:
    """Make connections and the database reachable for a program that is no process of Airflow's.

    Call it before Airflow is imported.
    """


def views() -> list[dict[str, Any]]:
    """Return the pages in the UI, for a plugin."""
    from include.s3_xcom.on_airflow.releases.airflow_2 import ui

    return ui.views()


def links() -> list[Any]:
    """Return the links from task instances to the pages, for a plugin."""
    from include.s3_xcom.on_airflow.releases.airflow_2.link import XComDataLink

    return [XComDataLink()]
