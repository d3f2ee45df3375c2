"""Airflow's UI as a user sees it, in Debian's Chromium without a screen. Its pictures are the README's."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs/images" if os.environ.get("SCREENSHOTS") else None
QUERY = "SELECT * FROM my_table ORDER BY magnitude DESC LIMIT 5"
MINUTES = 60_000
GREEN = "rgb(0, 128, 0)"


@pytest.fixture
def page(compose) -> Iterator[Page]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert chromium, (
        "there is no Chromium here. Install Debian's package chromium, or set CHROMIUM to its path"
    )
    with sync_playwright() as playwright:
        # Root, as in many containers, may not use its sandbox.
        options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(
            viewport={"width": 1100, "height": 700},
            base_url=f"http://127.0.0.1:{compose.ports['AIRFLOW_PORT']}",
        )
        yield page
        browser.close()


def photograph(target: Page | Locator, name: str, directory: Path) -> None:
    path = (PICTURES or directory) / name
    target.screenshot(path=path)
    assert path.stat().st_size > 5_000, "an empty picture"


def test_testdag_from_the_login_to_the_xcom_tab(compose, page, tmp_path):
    page.goto("/login/")
    page.fill("#username", compose.settings["UI_USER"])
    page.fill("#password", compose.settings["UI_PASSWORD"])
    page.click("input[type=submit]")
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
