"""Reading ahead: work done in other threads for the next few items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

WORKERS = 2
PENDING = 3

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``map(function, items)``, done in other threads for the next few items while one result is in use.

    Pays off when the function releases the GIL, as pyarrow does. Exceptions are raised at their items.
    """
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == PENDING:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
