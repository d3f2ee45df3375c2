"""The pages about the data of XComs in Airflow 2's own web application: who sees what."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from include.s3_xcom.keys import Owner
from include.s3_xcom.push import push

pytestmark = pytest.mark.airflow_2("has another web application")

PASSWORD = "password"


@pytest.fixture(scope="module")
def app(stack) -> Any:
    from airflow.www.app import create_app

    app = create_app(testing=True)
    app.config["WTF_CSRF_ENABLED"] = False
    limiter = getattr(app.appbuilder.sm, "limiter", None)
    if limiter is not None:  # of logins
        limiter.enabled = False
    return app


@pytest.fixture
def visit(app, prefix, request) -> Iterator[Any]:
    """Somebody who may do some things, and follows links."""

    def log_in(*permissions: tuple[str, str]) -> Any:
        security = app.appbuilder.sm
        name = f"user {abs(hash((request.node.name, permissions)))}"
        with app.app_context():
            role = security.find_role(name) or security.add_role(name)
            for permission in permissions:
                found = security.get_permission(*permission) or security.create_permission(*permission)
                security.add_permission_to_role(role, found)
            if not security.find_user(username=name):
                security.add_user(name, "A", "user", f"{name}@example.com", role, password=PASSWORD)
        client = app.test_client()
        answer = client.post("/login/", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 302, answer.data
        return client

    return log_in


@pytest.fixture
def pages(prefix) -> dict[str, list[str]]:
    """The addresses of all pages about the objects of two DAGs."""
    found = {}
    for dag in ("mine", "yours"):
        owner = Owner(dag, "run", "task", -1, "key")
        key = json.loads(push({"a": "secret"}, owner))["key"]
        found[dag] = [
            f"/s3_xcom/?dag={dag}",
            f"/s3_xcom/?dag={dag}&run=run",
            f"/s3_xcom/object?key={key}",
            f"/s3_xcom/download?key={key}",
        ]
    return found


READ_XCOMS, READ_ALL = ("can_read", "XComs"), ("can_read", "DAGs")


def test_who_may_read_all_dags_sees_all(visit, pages):
    client = visit(READ_XCOMS, READ_ALL)
    front = client.get("/s3_xcom/")
    assert "default-src 'none'" in front.headers["Content-Security-Policy"]
    assert {"mine", "yours"} <= set(re.findall(r">(\w+)</a>", front.text))
    for address in (*pages["mine"], *pages["yours"]):
        assert client.get(address).status_code == 200
    assert client.get(pages["mine"][-1]).data == b'{"a":"secret"}'
    assert client.get("/s3_xcom/assets/style.css").content_type == "text/css; charset=utf-8"


def test_who_may_read_one_dag_sees_that_one(visit, pages):
    client = visit(READ_XCOMS, ("can_read", "DAG:mine"))
    assert "yours" not in client.get("/s3_xcom/").text
    assert [client.get(address).status_code for address in pages["mine"]] == [200] * 4
    answers = [client.get(address) for address in pages["yours"]]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert not [answer for answer in answers if "secret" in answer.text]


def test_an_id_that_is_cut_in_the_key_needs_the_right_to_all(visit, pages):
    owner = Owner("sales_" + "x" * 300, "run", "task", -1, "key")
    key = json.loads(push({"a": "secret"}, owner))["key"]
    one, everything = visit(READ_XCOMS, ("can_read", "DAG:mine")), visit(READ_XCOMS, READ_ALL)
    assert "sales_" not in one.get("/s3_xcom/").text
    assert "sales_" in everything.get("/s3_xcom/").text
    address = f"/s3_xcom/download?key={key.replace('%', '%25')}"
    assert [client.get(address).status_code for client in (one, everything)] == [404, 200]


@pytest.mark.parametrize("dag_id", ["removed.dag", "removed"])
def test_a_dag_that_airflow_does_not_know_is_for_those_who_see_all(visit, pages, dag_id):
    push([1], Owner(dag_id, "run", "task", -1, "key"))
    one, everything = visit(READ_XCOMS, ("can_read", "DAG:mine")), visit(READ_XCOMS, READ_ALL)
    assert dag_id in everything.get("/s3_xcom/").text
    front = one.get("/s3_xcom/")
    assert front.status_code == 200
    assert dag_id not in front.text
    assert one.get(f"/s3_xcom/?dag={dag_id}").status_code == 404


@pytest.mark.parametrize("permissions", [[READ_ALL], [("can_read", "DAG:mine")], []])
def test_who_may_not_read_xcoms_sees_nothing(visit, pages, permissions):
    client = visit(*permissions)
    assert "mine" not in client.get("/s3_xcom/").text
    answers = [client.get(address) for address in pages["mine"]]
    assert not [answer for answer in answers if answer.status_code == 200]
    assert not [answer for answer in answers if "secret" in answer.text]


@pytest.mark.parametrize("public", ["Public", "Admin"])
def test_who_is_not_logged_in_sees_nothing(app, pages, monkeypatch, public):
    """Also where Airflow lets everybody in: the anonymous has no XComs of anybody's."""
    monkeypatch.setitem(app.config, "AUTH_ROLE_PUBLIC", public)
    for address in ("/s3_xcom/", *pages["mine"]):
        answer = app.test_client().get(address)
        assert answer.status_code == 302
        assert "/login/" in answer.location


def test_a_task_instance_links_to_its_objects_and_back(app, visit, prefix):
    from airflow import plugins_manager
    from airflow.models.taskinstance import TaskInstanceKey
    from airflow.plugins_manager import initialize_extra_operators_links_plugins

    push([1], Owner("a dag", "manual__2026-01-01T00:00:00+00:00", "task", 2, "return_value"))
    initialize_extra_operators_links_plugins()
    [link] = [link for link in plugins_manager.global_operator_extra_links if link.name == "XCom data"]
    key = TaskInstanceKey("a dag", "task", "manual__2026-01-01T00:00:00+00:00", 1, 2)
    with app.test_request_context("/"):
        address = link.get_link(None, ti_key=key)
    client = visit(READ_XCOMS, READ_ALL)
    [one] = re.findall(r'href="(/s3_xcom/object[^"]*)"', client.get(address).text)
    back = re.findall(r'href="(/dags/[^"]*)"', client.get(one.replace("&amp;", "&")).text)
    assert len(back) == 1
    for part in ("/dags/a%20dag/grid", "dag_run_id=manual__2026", "task_id=task", "map_index=2"):
        assert part in back[0]


def test_the_menu_shows_it_to_the_administrator(app, visit):
    client = visit(READ_XCOMS, READ_ALL, ("menu_access", "Browse"), ("menu_access", "XCom data"))
    assert "XCom data" in app.appbuilder.menu.get_flat_name_list()
    assert client.get("/s3_xcom/").status_code == 200


def test_the_rights_of_roles_stay_as_they_are(app, visit):
    """When the web application starts again, it adds its views again."""
    from airflow.www.app import create_app

    rights = {("can_read", "XComs"), ("can_delete", "XComs"), ("menu_access", "XComs")}
    visit(*sorted(rights))

    def found(application: Any) -> list[set[str]]:
        with application.app_context():
            return [
                {right.action.name for right in role.permissions if right.resource.name == "XComs"}
                for role in application.appbuilder.sm.get_all_roles()
            ]

    before = found(app)
    assert {action for action, _ in rights} in before
    assert found(create_app(testing=True)) == before


def test_other_processes_load_no_web_application(stack):
    """Every process of Airflow loads plugins, those of tasks too."""
    program = """
import sys
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
plugins_manager.initialize_extra_operators_links_plugins()
assert [plugin.name for plugin in plugins_manager.plugins if plugin.name == "s3_xcom"]
print([name for name in ("flask_appbuilder", "pandas", "boto3") if name in sys.modules])
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=stack.airflow.environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
