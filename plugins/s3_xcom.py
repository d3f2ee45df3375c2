"""The data of XComs in Airflow's UI: Browse, XCom data; and a link from each task instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.s3_xcom.on_airflow.releases import release


class _WhenAsked:
    """Made when the webserver asks: every process loads plugins, and only it has pages."""

    def __init__(self, make: Callable[[], list[Any]]) -> None:
        self._make = make

    def __get__(self, instance: Any, owner: type) -> list[Any]:
        return self._make()


class S3XComPlugin(AirflowPlugin):
    name = "s3_xcom"
    appbuilder_views = _WhenAsked(release.views)
    global_operator_extra_links = _WhenAsked(release.links)
