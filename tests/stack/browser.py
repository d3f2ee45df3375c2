"""Debian's Chromium, without a screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs/images" if os.environ.get("SCREENSHOTS") else None
MINUTES = 60_000
QUERY = "SELECT * FROM my_table ORDER BY magnitude DESC LIMIT 5"
"""What the pictures show."""


@contextmanager
def opened(port: int) -> Iterator[Page]:
    """A page of what answers on a port of this machine."""
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
            base_url=f"http://127.0.0.1:{port}",
        )
        yield page
        browser.close()


def log_in(page: Page, address: str, settings: dict[str, str]) -> None:
    """Log in as the administrator.

    :param address: of the page to log in
    :param settings: of .env
    """
    page.goto(address)
    page.fill("#username", settings["UI_USER"])
    page.fill("#password", settings["UI_PASSWORD"])
    page.click("input[type=submit]")


def photograph(target: Page | Locator, name: str, directory: Path) -> None:
    path = (PICTURES or directory) / name
    target.screenshot(path=path)
    assert path.stat().st_size > 5_000, "an empty picture"
