"""Advice for results that other tasks are expanded over, while they are pushed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sized
from typing import Any

from airflow.configuration import conf
from airflow.exceptions import AirflowException, UnmappableXComLengthPushed, UnmappableXComTypePushed

log = logging.getLogger(__name__)

LARGE_BYTES = 64 * 1024


class _TooManyToExpandError(UnmappableXComLengthPushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. A task can be expanded over [core] max_map_length elements at most: "
            "return batches(frame, size) for several rows a task, or raise AIRFLOW__CORE__MAX_MAP_LENGTH. "
            "Nothing was stored."
        )


class _UnmappableTypeError(UnmappableXComTypePushed):
    def __str__(self) -> str:
        return (
            f"{super().__str__()}. Another task is expanded over it: return rows(frame) for one task a row, "
            "or batches(frame, size) for several rows a task (from include.s3_xcom). Nothing was stored."
        )


def has_mapped_dependants() -> bool:
    """Whether the task that runs here has others expanded over its result."""
    from airflow.models.mappedoperator import MappedOperator
    from airflow.operators.python import get_current_context

    try:
        task = get_current_context()["task"]
    except (AirflowException, KeyError):
        return False
    return not isinstance(task, MappedOperator) and next(task.iter_mapped_dependants(), None) is not None


def check_mappable(value: Any) -> None:
    """Refuse now what Airflow refuses after the push, when the object would be left behind.

    :raises airflow.exceptions.UnmappableXComTypePushed: if no task can be expanded over it
    :raises airflow.exceptions.UnmappableXComLengthPushed: if it has too many elements
    """
    if isinstance(value, (str, bytes)):
        return
    if type(value).__module__.startswith("pandas"):
        raise _UnmappableTypeError(value)
    limit = conf.getint("core", "max_map_length", fallback=1024)
    stream = getattr(value, "stream", None)
    if stream is not None:
        stream.check_length = functools.partial(_check_length, limit)
    elif isinstance(value, Sized):
        _check_length(limit, len(value))


def _check_length(limit: int, length: int) -> None:
    if length > limit:
        raise _TooManyToExpandError(range(length), limit)


def advise(value: Any, row: bytes) -> None:
    """Name the wrapper that spares the tasks expanded over a plain list from downloading all of it."""
    from include.s3_xcom.reference import human_size
    from include.s3_xcom.row import reference_in

    reference = reference_in(row) if type(value) in (list, tuple) else None
    if reference is not None and reference.size > LARGE_BYTES:
        log.warning(
            "Each of the %d tasks expanded over this %s will download all %s of it. Return items(...) of it "
            "(from include.s3_xcom; rows(frame) for a table): then each downloads its own element only.",
            len(value),
            type(value).__name__,
            human_size(reference.size),
        )
