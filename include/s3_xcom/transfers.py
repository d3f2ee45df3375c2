"""What is told of each push and pull: a line in the log, and Airflow's metrics. Never a value.

Metrics, under Airflow's own prefix (``[metrics] statsd_prefix``): counters ``s3_xcom.push.bytes``,
``s3_xcom.pull.bytes`` and ``s3_xcom.errors``; timers ``s3_xcom.push.duration`` and ``s3_xcom.pull.duration``.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass
class Transfer:
    """One push or pull.

    :param subject: what is moved, for people: type, shape, size and address
    :param size: what is moved, in bytes
    """

    subject: Any = None
    size: int = 0


@contextlib.contextmanager
def observed(operation: str, verb: str) -> Iterator[Transfer]:
    """Tell about a transfer when it has ended, if it was given a subject.

    :param operation: ``push`` or ``pull``
    :param verb: what the log says was done
    """
    from airflow.stats import Stats

    start = time.perf_counter()
    transfer = Transfer()
    try:
        yield transfer
    except Exception:
        Stats.incr("s3_xcom.errors")
        raise
    if transfer.subject is not None:
        took = time.perf_counter() - start
        Stats.incr(f"s3_xcom.{operation}.bytes", transfer.size)
        Stats.timing(f"s3_xcom.{operation}.duration", datetime.timedelta(seconds=took))
        log.info("%s %s in %.0f ms", verb, transfer.subject, took * 1000)
