"""Airflow 3: tasks have no database, and its column holds a JSON value. The names are those of Airflow 2."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

TASKS_HAVE_DATABASE = False

_CONTEXT, _SERVER = "_AIRFLOW_PROCESS_CONTEXT", "server"
"""Environment variable, and its value, by which processes except tasks say that they have the database."""


@dataclass
class Setting:
    """An XCom that is being set.

    :param is_expanded: whether other tasks are expanded over it
    :param files: files on this machine to delete once the row is written
    """

    is_expanded: bool
    files: list[Path] = field(default_factory=list)


setting: ContextVar[Setting | None] = ContextVar("setting", default=None)
"""XCom that is being set here. Airflow pushes a task's result outside of the task's context."""


def base() -> tuple[type, ...]:
    from airflow.sdk.bases.xcom import BaseXCom

    from include.s3_xcom.on_airflow.releases.airflow_3.backend import Line

    return Line, BaseXCom


def to_column(row: bytes) -> Any:
    from include.s3_xcom.on_airflow.releases.airflow_3 import json_column

    return json_column.to_column(row)


def from_column(value: Any) -> bytes:
    from include.s3_xcom.on_airflow.releases.airflow_3 import json_column

    return json_column.from_column(value)


def length_of(column: Any) -> Any:
    from sqlalchemy import Text, cast, func

    return func.length(cast(column, Text))


def is_one_of(column: Any, values: list[Any], dialect: str) -> Any:
    from sqlalchemy import JSON, cast, literal

    # One by one: SQLAlchemy does not write a list as JSON. MySQL takes a text for a string within JSON.
    given = [literal(value, column.type) for value in values]
    return column.in_([cast(value, JSON) for value in given] if dialect == "mysql" else given)


def table() -> Any:
    from airflow.models.xcom import XComModel

    return XComModel.__table__


def push_own(value: Any, push: Callable[[], Any]) -> Any:
    """Return plain JSON as Airflow's backend writes it, because the scheduler asks no other backend."""
    from include.s3_xcom.codecs import tagged_json

    is_plain = isinstance(value, (dict, list)) and tagged_json.dumps_plain(value) is not None
    return value if is_plain else to_column(push())


def watch_written() -> None:
    """Do nothing: tasks delete their files when the API server has answered."""


def watch_transactions() -> None:
    """Do nothing: tasks have no database, and the API server asks S3 in a separate thread."""


def end_reading() -> None:
    """Do nothing, see :func:`watch_transactions`."""


def delete_once_written(row: bytes, paths: list[Path]) -> None:
    current = setting.get()
    if current is not None:
        current.files += paths


MAX_WAITING = 1000
"""Commits that may wait for their deletions; if there are more, the sweep deletes their objects."""

_places = BoundedSemaphore(MAX_WAITING)


def after_commit(action: Callable[[], None]) -> bool:
    """Do the work that a commit leaves in another thread: the API server answers first. Exit waits for it.

    If no thread can be started, do it at once.
    """
    if not _places.acquire(blocking=False):
        return False
    os.environ.setdefault(_CONTEXT, _SERVER)  # a process that commits has the database
    try:
        _background().submit(action).add_done_callback(lambda _: _places.release())
    except RuntimeError:  # no more threads can be started, or this process ends
        _places.release()
        _background.cache_clear()  # its queue still holds the action
        action()
    return True


@functools.lru_cache(maxsize=1)
def _background() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="s3_xcom_deletion")


os.register_at_fork(after_in_child=_background.cache_clear)  # a forked process has no threads


def current_task() -> Any:
    from airflow.sdk import get_current_context

    try:
        return get_current_context()["task"]
    except (RuntimeError, KeyError):
        return None


def is_resumed() -> bool:
    return False  # the timeout of a deferred task starts again in full


def has_mapped_dependants() -> bool:
    current = setting.get()
    return current is not None and current.is_expanded


@contextlib.contextmanager
def separate_database_session() -> Iterator[None]:
    """Do nothing: no lookup of a connection uses a thread's session."""
    yield


@functools.lru_cache(maxsize=1)
def stats() -> Any:
    try:
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # the place until 3.1
        from airflow.stats import Stats
    return Stats


def is_admitted(name: str, conf: Any) -> bool:
    """Return whether Airflow 3 admits a class: a glob matches its name, or a regular expression all of it."""
    globs = conf.get("core", "allowed_deserialization_classes", fallback="").split()
    expressions = conf.get("core", "allowed_deserialization_classes_regexp", fallback="").split()
    return any(fnmatch(name, glob) for glob in globs) or any(
        re.fullmatch(expression, name) for expression in expressions
    )


def prepare_command_line() -> None:
    # Airflow's commands do the same; otherwise connections are asked from a supervisor that does not exist.
    os.environ.setdefault(_CONTEXT, _SERVER)
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")  # it logs to standard output


def views() -> list[dict[str, Any]]:
    return []


def links() -> list[Any]:
    return []
