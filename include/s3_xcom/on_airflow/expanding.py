"""Checks and advice for the push of results that other tasks are expanded over."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sized
from typing import Any

from airflow.configuration import conf

from include.s3_xcom.errors import XComError

log = logging.getLogger(__name__)

LARGE_BYTES = 64 * 1024


class UnmappableError(XComError):
    """A result that no task can be expanded over. Nothing was stored."""


def check_mappable(value: Any) -> None:
    """Refuse before the push what Airflow refuses after it, when the object would be left behind.

    :raises UnmappableError: if no task can be expanded over it, or it has too many elements
    """
    if isinstance(value, (str, bytes)):
        return
    if type(value).__module__.startswith("pandas"):
        raise UnmappableError(
            f"unmappable return type {type(value).__qualname__!r}. Another task is expanded over it: return "
            "rows(frame) for one task a row, or batches(frame, size) for several rows a task (from "
            "include.s3_xcom). Nothing was stored."
        )
    limit = conf.getint("core", "max_map_length", fallback=1024)
    stream = getattr(value, "stream", None)
    if stream is not None and stream.length is None:
        stream.check_length = functools.partial(_check_length, limit)
    elif isinstance(value, Sized):
        _check_length(limit, len(value))


def _check_length(limit: int, length: int) -> None:
    if length > limit:
        raise UnmappableError(
            f"unmappable return value length: {length} > {limit}. A task can be expanded over [core] "
            "max_map_length elements at most: return batches(frame, size) for several rows a task, or raise "
            "AIRFLOW__CORE__MAX_MAP_LENGTH. Nothing was stored."
        )


def advise(value: Any, row: bytes) -> None:
    """Warn that each task expanded over a plain list downloads all of it, and name the right wrapper."""
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
