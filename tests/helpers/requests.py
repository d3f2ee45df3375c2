"""The requests that the backend sends to S3."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def calling(handler: Callable[..., Any], event: str, *, hasty: tuple[bool, ...] = (False,)) -> Iterator[None]:
    """Call a handler at an event of botocore within the block.

    :param hasty: of which clients: the one that gives up soon, the other, or both
    """
    from include.s3_xcom.s3.store import Store

    clients = [Store.configured(hasty=each).client for each in hasty]
    for client in clients:
        client.meta.events.register(event, handler)
    try:
        yield
    finally:
        for client in clients:
            client.meta.events.unregister(event, handler)


@contextlib.contextmanager
def asked(*, hasty: bool = False) -> Iterator[list[tuple[str, int]]]:
    """Those within the block, with the bytes that came back.

    :param hasty: of the client that gives up soon
    """
    seen: list[tuple[str, int]] = []

    def note(http_response: Any, model: Any, **_: Any) -> None:
        seen.append((model.name, int(http_response.headers.get("Content-Length") or 0)))

    with calling(note, "after-call.s3", hasty=(hasty,)):
        yield seen
