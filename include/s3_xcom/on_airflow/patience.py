"""Work that nobody must wait for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from include.s3_xcom import threads
from include.s3_xcom.on_airflow.releases import release

T = TypeVar("T")


def run_within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function in another thread, and leave it there if it takes too long.

    :param seconds: seconds to wait, also for what no timeout of a request bounds, such as a service that
        gives credentials
    :raises TimeoutError: if it takes longer
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threads.start(run)
    if thread is None:
        with release.separate_database_session():
            return function()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"S3 has not answered within {seconds:.0f} s")
    return results[0]
