"""Pages about the data of XComs in Airflow 2's UI, which is a Flask AppBuilder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.security import permissions
from flask import Response, g, redirect, request, url_for
from flask_appbuilder import BaseView, expose

from include.s3_xcom import keys
from include.s3_xcom.admin.pages.site import Site
from include.s3_xcom.keys import KeyId, Owner


class XComDataView(BaseView):
    """A view that passes requests on to the site, for those who may read XComs."""

    route_base = "/s3_xcom"
    default_view = "listing"
    # A separate name: Flask AppBuilder deletes all other permissions of a view's name. It does not decide who
    # may see what.
    class_permission_name = "XCom data"
    method_permission_name = dict.fromkeys(("listing", "object", "download", "asset"), "read")
    base_permissions = (permissions.ACTION_CAN_READ,)

    @expose("/")
    def listing(self) -> Any:
        """Answer with the DAGs, the runs of one, or the objects of a run."""
        return self._answer("listing")

    @expose("/object")
    def object(self) -> Any:
        """Answer with the page of one object."""
        return self._answer("object")

    @expose("/download")
    def download(self) -> Any:
        """Answer with one object as a file."""
        return self._answer("download")

    @expose("/assets/<name>")
    def asset(self, name: str) -> Any:
        """Answer with the stylesheet or the script of the pages."""
        return _response(_site().answer("asset", {"name": name}))

    def _answer(self, page: str) -> Any:
        if not _is_logged_in():
            return redirect(_url_of_login())
        return _response(_site().answer(page, request.args))


def _site() -> Site:
    return Site(may_read=_may_read, url=_url, task_url=_task_url, home_url=url_for("Airflow.index"))


def _response(answer: Any) -> Response:
    return Response(answer.body, answer.status, answer.all_headers)


def _url(page: str, **parameters: Any) -> str:
    return url_for(
        f"XComDataView.{page}", **{name: value for name, value in parameters.items() if value != ""}
    )


def _task_url(owner: Owner) -> str:
    mapped = {} if owner.map_index < 0 else {"map_index": owner.map_index}
    ids = {"dag_id": owner.dag_id, "dag_run_id": owner.run_id, "task_id": owner.task_id}
    return url_for("Airflow.grid", **ids, **mapped)


def _auth_manager() -> Any:
    """Return Airflow's auth manager, which decides in 2.8 and later; None before."""
    try:
        from airflow.auth.managers.models.resource_details import DagDetails  # noqa: F401 - 2.7 has less
        from airflow.www.extensions.init_auth_manager import get_auth_manager
    except ImportError:
        return None
    return get_auth_manager()


def _is_logged_in() -> bool:
    manager = _auth_manager()
    return not g.user.is_anonymous if manager is None else manager.is_logged_in()


def _url_of_login() -> str:
    manager = _auth_manager()
    if manager is None:
        from flask import current_app

        return current_app.appbuilder.get_url_for_login + "?next=" + keys.encode_id(request.url)
    return manager.get_url_login(next_url=request.url)


def _may_read(dag: KeyId) -> bool:
    """Return whether the user may read a DAG and its XComs. A cut id needs the right to read all DAGs."""
    manager = _auth_manager()
    if manager is not None:
        from airflow.auth.managers.models.resource_details import DagAccessEntity, DagDetails

        if not manager.is_authorized_dag(method="GET", access_entity=DagAccessEntity.XCOM):
            return False
        if manager.is_authorized_dag(method="GET"):
            return True
        return dag.is_whole and _of_known_dag(
            lambda: manager.is_authorized_dag(
                method="GET", access_entity=DagAccessEntity.XCOM, details=DagDetails(id=dag.text)
            )
        )
    from flask import current_app

    security, read = current_app.appbuilder.sm, permissions.ACTION_CAN_READ
    if not security.has_access(read, permissions.RESOURCE_XCOM):
        return False
    if security.has_access(read, permissions.RESOURCE_DAG):
        return True
    return dag.is_whole and _of_known_dag(lambda: security.can_read_dag(dag.text, g.user))


def _of_known_dag(ask: Callable[[], bool]) -> bool:
    """Ask Airflow; return False if it fails, as it does for an unknown DAG whose id has a dot."""
    try:
        return ask()
    except AttributeError:
        return False


def views() -> list[dict[str, Any]]:
    """Return the entries that a plugin adds to the menu."""
    return [{"name": "XCom data", "category": "Browse", "view": XComDataView()}]
