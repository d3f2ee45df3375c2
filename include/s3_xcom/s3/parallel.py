"""Several requests at once: S3 gives a connection 25 to 90 MB/s, and many connections as much each.

Of our own and not s3transfer's, boto3's machinery for this: that sends what its own reader gives, so it can
neither keep a SHA-256 of parts and whole, nor fall back where a server takes none, nor pin an ETag to ranges;
its threads are not daemons, so a task that was stopped would wait for the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from include.s3_xcom.interruptions import stoppable

T = TypeVar("T")
R = TypeVar("R")

MEMORY_BYTES = 80 * 1024 * 1024
"""How much of an object is under way at once, unless one part is larger."""

_END = object()


def connections(limit: int, part_size: int) -> int:
    """How many connections to use at once for parts of a size in bytes.

    :param limit: how many the settings allow
    """
    return max(1, min(limit, MEMORY_BYTES // max(1, part_size)))


class Parallel(Generic[T, R]):
    """``map(function, jobs)``, of which several run at once, each in a thread of its own.

    The threads are daemons: a request cannot be broken off, and nobody is to wait for one that hangs.

    :param function: does one job
    :param at_once: how many jobs run at most; may be changed between two results
    :param waiting: how many jobs may have been begun whose results were not taken yet; None: any number
    """

    def __init__(self, function: Callable[[T], R], at_once: int, waiting: int | None = None) -> None:
        self.at_once = at_once
        self._function = function
        self._waiting = waiting
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._results: dict[int, R] = {}
        self._error: BaseException | None = None
        self._running: set[threading.Thread] = set()
        self._begun = self._taken = 0

    def run(self, jobs: Iterable[T]) -> Iterator[R]:
        """The results, in the order of the jobs. The next job is made while others run.

        :raises BaseException: what a job raises, as soon as it does; no more are begun then
        """
        source = iter(jobs)
        job: Any = next(source, _END)
        try:
            while job is not _END or self._taken < self._begun:
                if job is not _END and self._may_begin():
                    self._begin(job)
                    job = next(source, _END)
                elif self._wait(job is not _END):
                    yield self._take()
        finally:
            self._stop.set()

    def running(self) -> list[threading.Thread]:
        """The threads of jobs that have not ended."""
        return list(self._running)

    def _may_begin(self) -> bool:
        if self._error is not None:
            raise self._error
        is_next_there = self._waiting is not None and self._begun - self._taken >= self._waiting
        return len(self._running) < self.at_once and not is_next_there

    def _wait(self, has_job: bool) -> bool:
        """Wait for something to do. Whether it is to take a result."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._error or self._taken in self._results or (has_job and self._may_begin())
            )
        if self._error is not None:
            raise self._error
        return self._taken in self._results

    def _take(self) -> R:
        self._taken += 1
        return self._results.pop(self._taken - 1)

    def _begin(self, job: T) -> None:
        thread = threading.Thread(target=self._do, args=(job, self._begun), daemon=True)
        with self._changed:  # the thread waits for it when it ends
            thread.start()
            self._begun += 1
            self._running.add(thread)

    def _do(self, job: T, number: int) -> None:
        result, error = None, None
        try:
            with stoppable(self._stop):
                result = self._function(job)
        except BaseException as raised:
            error = raised
        with self._changed:
            self._running.discard(threading.current_thread())
            if error is not None:
                self._error = self._error or error
            else:
                self._results[number] = result
            self._changed.notify()
