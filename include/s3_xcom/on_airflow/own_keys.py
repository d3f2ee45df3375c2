"""XComs that Airflow itself reads, in the scheduler and the webserver: they stay in the database.

A branch decision in S3 would cost the scheduler a request for each downstream task in each loop, and would
stop it if the object is gone or S3 does not answer. docs/lifecycle.md lists who reads which key, by release.
"""

from __future__ import annotations

import copy
import logging
import time
from typing import Any

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.interruptions import heard
from include.s3_xcom.on_airflow.patience import run_within
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.row import Row

log = logging.getLogger(__name__)

RETURN_KEY = "return_value"
"""Key of a task's result."""

SKIP_KEY = "skipmixin_key"
"""Key of a branch's decision, which the scheduler reads for each downstream task (SkipMixin, 2.5 to 3)."""

KEYS = frozenset(
    {
        SKIP_KEY,
        "past_depends_met",  # read with it, and by trigger rules, since 2.6
        "trigger_run_id",  # read by the link of TriggerDagRunOperator
        "trigger_execution_date_iso",  # read by that link up to 2.8
        "trigger_logical_date_iso",  # read by that link since 2.9
        "pipeline_inlets",  # lineage, read by the API
        "pipeline_outlets",
    }
)

_SCHEDULERS = frozenset({SKIP_KEY, "past_depends_met"})
"""Keys that the scheduler reads."""

LINK_PREFIX = "_link_"
"""Start of the keys under which Airflow 3 stores the addresses of operators' links."""

MAX_SECONDS = 5
KEPT_SECONDS = 60
_MAX_KEPT = 1000
_kept: dict[str, tuple[float, Any]] = {}


def is_read_by_airflow(key: str | None) -> bool:
    """Return whether Airflow itself reads a key: branch decisions, triggered runs, operators' links.

    :param key: key of an XCom of this process's task
    """
    if key in (None, RETURN_KEY):  # a result: checking its links would load all plugins
        return False
    if key in _SCHEDULERS or not release.TASKS_HAVE_DATABASE:
        return key in _SCHEDULERS  # in Airflow 3, tasks read the links, and ask the backend
    return key in KEYS or key.startswith(LINK_PREFIX) or key in _link_keys()


def _link_keys() -> set[str]:
    """Return the keys that the links of this process's task read.

    Links of providers hold it in an attribute ``key`` (``emr_cluster`` of Amazon's) or ``xcom_key``.
    """
    with heard():
        task = release.current_task()
        try:
            links = [*task.operator_extra_link_dict.values(), *task.global_operator_extra_link_dict.values()]
            names = {getattr(link, name, None) for link in links for name in ("key", "xcom_key")}
        except Exception:  # the task or a link has another form; the push does not depend on it
            return set()
    return {name for name in names if isinstance(name, str)}


def pull_own(row: Row) -> Any:
    """Pull the value of one of Airflow's keys that an earlier version of this backend put into S3.

    This is for the scheduler, which an exception would stop. If S3 does not give the value, it is None, as if
    the task had pushed nothing, and the log says why. S3 is asked once a minute at most, for a few seconds.
    """
    address = str(row.object_key)
    kept = _kept.get(address)
    if kept is not None and kept[0] > time.monotonic():
        return copy.deepcopy(kept[1])
    with heard():
        try:
            value = run_within(MAX_SECONDS, lambda: _fetch_hastily(row))
        except Exception as error:
            log.error("Airflow needs this XCom and goes on without it: %s", error)
            value = None
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()
    _kept[address] = time.monotonic() + KEPT_SECONDS, value
    return copy.deepcopy(value)


def _fetch_hastily(row: Row) -> Any:
    from include.s3_xcom.pull import pull_reference

    return pull_reference(row.reference, hasty=True)


def is_for_scheduler(row: Row) -> bool:
    """Return whether a row refers to an object that the scheduler needs, and no task is asking for it."""
    from include.s3_xcom.keys import parse_key

    key = row.object_key
    try:
        return key is not None and parse_key(key).key in _SCHEDULERS and release.current_task() is None
    except BadReferenceError:
        return False
