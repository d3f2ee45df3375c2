"""The requests that the backend sends to S3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def asked(*, hasty: bool = False) -> Iterator[list[tuple[str, int]]]:
    """Those within the block, with the bytes that came back.

    :param hasty: of the client that gives up soon
    """
    from include.s3_xcom.s3.store import Store

    seen: list[tuple[str, int]] = []

    def note(http_response: Any, model: Any, **_: Any) -> None:
        seen.append((model.name, int(http_response.headers.get("Content-Length") or 0)))

    events = Store.configured(hasty=hasty).client.meta.events
    events.register("after-call.s3", note, unique_id="asked")
    try:
        yield seen
    finally:
        events.unregister("after-call.s3", unique_id="asked")
