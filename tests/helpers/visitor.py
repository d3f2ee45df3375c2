"""Somebody who looks at the pages, and how much memory that takes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from include.s3_xcom.admin.pages.site import Answer, Site


def url(page: str, **parameters: Any) -> str:
    return f"/{page}?{urlencode({name: value for name, value in parameters.items() if value != ''})}"


@contextlib.contextmanager
def more_memory() -> Iterator[Callable[[], int]]:
    """How much memory the process had more within the block, in bytes, to be asked in it or after it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now

    def peak() -> int:
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

    before = peak()
    yield lambda: peak() - before


class Visitor:
    """Somebody who follows links."""

    def __init__(self, may_read=lambda dag: True) -> None:
        self._site = Site(
            may_read=may_read, url=url, task_url=lambda owner: f"/task/{owner.task_id}", home_url="/"
        )

    def get(self, address: str) -> Answer:
        parts = urlsplit(address)
        return self._site.answer(parts.path.strip("/"), dict(parse_qsl(parts.query)))

    def text(self, address: str, status: int = 200) -> str:
        answer = self.get(address)
        assert answer.status == status, answer.body
        assert "default-src 'none'" in answer.all_headers["Content-Security-Policy"]
        assert answer.all_headers["X-Content-Type-Options"] == "nosniff"
        return answer.body

    def content(self, address: str) -> bytes:
        return b"".join(self.get(address).body)


def links(text: str, words: str = "") -> list[str]:
    found = re.findall(r'<a[^>]*? ?href="([^"]*)"[^>]*>([^<]*)', text)
    return [address.replace("&amp;", "&") for address, name in found if words in name]
