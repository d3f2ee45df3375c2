"""The link from a task instance to its XComs. All of Airflow loads it, so it imports no pages."""

from __future__ import annotations

from typing import Any

from airflow.models.baseoperator import BaseOperatorLink

from include.s3_xcom import keys


class XComDataLink(BaseOperatorLink):
    """The link from a task instance to the objects of its task in the same run."""

    name = "XCom data"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the URL of the page."""
        from flask import url_for

        segments = {"dag": keys.encode_id(ti_key.dag_id), "run": keys.encode_id(ti_key.run_id)}
        return url_for("XComDataView.listing", **segments, q=ti_key.task_id)
