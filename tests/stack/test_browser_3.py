"""The UI of Airflow 3 as a user sees it."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import expect

from tests.stack.browser import MINUTES, QUERY, log_in, photograph


def test_testdag_from_the_login_to_the_xcom_tab(compose, page, tmp_path):
    log_in(page, "/auth/login/", compose.settings)
    page.wait_for_url(lambda url: "/auth/" not in url, timeout=MINUTES)

    run_id, state = compose.run_dag("TestDag", {"query": QUERY})
    assert state == "success"
    page.goto(f"/dags/TestDag/runs/{quote(run_id, safe='')}/tasks/Get_Data/xcom")
    expect(page.get_by_text("rows (5 x 11), ")).to_be_visible(timeout=MINUTES)
    expect(page.get_by_text("s3://xcom/xcom/dag_id=TestDag/").first).to_be_visible()
    photograph(page, "xcom-tab-3.png", tmp_path)
    page.goto(f"/dags/TestDag/runs/{quote(run_id, safe='')}/tasks/retrieve_data/mapped/0/xcom")
    expect(page.get_by_text("dict (11), ")).to_be_visible(timeout=MINUTES)
