"""Logging and metrics of each push and pull. They never hold a value.

Metrics, under Airflow's prefix (``[metrics] statsd_prefix``): counters ``s3_xcom.push.bytes``,
``s3_xcom.pull.bytes`` and ``s3_xcom.errors``; timers ``s3_xcom.push.duration`` and ``s3_xcom.pull.duration``.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)


@dataclass
class Transfer:
    """One push or pull.

    :param subject: type, shape, size and address of the data, for display; None: nothing is recorded
    :param size: bytes moved
    """

    subject: Any = None
    size: int = 0
    started: float = field(default_factory=time.perf_counter)


@contextlib.contextmanager
def observed(operation: str, verb: str) -> Iterator[Transfer]:
    """Record a transfer when the block ends, or that it failed. Only for blocks without a caller's code.

    :param operation: ``push`` or ``pull``
    :param verb: start of the log's sentence, such as ``Read``
    """
    transfer = Transfer()
    try:
        yield transfer
    except Exception:
        count_error()
        raise
    record(operation, verb, transfer)


def record(operation: str, verb: str, transfer: Transfer) -> None:
    """Record a transfer that has ended, if it has a subject. The parameters are those of :func:`observed`."""
    if transfer.subject is None:
        return
    took = time.perf_counter() - transfer.started
    if (stats := _stats()) is not None:
        stats.incr(f"s3_xcom.{operation}.bytes", transfer.size)
        stats.timing(f"s3_xcom.{operation}.duration", datetime.timedelta(seconds=took))
    log.info("%s %s in %.0f ms", verb, transfer.subject, took * 1000)


def count_error() -> None:
    """Count a push or pull that failed."""
    if (stats := _stats()) is not None:
        stats.incr("s3_xcom.errors")


def _stats() -> Any:
    """Return Airflow's metrics; None in a notebook or script, which has not loaded Airflow."""
    if "airflow.configuration" not in sys.modules:
        return None
    from include.s3_xcom.on_airflow.releases import release

    return release.stats()
