"""XComs that Airflow itself reads, in the scheduler and the webserver: they stay in the database.

A branch decision in S3 would cost the scheduler a request for each downstream task in each loop, and would
stop it if the object is gone or S3 does not answer. docs/lifecycle.md lists who reads which key, by release.
"""

from __future__ import annotations

import logging

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.interruptions import heard
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


def is_lost(row: Row) -> bool:
    """Return whether the scheduler asks for an XCom that lies in S3, where Airflow's push does not put it.

    The scheduler would wait for S3, and an exception would stop it. So the XCom counts as not pushed.
    """
    from include.s3_xcom.keys import parse_key

    key = row.object_key
    try:
        is_for_scheduler = key is not None and parse_key(key).key in _SCHEDULERS
    except BadReferenceError:
        return False
    if not is_for_scheduler or release.current_task() is not None:
        return False
    log.error(
        "Airflow needs this XCom and goes on without it: %s is not in the database. Clear its task.", key
    )
    return True
