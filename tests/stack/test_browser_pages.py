"""The pages about the data of XComs, in Airflow's UI, as a user sees them."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.outside import bucket_at
from tests.stack.browser import MINUTES, log_in, opened, photograph

HOSTILE = "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title = 'hacked'\">"

PUSH = f"""
import pandas as pd
from include.s3_xcom.keys import Owner
from include.s3_xcom.push import push
hostile = {HOSTILE!r}
push(pd.DataFrame({{hostile: [hostile] * 3}}), Owner("hostile", "run", "frame", -1, "key"))
push({{hostile: [hostile]}}, Owner("hostile", "run", "dict", -1, "key"))
push(hostile * 100, Owner("hostile", "run", "text", -1, "key"))
"""


@pytest.fixture(scope="module")
def run_id(compose) -> str:
    """A run of TestDag."""
    run_id, state = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table ORDER BY magnitude DESC"})
    assert state == "success"
    return run_id


def test_from_a_task_to_a_cell_of_its_frame_and_back(compose, page: Page, run_id: str, tmp_path):
    log_in(page, "/login/", compose.settings)
    page.wait_for_url("**/home*")
    page.goto(f"/dags/TestDag/grid?dag_run_id={run_id.replace('+', '%2B')}&task_id=Get_Data")
    link = page.get_by_role("link", name="XCom data", exact=True)
    expect(link).to_be_visible(timeout=MINUTES)
    page.goto(link.get_attribute("href"))

    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_text("rows (40 x 11)")).to_be_visible()
    page.get_by_role("link", name="Get_Data").click()
    expect(page.get_by_role("heading")).to_have_text("Get_Data: return_value")
    rows = page.locator("table.data tbody tr")
    expect(rows).to_have_count(40)
    place = page.locator("table.data thead th").all_inner_texts()
    column = next(i for i, text in enumerate(place) if text.startswith("place"))
    expect(rows.first.locator("th, td").nth(column)).to_contain_text(re.compile(r"\w+"))
    expect(page.get_by_text("This look took 1 request")).to_be_visible()
    photograph(page, "xcom-data.png", tmp_path)

    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile("^Download, ")).click()
    address = page.locator(".address").inner_text()
    bucket = bucket_at(f"http://127.0.0.1:{compose.ports['LOCALSTACK_PORT']}", "xcom")
    body = bucket.Object(address.partition("s3://")[2].partition("/")[2]).get()["Body"].read()
    assert started.value.path().read_bytes() == body
    assert started.value.suggested_filename == "Get_Data-return_value.parquet"
    with page.expect_download() as started:
        page.get_by_role("link", name="Download as CSV").click()
    assert len(started.value.path().read_text().splitlines()) == 41

    page.get_by_role("link", name="Task instance").click()
    page.wait_for_url("**/dags/TestDag/grid*Get_Data*")


def test_from_the_menu_to_a_tree(compose, page: Page, run_id: str):
    log_in(page, "/login/", compose.settings)
    page.wait_for_url("**/home*")
    page.get_by_role("link", name="Browse").hover()
    page.get_by_role("link", name="XCom data").click()
    page.get_by_role("link", name="TestDag", exact=True).click()
    expect(page.get_by_role("link", name=run_id)).to_be_visible()
    page.get_by_label("Run starts with").fill(run_id[:12])
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=run_id).click()
    page.get_by_role("link", name="retrieve_data [0]").click()
    expect(page.locator("ul.tree .label").first).to_be_visible()
    page.locator("ul.tree summary").first.press("Enter")
    expect(page.locator("ul.tree .label").first).not_to_be_visible()


def test_hostile_content_stays_text(compose, page: Page):
    done = compose.run_in("airflow-scheduler", "python", "-W", "ignore", "-c", PUSH)
    assert done.returncode == 0, done.stderr
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log_in(page, "/login/", compose.settings)
    page.wait_for_url("**/home*")
    page.goto("/s3_xcom/?dag=hostile&run=run")
    addresses = [link.get_attribute("href") for link in page.locator("tbody a").all()]
    assert len(addresses) == 3
    for address in addresses:
        page.goto(address)
        expect(page.locator("main")).to_contain_text("onerror=")
        assert "hacked" not in page.title()
    assert not [url for url in asked if url.endswith("/x")]
    bucket = bucket_at(f"http://127.0.0.1:{compose.ports['LOCALSTACK_PORT']}", "xcom")
    bucket.objects.filter(Prefix="xcom/dag_id=hostile/").delete()


MAY_READ = ["XComs", "Website", "DAG:FanOut"]


def test_a_user_without_the_right_sees_nothing(compose, run_id: str):
    password = secrets.token_hex(8)
    user = ["--username", "guest", "--email", "guest@example.com", "--firstname", "A", "--lastname", "Guest"]
    for command in (
        ["roles", "create", "OtherDag"],
        ["roles", "add-perms", "OtherDag", "--action", "can_read", "--resource", *MAY_READ],
        ["users", "create", *user, "--role", "OtherDag", "--password", password],
    ):
        done = compose.run_in("airflow-scheduler", "airflow", *command)
        assert done.returncode == 0, done.stderr
    with opened(compose.ports["AIRFLOW_PORT"]) as page:
        log_in(page, "/login/", {"UI_USER": "guest", "UI_PASSWORD": password})
        page.wait_for_url(re.compile(r"(?<!/login/)$"))
        page.goto("/s3_xcom/")
        expect(page.get_by_text("There is nothing here that you may read.")).to_be_visible()
        page.goto("/s3_xcom/?dag=TestDag")
        expect(page.get_by_role("alert")).to_contain_text("you may not read the XComs of its DAG")
    with opened(compose.ports["AIRFLOW_PORT"]) as page:
        page.goto("/s3_xcom/?dag=TestDag")
        page.wait_for_url("**/login/**")
