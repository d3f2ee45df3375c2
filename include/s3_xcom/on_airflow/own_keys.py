"""XComs that Airflow itself reads, in the scheduler and the webserver: they stay in the database.

A branch decision that lies in S3 costs the scheduler a request for each downstream task at each turn, and
stops it where the object is gone or S3 is away. docs/lifecycle.md lists who reads what, by release.
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
"""Of what a task returns."""

SKIP_KEY = "skipmixin_key"
"""A branch's decision, which the scheduler reads for each downstream task (SkipMixin, 2.5 to 3)."""

KEYS = frozenset(
    {
        SKIP_KEY,
        "past_depends_met",  # by the same check and that of trigger rules, since 2.6
        "trigger_run_id",  # by the link of TriggerDagRunOperator
        "trigger_execution_date_iso",  # by the same, up to 2.8
        "trigger_logical_date_iso",  # by the same, since 2.9
        "pipeline_inlets",  # lineage, by the API
        "pipeline_outlets",
    }
)

_SCHEDULERS = frozenset({SKIP_KEY, "past_depends_met"})
"""The keys that the scheduler reads."""

LINK_PREFIX = "_link_"
"""How the keys begin under which Airflow 3 stores the addresses of operators' links."""

MAX_SECONDS = 5
KEPT_SECONDS = 60
_MAX_KEPT = 1000
_kept: dict[str, tuple[float, Any]] = {}


def is_read_by_airflow(key: str | None) -> bool:
    """Whether Airflow reads the XCom of a key by itself: branch decisions, triggered runs, operators' links.

    :param key: of an XCom of the task that runs here
    """
    if key in (None, RETURN_KEY):  # a result: its links are not looked at, which would load all plugins
        return False
    if key in _SCHEDULERS or not release.TASKS_HAVE_DATABASE:
        return key in _SCHEDULERS  # links are looked for by the tasks of Airflow 3, which ask the backend
    return key in KEYS or key.startswith(LINK_PREFIX) or key in _link_keys()


def _link_keys() -> set[str]:
    """The keys under which the links of the task that runs here look for what they need.

    Links of providers name it ``key``, such as ``emr_cluster`` of Amazon's, or ``xcom_key``.
    """
    with heard():
        task = release.current_task()
        try:
            links = [*task.operator_extra_link_dict.values(), *task.global_operator_extra_link_dict.values()]
            names = {getattr(link, name, None) for link in links for name in ("key", "xcom_key")}
        except Exception:  # of a task or a link that is made otherwise; the push does not depend on it
            return set()
    return {name for name in names if isinstance(name, str)}


def pull_own(row: Row) -> Any:
    """The value of an XCom of Airflow's own that an earlier version of this backend put into S3.

    For the scheduler, which would stop if this raised. Where S3 does not give the value, it is None, as if
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
    """Whether a row refers to an object that the scheduler needs, and no task that runs here asks for it."""
    from include.s3_xcom.keys import parse_key

    key = row.object_key
    try:
        return key is not None and parse_key(key).key in _SCHEDULERS and release.current_task() is None
    except BadReferenceError:
        return False
