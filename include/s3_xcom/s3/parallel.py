"""Several requests at once: S3 gives one connection 25 to 90 MB/s, and many connections as much each.

It does not use s3transfer, boto3's package for this: that sends what its reader gives, so it can neither
compute a SHA-256 of parts and whole, nor fall back if a server takes none, nor pin an ETag to ranges; its
threads are not daemons, so a task that was stopped would wait for the network.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from include.s3_xcom import threads
from include.s3_xcom.interruptions import stoppable

T = TypeVar("T")
R = TypeVar("R")

MEMORY_BYTES = 80 * 1024 * 1024
"""Bytes of an object under way at once, at most, unless one part is larger."""

_END = object()


def connections(limit: int, part_size: int) -> int:
    """Return the number of connections to use at once for parts, or ranges, of a size.

    :param limit: the most that the settings allow
    :param part_size: bytes of one of them
    """
    return max(1, min(limit, MEMORY_BYTES // max(1, part_size)))


class Parallel(Generic[T, R]):
    """``map(function, jobs)`` with several jobs at once, in threads that each do one job after the other.

    The threads are daemons: a request cannot be broken off, and nobody should wait for one that hangs. If no
    thread can be started, the caller's thread does the jobs. A forked process does again the jobs that its
    parent's threads had begun.

    :param function: does one job
    :param at_once: jobs done at once, at most
    :param ready: jobs that may be made ahead, for threads that become free while nobody takes results
    :param waiting: jobs that may have been made whose results were not taken yet; None: any number

    ``at_once`` and ``waiting`` may be changed between two results.
    """

    def __init__(
        self, function: Callable[[T], R], at_once: int, *, ready: int = 1, waiting: int | None = None
    ) -> None:
        self.at_once = at_once
        self.waiting = waiting
        self._function = function
        self._most_ready = max(1, ready)
        self._ready: deque[tuple[int, T]] = deque()
        self._begun: dict[int, T] = {}
        self._results: dict[int, R] = {}
        self._error: BaseException | None = None
        self._made = self._taken = 0
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        self._process = os.getpid()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._running: set[threading.Thread] = set()
        left = {number: job for number, job in self._begun.items() if number not in self._results}
        self._ready = deque(sorted({**left, **dict(self._ready)}.items()))
        self._begun.clear()

    def run(self, jobs: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order of the jobs. The next job is made while others are being done.

        :raises BaseException: what a job raises, as soon as it does; no more jobs are begun then
        """
        source = iter(jobs)
        job: Any = None
        try:
            while job is not _END or self._taken < self._made:
                if self._wait(has_jobs=job is not _END):
                    yield self._take()
                elif (job := next(source, _END)) is not _END:
                    self._add(job)
        finally:
            self._stop.set()

    def running(self) -> list[threading.Thread]:
        """Return the threads that have not ended."""
        return list(self._running)

    def _wait(self, has_jobs: bool) -> bool:
        """Wait for something to do. Return whether to take a result."""
        if os.getpid() != self._process:
            self._begin_in_this_process()

        def has_room() -> bool:
            may_wait = self.waiting is None or self._made - self._taken < self.waiting
            return has_jobs and may_wait and len(self._ready) < self._most_ready

        with self._changed:
            self._start_threads()
            is_alone = self._ready and not self._running
        if is_alone:
            self._do_next()
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._taken in self._results or has_room())
            if self._error is not None:
                raise self._error
            return not has_room()

    def _take(self) -> R:
        self._taken += 1
        return self._results.pop(self._taken - 1)

    def _add(self, job: T) -> None:
        with self._changed:
            self._ready.append((self._made, job))
            self._made += 1

    def _start_threads(self) -> None:
        for _ in range(min(len(self._ready), self.at_once - len(self._running))):
            thread = threads.start(self._work)
            if thread is not None:
                self._running.add(thread)

    def _work(self) -> None:
        try:
            with stoppable(self._stop):
                while self._do_next():
                    pass
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._running.discard(threading.current_thread())
                self._changed.notify()

    def _do_next(self) -> bool:
        """Do the next job. Return whether there was one for this thread."""
        begun = self._begin()
        if begun is None:
            return False
        number, job = begun
        result = self._function(job)
        with self._changed:
            self._results[number] = result
            del self._begun[number]
            self._changed.notify()
        return True

    def _begin(self) -> tuple[int, T] | None:
        """Take the next job; return None if this thread should end."""
        with self._changed:
            is_over = self._stop.is_set() or self._error is not None or len(self._running) > self.at_once
            if is_over or not self._ready:
                self._running.discard(threading.current_thread())  # at once, or a new job might get no thread
                return None
            self._changed.notify()  # there is room for another job
            number, job = self._ready[0]
            self._begun[number] = job  # before it leaves the queue, or a process forked now would lose it
            self._ready.popleft()
            return number, job
