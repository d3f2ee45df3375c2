"""Reading ahead: other threads work on the next few items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TypeVar

from include.s3_xcom.s3.parallel import Parallel

WORKERS = 2
PENDING = 3

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``map(function, items)``; other threads work on the next few items while one is in use.

    This is faster if the function releases the GIL, as pyarrow does. Exceptions are raised at their items.
    """

    def attempt(item: T) -> tuple[R | None, Exception | None]:
        try:
            return function(item), None
        except Exception as error:
            return None, error

    with closing(Parallel(attempt, WORKERS, ready=PENDING, waiting=PENDING).run(items)) as results:
        for result, error in results:
            if error is not None:
                raise error
            yield result
