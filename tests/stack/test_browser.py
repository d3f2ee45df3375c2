"""Airflow's UI as a user sees it, in Debian's Chromium without a screen. Its pictures are the README's."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.stack.browser import MINUTES, QUERY, log_in, photograph

GREEN = "rgb(0, 128, 0)"


def test_testdag_from_the_login_to_the_xcom_tab(compose, page, tmp_path):
    log_in(page, "/login/", compose.settings)
    page.wait_for_url("**/home*")
    switch = page.locator("#toggle-TestDag")
    if not switch.is_checked():
        page.locator("label", has=switch).click()
    expect(switch).to_be_checked()

    before = compose.api("dags/TestDag/dagRuns")["total_entries"]
    page.goto("/dags/TestDag/grid")
    page.click('a[aria-label="Trigger DAG"]')
    page.click("text=Trigger DAG w/ config")
    page.wait_for_selector(".CodeMirror")
    text = json.dumps({"query": QUERY})
    page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", text)
    page.get_by_role("button", name="Trigger", exact=True).click()
    page.wait_for_url("**/dags/TestDag/grid*")

    runs = page.locator("[data-testid=run]")
    expect(runs).to_have_count(min(before + 1, 25))
    expect(runs.last).to_have_css("background-color", GREEN, timeout=5 * MINUTES)
    # The last run's two tasks: Get_Data, and all of retrieve_data.
    row = page.locator("tr", has=page.locator('[aria-label*="retrieve_data"]'))
    row.locator("[data-testid=task-instance]").last.click()
    expect(page.get_by_text("5 Tasks Mapped")).to_be_visible()
    photograph(page, "grid.png", tmp_path)

    page.get_by_role("tab", name="Mapped Tasks").click()
    instances = page.locator("#react-container table").last.locator("tbody tr")
    expect(instances).to_have_count(5)
    instances.first.click()
    xcom_tab = page.get_by_role("link", name="XCom").get_attribute("href")
    page.get_by_role("tab", name="Logs").click()
    log = page.locator("#react-container code").last
    expect(log).to_contain_text("Pushed dict (11)")
    expect(log).to_contain_text(re.compile(r"Pulled|Read"))

    page.goto(xcom_tab)
    line = page.get_by_text("s3://xcom/xcom/dag_id=TestDag/")
    expect(line).to_contain_text("dict (11), ")
    expect(line).to_contain_text("/task_id=retrieve_data/map_index=0/return_value-")
    page.goto(
        xcom_tab.replace("task_id=retrieve_data", "task_id=Get_Data").replace("map_index=0", "map_index=-1")
    )
    expect(page.get_by_text("rows (5 x 11), ")).to_be_visible()
    photograph(page, "xcom-tab.png", tmp_path)


@pytest.mark.parametrize(
    ("conn_id", "password"), [("DB_CONN", "DEMO_DB_PASSWORD"), ("aws_default", "AWS_SECRET_ACCESS_KEY")]
)
def test_the_test_button_of_a_connection_passes(compose, page, conn_id, password):
    log_in(page, "/login/", compose.settings)
    page.wait_for_url("**/home*")
    page.goto("/connection/list/")
    page.locator("tr", has_text=conn_id).locator('a[href*="/connection/edit/"]').first.click()
    page.fill("#password", compose.settings[password])  # Airflow's form does not hold it
    page.click("#test-connection")
    expect(page.locator(".alert-success")).to_be_visible(timeout=MINUTES)
